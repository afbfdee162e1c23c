"""Operators without weights, as the integer kernels will compute them: with rounded numbers."""

from __future__ import annotations

from math import prod

import torch
from torch import nn

from edge_course.quantization_aware.fake_quantize import MovingRange, Numbers, fake_average
from edge_course.quantization_aware.template import ExportStep
from edge_course.quantization_aware.trace import FUSED, TracedOperator

# What has the scale and zero point of its inputs, which LiteRT demands of pooling and joining.
KEEPS_CODES = {"MAX_POOL_2D", "AVERAGE_POOL_2D", "CONCATENATION", "FLATTEN"}


def export_step(traced: TracedOperator, output: MovingRange) -> ExportStep:
    """Return what the file has to hold of an operator, without weights and inputs."""
    step = ExportStep(traced.kind, output.codes, FUSED[type(traced.activation)])
    settings, window = {}, traced.window
    if traced.kind == "CONCATENATION":
        settings = {"axis": len(traced.shape)}  # channels come last
    if window is not None:
        settings |= dict(zip(("strideH", "strideW"), window.stride, strict=True))
        if "POOL" in traced.kind:
            settings |= dict(zip(("filterHeight", "filterWidth"), window.kernel, strict=True))
        step = step._replace(kernel=window.kernel, pads=window.pads)
    return step._replace(settings=tuple(settings.items()), size=prod(traced.shape))


class QuantizedOperation(nn.Module):
    """An operator without weights: a sum, a mean, pooling, an activation, a concatenation.

    Parameters
    ----------
    traced : the operator.
    inputs : the ranges of what it reads. Pooling and concatenation keep them, all others have a
        range of their own.
    """

    def __init__(self, traced: TracedOperator, inputs: list[MovingRange]):
        super().__init__()
        self.traced, self.activation = traced, traced.activation
        self.keeps = traced.kind in KEEPS_CODES
        self.output = inputs[0] if self.keeps else MovingRange()
        if self.keeps:
            for one in inputs[1:]:
                self.output.share(one)

    def forward(self, *inputs: Numbers) -> Numbers:
        """Return the activation behind the operator."""
        y = self.activation(self.computed(*(x.values for x in inputs)))
        return Numbers(y, self.output.codes.scale) if self.keeps else self.output(y)

    def computed(self, *x: torch.Tensor) -> torch.Tensor:
        """Return what the operator computes, not yet rounded where it has its own range."""
        match self.traced.kind:
            case "ADD":
                return x[0] + x[1]
            case "MEAN":
                return x[0].mean(dim=(2, 3), keepdim=len(self.traced.shape) == 3)
            case "AVERAGE_POOL_2D":
                return fake_average(x[0], self.output.codes, self.traced.layer)
            case "CONCATENATION":
                return torch.cat(x, dim=1)
            case "FLATTEN":
                return x[0].flatten(1)
            case _:  # MAX_POOL_2D and activations
                return self.traced.layer(x[0])
