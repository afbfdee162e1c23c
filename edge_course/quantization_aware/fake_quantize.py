"""Rounding inside a network that trains: forward to codes and back, backward straight through.

Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.
"""

from __future__ import annotations

from collections.abc import Callable
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


def fake_average(
    x: torch.Tensor, parameters: quant.Parameters, average: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return means of fake-quantized numbers, as means of their codes, in the same codes.

    The runtime rounds the mean of codes to a code, halves away from zero; the gradient is that of
    the mean.

    Parameters
    ----------
    x : float32, whole multiples of the scale.
    parameters : scale and zero point of ``x``, which the mean keeps.
    average : takes the mean of some numbers of a tensor, for example in windows.
    """
    scale, zero_point = float(parameters.scale), float(parameters.zero_point)
    means = average(x)
    codes = average(torch.round(x.detach() / scale)) + zero_point  # sums are exact, so halves too
    rounded = torch.sign(codes) * torch.floor(codes.abs() + 0.5)
    return means + ((rounded - zero_point) * scale - means).detach()


class Numbers(NamedTuple):
    """Fake-quantized activations on their way to the next layer, with their scale."""

    values: torch.Tensor
    scale: np.ndarray


class MovingRange(nn.Module):
    """Fake-quantizes an activation to 8 bits; in training its range follows the batches.

    Attributes
    ----------
    sharing : the ranges that have one scale and zero point in common: it alone, until `share`.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("low", torch.tensor(torch.nan))
        self.register_buffer("high", torch.tensor(torch.nan))
        self.sharing = [self]

    def share(self, other: MovingRange) -> None:
        """Have the scale and zero point of another range, as what is concatenated must."""
        if other not in self.sharing:
            together = self.sharing + other.sharing
            for one in together:
                one.sharing = together

    def forget(self) -> None:
        """Have no range, so that the next batch in training gives it."""
        self.low.fill_(torch.nan)
        self.high.fill_(torch.nan)

    @property
    def codes(self) -> quant.Parameters:
        """Scale and zero point of the range; of all ranges together where some share them."""
        if torch.isnan(self.low):
            raise ValueError("an activation has no range yet: call calibrate with some inputs")
        # In the first batch of all, the ranges further on are still unknown (NaN).
        low = np.nanmin([one.low.numpy() for one in self.sharing])
        return quant.asymmetric(low, np.nanmax([one.high.numpy() for one in self.sharing]))

    def forward(self, x: torch.Tensor) -> Numbers:
        """Return the numbers as they come back from their codes."""
        if self.training:
            batch = x.detach().numpy()
            low, high = moving_average_range(self.low.item(), self.high.item(), batch, MOMENTUM)
            self.low.fill_(low)
            self.high.fill_(high)
        return Numbers(fake_quantize(x, self.codes), self.codes.scale)
