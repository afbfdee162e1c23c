"""Rounding shifts the mean of what a layer computes; its bias can take the shift back.

Nagel et al. (2019), "Data-Free Quantization Through Weight Equalization and Bias Correction",
section 4.2, with measured means in place of computed ones (their appendix D).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import batch_norm

from edge_course.networks.torch_training import evaluating, one_thread
from edge_course.quantization_aware.network import QuantizedLayer, QuantizedNetwork


def correct_biases(
    network: QuantizedNetwork, model: nn.Module, inputs: np.ndarray
) -> QuantizedNetwork:
    """Shift each bias so that the mean of every channel is that in real numbers.

    Layer by layer, in the order of computing: the layers before are rounded and corrected
    already, so a layer also makes up for what they left. No label is looked at, and no weight
    changes. In the end the ranges are taken anew.

    Parameters
    ----------
    network : calibrated, not trained.
    model : what it was made of.
    inputs : float32 as of `network.calibrate`, some hundred.

    Returns
    -------
    QuantizedNetwork
        The same network.

    Raises
    ------
    ValueError
        If the inputs are not as above, the network was not calibrated, or the model has no layer
        of one of its names.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    x, layers = network.as_inputs(inputs), network.layers().values()
    modules = dict(model.named_modules())
    for layer in layers:
        if type(modules.get(layer.traced.name)) is not type(layer.layer):
            raise ValueError(f"expected the model that the network was made of, it has no layer "
                             f"{layer.traced.name}")  # fmt: skip
    with torch.no_grad(), one_thread(), evaluating(model):
        in_real = _means(model, [modules[layer.traced.name] for layer in layers], x)
        for layer in layers:
            real, norm = in_real[modules[layer.traced.name]], layer.norm
            if norm is not None:  # the same line for every number of a channel, so for means
                averages = norm.running_mean, norm.running_var
                real = batch_norm(real[None], *averages, norm.weight, norm.bias, eps=norm.eps)[0]
            _shift(layer, real - _means(network, [layer], x)[layer])
    return network.calibrate(inputs)


def _means(network: nn.Module, layers: list[nn.Module], x: torch.Tensor) -> dict:
    """Return the means (channels,) of what each layer computes, before its own activation."""
    means = {}

    def take(layer: nn.Module, read: tuple, made: object) -> None:
        sums = layer.sums(*read) if isinstance(layer, QuantizedLayer) else made
        means[layer] = sums.transpose(0, 1).flatten(1).mean(dim=1)

    hooks = [layer.register_forward_hook(take) for layer in layers]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return means


def _shift(layer: QuantizedLayer, difference: torch.Tensor) -> None:
    """Add to the bias that the file will hold, wherever the layer has it."""
    owner = layer.layer if layer.norm is None else layer.norm
    if owner.bias is None:
        owner.bias = nn.Parameter(difference)
    else:
        owner.bias += difference
