"""Rounding inside a network that trains: forward to codes and back, backward straight through.

Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from edge_course.quantization import quant
from edge_course.quantization_aware.straight_through import moving_average_range

MOMENTUM = 0.95  # of a range: how much of it stays when a batch has been seen


class FakeQuantize(torch.autograd.Function):
    """Rounding to codes and back, with the gradient of the straight-through estimator.

    The same as `round_trip.fake_quantize` forward and `straight_through.straight_through` backward.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor,
        low: int,
        high: int,
    ) -> torch.Tensor:
        """Return what comes back from the codes of ``x``, from ``low`` to ``high``."""
        codes = torch.round(x / scale) + zero_point  # halves to even
        ctx.save_for_backward((codes >= low) & (codes <= high))
        return (codes.clamp(low, high) - zero_point) * scale

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        """Return the gradient for ``x``: as it came, but 0 where ``x`` was clipped."""
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None, None


def fake_quantize(
    x: torch.Tensor, parameters: quant.Parameters, bits: int = 8, *, narrow: bool = False
) -> torch.Tensor:
    """Return numbers as they come back from their codes; gradients pass straight through.

    Parameters
    ----------
    x : float32, any shape.
    parameters : scale and zero point, which spread over ``x``; they get no gradient.
    bits, narrow : as of `quant.quantize_bits`.

    Returns
    -------
    torch.Tensor
        float32, the shape of ``x``, the very numbers of `round_trip.fake_quantize`.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    scale = torch.from_numpy(np.asarray(parameters.scale, np.float32))
    zero_point = torch.from_numpy(np.asarray(parameters.zero_point, np.float32))
    return FakeQuantize.apply(x, scale, zero_point, *quant.code_range(bits, narrow=narrow))


class Numbers(NamedTuple):
    """Fake-quantized activations on their way to the next layer, with their scale."""

    values: torch.Tensor
    scale: np.ndarray


class MovingRange(nn.Module):
    """Fake-quantizes an activation to 8 bits; in training its range follows the batches."""

    def __init__(self):
        super().__init__()
        self.register_buffer("low", torch.tensor(torch.nan))
        self.register_buffer("high", torch.tensor(torch.nan))

    def forget(self) -> None:
        """Have no range, so that the next batch in training gives it."""
        self.low.fill_(torch.nan)
        self.high.fill_(torch.nan)

    @property
    def codes(self) -> quant.Parameters:
        """Scale and zero point of the range."""
        if torch.isnan(self.low):
            raise ValueError("an activation has no range yet: call calibrate with some pictures")
        return quant.asymmetric(self.low.numpy(), self.high.numpy())

    def forward(self, x: torch.Tensor) -> Numbers:
        """Return the numbers as they come back from their codes."""
        if self.training:
            batch = x.detach().numpy()
            low, high = moving_average_range(self.low.item(), self.high.item(), batch, MOMENTUM)
            self.low.fill_(low)
            self.high.fill_(high)
        return Numbers(fake_quantize(x, self.codes), self.codes.scale)
