"""Rounding shifts the mean of what a layer computes; its bias can take the shift back.

Nagel et al. (2019), "Data-Free Quantization Through Weight Equalization and Bias Correction",
section 4.2, with measured means in place of computed ones (their appendix D).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

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
    x = network.as_inputs(inputs)
    modules = dict(model.named_modules())
    for layer in network.layers().values():
        if type(modules.get(layer.traced.name)) is not type(layer.layer):
            raise ValueError(f"expected the model that the network was made of, it has no layer "
                             f"{layer.traced.name}")  # fmt: skip
    with torch.no_grad(), one_thread(), evaluating(model):
        for layer in network.layers().values():
            real = _channel_means(_seen(model, modules[layer.traced.name], x, 1))
            if layer.norm is not None:  # the same line for every number of a channel, so for means
                s = layer.norm.weight / torch.sqrt(layer.norm.running_var + layer.norm.eps)
                real = s * (real - layer.norm.running_mean) + layer.norm.bias
            rounded = _channel_means(layer.sums(_seen(network, layer, x, 0)))
            _shift(layer, real - rounded)
    return network.calibrate(inputs)


def _seen(network: nn.Module, layer: nn.Module, x: torch.Tensor, which: int):
    """Return what a layer reads (0) or returns (1) when a network computes x."""
    seen = []
    handle = layer.register_forward_hook(lambda _, read, made: seen.append((read[0], made)[which]))
    try:
        network(x)
    finally:
        handle.remove()
    return seen[0]


def _channel_means(y: torch.Tensor) -> torch.Tensor:
    """Return (channels,) of (n, channels, …)."""
    return y.transpose(0, 1).flatten(1).mean(dim=1)


def _shift(layer: QuantizedLayer, difference: torch.Tensor) -> None:
    """Add to the bias that the file will hold, wherever the layer has it."""
    owner = layer.layer if layer.norm is None else layer.norm
    if owner.bias is None:
        owner.bias = nn.Parameter(difference)
    else:
        owner.bias += difference
