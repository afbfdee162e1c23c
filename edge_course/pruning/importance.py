"""How much each weight or channel of a PyTorch network matters: what pruning removes last.

Every score is at least 0, and larger means more important. None of them is the truth, which
would be the loss after removing a weight and training on; each is a cheap guess at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_course.networks import torch_models, torch_training

WEIGHT_KINDS = ("magnitude", "activation", "wanda", "taylor", "random")
CHANNEL_KINDS = ("magnitude", "activation", "zeros", "taylor", "random")
ACTIVATION_LAYERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish,
               nn.Sigmoid, nn.Tanh)  # fmt: skip
AT_A_TIME = 100  # pictures at a time
Layers = dict[str, nn.Conv2d | nn.Linear]

_STATISTICS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "activation": torch.abs,
    "zeros": lambda x: (x != 0).to(x.dtype),
    "wanda": torch.square,
}


def layers(model: nn.Module) -> Layers:
    """Return the layers whose weights can be pruned: name → convolution or dense layer.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    found = model.named_modules()
    return {name: m for name, m in found if isinstance(m, nn.Conv2d | nn.Linear)}


def of_weights(
    model: nn.Module,
    kind: str,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Return the importance of every weight of the convolutions and dense layers.

    A weight multiplies many numbers: at each position of each picture, one of its input unit.
    It adds the product to its output unit (channel or neuron).

    Parameters
    ----------
    model : computes in evaluation mode for this, whatever its mode is.
    kind : one of

        * "magnitude": |w|. Han et al. (2015), "Learning both Weights and Connections".
        * "activation": the mean |x| of what the weight multiplies, times the mean |y| of its
          output unit. The weight itself does not count.
        * "wanda": |w| · ‖x‖, the root of the mean x² of what it multiplies. Sun et al. (2024),
          "A Simple and Effective Pruning Approach for Large Language Models", which ranks it
          among the weights of one output.
        * "taylor": |w · ∂L/∂w|, the mean over batches: how much the loss would change if
          the weight were 0 and the loss a straight line. Molchanov et al. (2019), "Importance
          Estimation for Neural Network Pruning", without their square.
        * "random": uniform in [0, 1), the control.
    images : float32 (n, 28, 28, 1) from 0 to 1; not needed for "magnitude" and "random".
    labels : integer classes (n,); needed for "taylor".
    seed : of "random".

    Returns
    -------
    dict[str, np.ndarray]
        Name of the layer → float32, in the shape of its weight.

    Raises
    ------
    ValueError
        If there is no such kind, the model has nothing to prune, or pictures or labels are
        missing or of another shape or dtype.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    found = _checked(model, kind, WEIGHT_KINDS)
    if kind == "random":
        random = np.random.default_rng(seed)
        return {n: random.random(m.weight.shape, np.float32) for n, m in found.items()}
    if kind == "magnitude":
        return {n: m.weight.detach().abs().numpy() for n, m in found.items()}
    if kind == "taylor":
        scores = _weights_taylor(model, found, images, labels)
    else:
        of = _STATISTICS[kind]
        inputs = _input_means(model, found, images, of)
        if kind == "wanda":
            scores = {n: m.weight.detach().abs() * inputs[n].sqrt() for n, m in found.items()}
        else:
            outputs = _output_means(model, {n: following(model, n) for n in found}, images, of)
            scores = {
                n: x * outputs[n].reshape(-1, *[1] * (x.ndim - 1)).to(x) for n, x in inputs.items()
            }
    return {name: score.numpy() for name, score in scores.items()}


def of_channels(
    model: nn.Module,
    layer: str,
    kind: str,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> np.ndarray:
    """Return the importance of every output channel of a layer (neuron of a dense one).

    Parameters
    ----------
    model : computes in evaluation mode for this, whatever its mode is.
    layer : name of a convolution or dense layer, a key of `layers`.
    kind : one of

        * "magnitude": Σ|w| of all weights into the channel. Li et al. (2017), "Pruning Filters
          for Efficient ConvNets".
        * "activation": the mean of |y| over pictures and positions, y as `following` finds it.
        * "zeros": the share of numbers y that are not 0, which is 1 minus the APoZ (average
          percentage of zeros) of Hu et al. (2016), "Network Trimming".
        * "taylor": |Σ y · ∂L/∂y| over the positions of a picture, the mean over pictures: how
          much the loss would change if y were 0 and the loss a straight line. Molchanov et al.
          (2017), "Pruning Convolutional Neural Networks for Resource Efficient Inference",
          with the sum of all positions in place of their mean.
        * "random": uniform in [0, 1), the control.
    images : float32 (n, 28, 28, 1) from 0 to 1; not needed for "magnitude" and "random".
    labels : integer classes (n,); needed for "taylor".
    seed : of "random".

    Returns
    -------
    np.ndarray
        float64 (channels,).

    Raises
    ------
    ValueError
        If there is no such kind or layer, or pictures or labels are missing or of another
        shape or dtype.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    found = _checked(model, kind, CHANNEL_KINDS)
    if layer not in found:
        raise ValueError(f"there is no layer {layer!r} to prune; there is: {', '.join(found)}")
    weight = found[layer].weight.detach()
    if kind == "random":
        return np.random.default_rng(seed).random(len(weight))
    if kind == "magnitude":
        return weight.abs().flatten(1).sum(dim=1, dtype=torch.float64).numpy()
    at = following(model, layer)
    if kind == "taylor":
        return _channels_taylor(model, at, images, labels).numpy()
    return _output_means(model, {layer: at}, images, _STATISTICS[kind])[layer].numpy()


def following(model: nn.Module, layer: str) -> str:
    """Return the module whose output a layer's channels are known by to the layers behind.

    It is the first activation function that is computed after the layer, and before the next
    layer with weights; normalisation and sums lie between. If there is none, it is the layer.

    Parameters
    ----------
    model : for pictures (n, 1, 28, 28); activation functions are modules of it.
    layer : name of a convolution or dense layer.
    """
    calls = []
    names = [n for n, m in model.named_modules() if not list(m.children())]
    with torch.no_grad(), _watching(model, names, lambda name, *_: calls.append(name)):
        model(torch.zeros(1, *torch_models.INPUT_SHAPE))
    modules = dict(model.named_modules())
    for name in calls[calls.index(layer) + 1 :]:
        if isinstance(modules[name], ACTIVATION_LAYERS):
            return name
        if isinstance(modules[name], nn.Conv2d | nn.Linear):
            break
    return layer


def _checked(model: nn.Module, kind: str, kinds: tuple[str, ...]) -> Layers:
    """Return the layers to prune, or say what is wrong."""
    if kind not in kinds:
        raise ValueError(f"expected one of the kinds {', '.join(kinds)}, got {kind!r}")
    found = layers(model)
    if not found:
        raise ValueError("the network has no convolution (Conv2d) and no dense layer (Linear)")
    return found


@contextmanager
def _watching(model: nn.Module, names: list[str], look: Callable) -> Iterator[None]:
    """Call ``look(name, input, output)`` after each of these modules, inside a ``with`` block.

    One thread, and evaluation mode.
    """
    modules, handles = dict(model.named_modules()), []
    for name in names:

        def hook(module, inputs, output, name=name):
            look(name, inputs[0], output)

        handles.append(modules[name].register_forward_hook(hook))
    try:
        with torch_training.one_thread(), torch_training.evaluating(model):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _batches(model: nn.Module, images: np.ndarray | None) -> tuple[torch.Tensor, ...]:
    if images is None:
        raise ValueError("this kind of importance is measured on pictures: give some")
    return torch_training.as_tensor(images, model).split(AT_A_TIME)


def _labelled(
    model: nn.Module, images: np.ndarray | None, labels: np.ndarray | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    parts = _batches(model, images)
    if labels is None:
        raise ValueError("this kind of importance is measured on a loss: give the labels")
    return zip(parts, torch_training.as_labels(labels, len(images)).split(AT_A_TIME), strict=True)


def _input_means(
    model: nn.Module, found: Layers, images: np.ndarray | None, of: Callable
) -> dict[str, torch.Tensor]:
    """Return the mean of ``of(x)`` over all numbers x that each weight multiplies.

    The derivative of Σ w·x for a weight w is the sum of all that it multiplies: with ``of(x)``
    in place of x, PyTorch adds it up for strides, padding (zeros count) and groups alike.
    """
    sums = {name: torch.zeros_like(m.weight) for name, m in found.items()}
    counts = dict.fromkeys(found, 0)

    def look(name: str, x: torch.Tensor, y: torch.Tensor) -> None:
        weight = found[name].weight
        with torch.enable_grad():
            total = found[name].forward(of(x)).sum()  # forward: without this hook
            sums[name] += torch.autograd.grad(total, weight)[0]
        counts[name] += y.numel() // len(weight)

    with torch.no_grad(), _watching(model, list(found), look):
        for part in _batches(model, images):
            model(part)
    return {name: sums[name] / counts[name] for name in found}


def _output_means(
    model: nn.Module, at: dict[str, str], images: np.ndarray | None, of: Callable
) -> dict[str, torch.Tensor]:
    """Return the mean of ``of(y)`` over pictures and positions: name → float64 (channels,)."""
    means: dict[str, torch.Tensor] = {}

    def look(name: str, _: torch.Tensor, y: torch.Tensor) -> None:
        total = of(y).transpose(0, 1).flatten(1).mean(dim=1, dtype=torch.float64) * len(y)
        means[name] = means.get(name, 0) + total / len(images)

    names = list(dict.fromkeys(at.values()))
    with torch.no_grad(), _watching(model, names, look):
        for part in _batches(model, images):
            model(part)
    return {name: means[place] for name, place in at.items()}


def _weights_taylor(
    model: nn.Module, found: Layers, images: np.ndarray | None, labels: np.ndarray | None
) -> dict[str, torch.Tensor]:
    weights = [m.weight for m in found.values()]
    sums = [torch.zeros_like(w) for w in weights]
    with _watching(model, [], lambda *_: None):
        for x, y in _labelled(model, images, labels):
            gradients = torch.autograd.grad(functional.cross_entropy(model(x), y), weights)
            for total, weight, gradient in zip(sums, weights, gradients, strict=True):
                total += (weight.detach() * gradient).abs() * (len(x) / len(images))
    return dict(zip(found, sums, strict=True))


def _channels_taylor(
    model: nn.Module, at: str, images: np.ndarray | None, labels: np.ndarray | None
) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    total: torch.Tensor | float = 0.0
    with _watching(model, [at], lambda _, x, y: seen.append(y)):
        for x, y in _labelled(model, images, labels):
            seen.clear()
            # A sum of losses: each picture's outputs get the gradient of its own loss.
            loss = functional.cross_entropy(model(x), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, seen)
            change = (seen[0].detach() * gradient).reshape(*gradient.shape[:2], -1).sum(dim=2)
            total = total + change.abs().sum(dim=0, dtype=torch.float64) / len(images)
    return total
