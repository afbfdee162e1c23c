"""The layers that can be pruned, and what they are given and give while a network computes.

A layer or an activation function may be called several times, and an activation function need
not be a module: calls are told apart, not names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from edge_course.networks import torch_training

Layers = dict[str, nn.Conv2d | nn.Linear]
_ACTIVATIONS = {  # as PyTorch calls their functions; ReLU6 calls hardtanh
    "relu", "relu6", "hardtanh", "leaky_relu", "elu", "silu", "gelu", "hardswish", "sigmoid",
    "tanh",
}  # fmt: skip


def layers(model: nn.Module) -> Layers:
    """Return the layers whose weights can be pruned: name → convolution or dense layer.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"expected a PyTorch network (torch.nn.Module), got {model!r:.80}")
    modules = model.named_modules()
    return {name: m for name, m in modules if isinstance(m, nn.Conv2d | nn.Linear)}


def own_weight(layer: nn.Module, name: str) -> nn.Parameter:
    """Return the weight of a layer, or refuse one that the layer computes from others.

    A number that is set to 0 in such a weight is back when the weight is computed anew.

    Raises
    ------
    ValueError
        If the weight is no parameter of the layer itself: behind ``weight_norm``, a
        parametrization, or PyTorch's own pruning.
    """
    weight = dict(layer.named_parameters(recurse=False)).get("weight")
    if weight is None:
        others = ", ".join(n for n, _ in layer.named_parameters() if n != "bias")
        raise ValueError(
            f"{name}: its weight is computed from {others or 'others'} whenever the layer is "
            "called, so it cannot be pruned: make it a parameter first "
            "(torch.nn.utils.parametrize.remove_parametrizations, torch.nn.utils.prune.remove)"
        )
    return weight


def with_gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of all parameters that have gradients, of frozen ones too: name → copy."""
    named = dict(model.named_parameters(remove_duplicate=False))
    copies = {p: p.detach().clone().requires_grad_() for p in named.values()}
    return {name: copies[p] for name, p in named.items()}


def answers_of(model: nn.Module, x: torch.Tensor, parameters: dict | None = None) -> torch.Tensor:
    """Return what the network computes of a batch, with other parameters if some are given."""
    with torch_training.taking(x):
        return functional_call(model, parameters or {}, (x,))


@contextmanager
def watching_layers(model: nn.Module, chosen: Layers, look: Callable) -> Iterator[None]:
    """Call ``look(name, input, output)`` whenever one of these layers is called.

    Inside a ``with`` block; one thread, and evaluation mode. What ``look`` returns, if not
    None, takes the place of the output.
    """
    handles = []
    for name, layer in chosen.items():

        def hook(layer, inputs, output, name=name):
            return look(name, inputs[0], output)

        handles.append(layer.register_forward_hook(hook))
    try:
        with torch_training.one_thread(), torch_training.evaluating(model):
            yield
    finally:
        for handle in handles:
            handle.remove()


def known_outputs(
    model: nn.Module, noted: Layers, x: torch.Tensor, parameters: dict | None = None
) -> tuple[torch.Tensor, list[tuple[str, torch.Tensor]]]:
    """Return the scores of a batch, and what the layers behind know some layers' channels by.

    Returns
    -------
    torch.Tensor
        The scores.
    list of (str, torch.Tensor)
        For each call of one of the layers, in their order: its name, and y as
        `importance.of_channels` defines it.

    Raises
    ------
    ValueError
        If the network does not take the batch, or one of the layers is never called.
    """
    outputs = _KnownOutputs(noted)
    with watching_layers(model, layers(model), outputs.look), outputs:
        scores = answers_of(model, x, parameters)
    check_called(noted, [name for name, _ in outputs.calls])
    return scores, outputs.calls


class _KnownOutputs(TorchFunctionMode):
    """Sees every function that PyTorch computes, and is told of every layer."""

    def __init__(self, noted: Layers):
        super().__init__()
        self.noted, self.waiting = noted, False  # for an activation function
        self.calls: list[tuple[str, torch.Tensor]] = []

    def look(self, name: str, _: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Note a layer's own output, until an activation function is computed."""
        self.waiting = name in self.noted
        if self.waiting:
            self.calls.append((name, y))
        return y.clone()  # what comes behind may change it in place

    def __torch_function__(self, function, types, args=(), kwargs=None):
        y = function(*args, **(kwargs or {}))
        if not self.waiting or function.__name__.removesuffix("_") not in _ACTIVATIONS:
            return y
        self.waiting = False
        name, output = self.calls[-1]
        axis = channel_axis(self.noted[name])
        if y.ndim == output.ndim and y.shape[axis] == output.shape[axis]:
            self.calls[-1] = name, y
        return y.clone()


def check_called(noted: Iterable[str], called: Iterable[str]) -> None:
    """Raise a ValueError if one of these layers was not called."""
    if unused := sorted(set(noted) - set(called)):
        raise ValueError(
            f"the layer {unused[0]!r} is never called when the network computes: there is nothing "
            "to measure"
        )


def channel_axis(layer: nn.Conv2d | nn.Linear) -> int:
    """Return the axis of a layer's output channels: a dense layer's is the last."""
    return -1 if isinstance(layer, nn.Linear) else 1
