"""How much each weight or channel of a PyTorch network matters: what pruning removes last.

Every score is at least 0, and larger means more important. None of them is the truth, which
would be the loss after removing a weight and training on; each is a cheap guess at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from edge_course.networks import torch_training
from edge_course.pruning.calls import (
    Layers,
    answers_of,
    channel_axis,
    check_called,
    known_outputs,
    layers,
    own_weight,
    watching_layers,
    with_gradients,
)

WEIGHT_KINDS = ("magnitude", "activation", "wanda", "taylor", "random")
CHANNEL_KINDS = ("magnitude", "activation", "zeros", "taylor", "random")
AT_A_TIME = 100  # pictures at a time

_STATISTICS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "activation": torch.abs,
    "zeros": lambda x: (x != 0).to(x.dtype),
    "wanda": torch.square,
}


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
    images : float32 (n, height, width, channels), as the network takes them; not needed for
        "magnitude" and "random".
    labels : integer classes (n,); needed for "taylor".
    seed : of "random".

    Returns
    -------
    dict[str, np.ndarray]
        Name of the layer → float32, in the shape of its weight.

    Raises
    ------
    ValueError
        If there is no such kind, the model has nothing to prune, a weight is computed from
        others, a layer is never called, or pictures or labels are missing or of another shape
        or dtype.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    _check_kind(kind, WEIGHT_KINDS)
    chosen = _prunable(model)
    if kind == "random":
        random = np.random.default_rng(seed)
        return {n: random.random(m.weight.shape, np.float32) for n, m in chosen.items()}
    if kind == "magnitude":
        return {n: m.weight.detach().abs().numpy() for n, m in chosen.items()}
    if kind == "taylor":
        scores = _weights_taylor(model, chosen, images, labels)
    else:
        inputs = _input_means(model, chosen, images, _STATISTICS[kind])
        if kind == "wanda":
            scores = {n: m.weight.detach().abs() * inputs[n].sqrt() for n, m in chosen.items()}
        else:
            outputs = _output_means(model, chosen, images, _STATISTICS[kind])
            scores = {  # a number of each output unit: (outputs,) → (outputs, 1, …)
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
        * "activation": the mean of |y| over pictures and positions. y is what the layers behind
          know the channel by: the output of the first activation function that is computed
          after the layer, and before the next one with weights; normalisation and sums may lie
          between. If there is none, or it has not as many channels, y is the layer's output.
        * "zeros": the share of numbers y that are not 0, which is 1 minus the APoZ (average
          percentage of zeros) of Hu et al. (2016), "Network Trimming".
        * "taylor": |Σ y · ∂L/∂y| over the positions of a picture, the mean over pictures: how
          much the loss would change if y were 0 and the loss a straight line. Molchanov et al.
          (2017), "Pruning Convolutional Neural Networks for Resource Efficient Inference",
          with the sum of all positions in place of their mean.
        * "random": uniform in [0, 1), the control.
    images : float32 (n, height, width, channels), as the network takes them; not needed for
        "magnitude" and "random".
    labels : integer classes (n,); needed for "taylor".
    seed : of "random".

    Returns
    -------
    np.ndarray
        float64 (channels,).

    Raises
    ------
    ValueError
        If there is no such kind or layer, it is never called, its weight is computed from
        others, or pictures or labels are missing or of another shape or dtype.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    _check_kind(kind, CHANNEL_KINDS)
    known = layers(model)
    if layer not in known:
        raise ValueError(f"there is no layer {layer!r} to prune; there is: {', '.join(known)}")
    weight = own_weight(known[layer], layer).detach()
    if kind == "random":
        return np.random.default_rng(seed).random(len(weight))
    if kind == "magnitude":  # (channels, inputs, …) → (channels, weights of each)
        return weight.abs().flatten(1).sum(dim=1, dtype=torch.float64).numpy()
    if kind == "taylor":
        return _channels_taylor(model, layer, images, labels).numpy()
    return _output_means(model, {layer: known[layer]}, images, _STATISTICS[kind])[layer].numpy()


def _check_kind(kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise ValueError(f"expected one of the kinds {', '.join(kinds)}, got {kind!r}")


def _prunable(model: nn.Module) -> Layers:
    """Return the layers to prune, each with a weight of its own."""
    chosen = layers(model)
    if not chosen:
        raise ValueError("the network has no convolution (Conv2d) and no dense layer (Linear)")
    for name, layer in chosen.items():
        own_weight(layer, name)
    return chosen


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
    model: nn.Module, chosen: Layers, images: np.ndarray | None, of: Callable
) -> dict[str, torch.Tensor]:
    """Return the mean of ``of(x)`` over all numbers x that each weight multiplies.

    The derivative of Σ w·x for a weight w is the sum of all that it multiplies: with ``of(x)``
    in place of x, PyTorch adds it up for strides, padding (zeros count) and groups alike.
    """
    sums = {name: torch.zeros_like(m.weight) for name, m in chosen.items()}
    counts = dict.fromkeys(chosen, 0)

    def look(name: str, x: torch.Tensor, y: torch.Tensor) -> None:
        weight = chosen[name].weight  # a copy that has gradients
        with torch.enable_grad():
            total = chosen[name].forward(of(x)).sum()  # forward: without this hook
            sums[name] += torch.autograd.grad(total, weight)[0]
        counts[name] += y.numel() // len(weight)

    parameters = with_gradients(model)
    with torch.no_grad(), watching_layers(model, chosen, look):
        for part in _batches(model, images):
            answers_of(model, part, parameters)
    check_called(chosen, [name for name, count in counts.items() if count])
    return {name: sums[name] / counts[name] for name in chosen}


def _output_means(
    model: nn.Module, chosen: Layers, images: np.ndarray | None, of: Callable
) -> dict[str, torch.Tensor]:
    """Return the mean of ``of(y)`` over pictures and positions: name → float64 (channels,)."""
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}
    for part in _batches(model, images):
        with torch.no_grad():
            for name, y in known_outputs(model, chosen, part)[1]:
                # (pictures, channels, …) or (…, channels) → (channels, values of each)
                values = of(y).movedim(channel_axis(chosen[name]), 0).flatten(1)
                sums[name] = sums.get(name, 0) + values.sum(dim=1, dtype=torch.float64)
                counts[name] = counts.get(name, 0) + values.shape[1]
    return {name: sums[name] / counts[name] for name in chosen}


def _weights_taylor(
    model: nn.Module, chosen: Layers, images: np.ndarray | None, labels: np.ndarray | None
) -> dict[str, torch.Tensor]:
    parameters = with_gradients(model)
    weights = [parameters[f"{name}.weight".removeprefix(".")] for name in chosen]
    sums = [torch.zeros_like(weight) for weight in weights]
    with watching_layers(model, {}, lambda *_: None):
        for x, y in _labelled(model, images, labels):
            loss = torch_training.scores_loss(answers_of(model, x, parameters), y)
            for total, weight, slope in zip(sums, weights, _slopes(loss, weights), strict=True):
                total += (weight.detach() * slope).abs() * (len(x) / len(images))
    return dict(zip(chosen, sums, strict=True))


def _channels_taylor(
    model: nn.Module, name: str, images: np.ndarray | None, labels: np.ndarray | None
) -> torch.Tensor:
    layer, parameters = layers(model)[name], with_gradients(model)
    total = torch.zeros(len(layer.weight), dtype=torch.float64)
    for x, classes in _labelled(model, images, labels):
        scores, calls = known_outputs(model, {name: layer}, x, parameters)
        # A sum of losses: each picture's outputs get the gradient of its own loss.
        loss = torch_training.scores_loss(scores, classes) * len(x)
        change = torch.zeros(len(x), len(layer.weight))
        outputs = [y for _, y in calls]
        for y, slope in zip(outputs, _slopes(loss, outputs), strict=True):
            if len(y) != len(x):
                raise ValueError(
                    f"{name}: expected one output for each picture, got {len(y)} of {len(x)}"
                )
            terms = (y.detach() * slope).movedim(channel_axis(layer), 1)  # (pictures, channels, …)
            change += terms.reshape(*change.shape, -1).sum(dim=2)
        total += change.abs().sum(dim=0, dtype=torch.float64) / len(images)
    return total


def _slopes(loss: torch.Tensor, at: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the gradients of a loss; 0 where the loss does not depend on a tensor."""
    return torch.autograd.grad(loss, at, allow_unused=True, materialize_grads=True)
