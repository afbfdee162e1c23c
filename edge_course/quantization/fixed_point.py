"""Multiplying an integer by a real number, with integers only.

A real multiplier M becomes a whole one m of 31 bits and a shift: M = m / 2³¹ · 2^shift.
(Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 2.2.) The product is rounded to a whole number;
LiteRT's kernels do that in one step or in two, and the results can differ by one.
"""

from __future__ import annotations

import math

import numpy as np

BITS = 31  # of the whole multiplier, beside the sign


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Return a real multiplier as a whole one and a shift: real ≈ m / 2³¹ · 2^shift.

    Parameters
    ----------
    real : not negative, finite.

    Returns
    -------
    tuple[int, int]
        m, from 2³⁰ to 2³¹ − 1, and the shift, from −31 to 30. Less than the smallest is 0,
        more than the largest is the largest.

    Raises
    ------
    ValueError
        If it is negative, NaN or infinite.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    if not 0 <= real < math.inf:
        raise ValueError(f"expected a finite multiplier that is not negative, got {real}")
    fraction, shift = math.frexp(real)  # real = fraction · 2^shift, 1/2 ≤ fraction < 1
    multiplier = math.floor(fraction * 2**BITS + 0.5)
    if multiplier == 2**BITS:  # the fraction was rounded up to 1
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -BITS:
        return 0, 0
    if shift > BITS - 1:
        return 2**BITS - 1, BITS - 1
    return multiplier, shift


def quantize_multipliers(real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the m and the shifts of real multipliers, int64 (n,) each: `quantize_multiplier`."""
    multipliers, shifts = np.array([quantize_multiplier(float(r)) for r in np.ravel(real)]).T
    return multipliers, shifts


def layer_multipliers(
    input_scale: float, kernel_scales: np.ndarray, output_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return by what a layer rescales the sums of its channels: s_x · s_w / s_y as m and shift.

    Parameters
    ----------
    input_scale, output_scale : s_x and s_y, positive.
    kernel_scales : s_w, positive, one for each channel: (channels,).

    Returns
    -------
    tuple of np.ndarray
        int64 m and int64 shifts, (channels,) each; see `quantize_multiplier`.

    Raises
    ------
    ValueError
        If a scale is not positive and finite.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    # The scales of a file are float32; their product is taken in double precision.
    s_x, s_w, s_y = (np.asarray(s, np.float64) for s in (input_scale, kernel_scales, output_scale))
    if not all(np.all((s > 0) & (s < math.inf)) for s in (s_x, s_w, s_y)):
        raise ValueError("expected positive, finite scales")
    return quantize_multipliers(s_x * s_w / s_y)


def high_multiply(x: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
    """Return x · m / 2³¹ rounded to a whole number, halves up.

    Arm's instruction SQRDMULH, which gemmlowp calls a saturating rounding doubling high multiply.

    Parameters
    ----------
    x : whole numbers within int32.
    multiplier : whole numbers m, 0 ≤ m < 2³¹.

    Returns
    -------
    np.ndarray
        int64.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    return (np.asarray(x, np.int64) * multiplier + (1 << (BITS - 1))) >> BITS


def divide_by_power_of_two(x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Return x / 2^exponent rounded to a whole number, halves away from zero.

    Parameters
    ----------
    x : whole numbers within int32.
    exponent : whole numbers from 0 to 31.

    Returns
    -------
    np.ndarray
        int64.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    x = np.asarray(x, np.int64)
    mask = (np.int64(1) << exponent) - 1
    remainder = x & mask  # of rounding down, never negative
    return (x >> exponent) + (remainder > (mask >> 1) + (x < 0))


def rescale_twice(x: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return x · m / 2³¹ · 2^shift, rounded after the product and again after the shift.

    LiteRT's reference kernels rescale so, but for dense layers.

    Parameters
    ----------
    x : whole numbers within int32.
    multiplier, shift : as `quantize_multiplier` returns them, for all or for each channel.

    Returns
    -------
    np.ndarray
        int64.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    left = np.asarray(x, np.int64) << np.maximum(shift, 0)
    left = left.astype(np.int32)  # a register of 32 bits: what is too large wraps around
    return divide_by_power_of_two(high_multiply(left, multiplier), np.maximum(-shift, 0))


def rescale_once(x: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return x · m / 2³¹ · 2^shift, rounded once, halves up.

    LiteRT's reference kernel of dense layers rescales so.

    Parameters
    ----------
    x : whole numbers within int32.
    multiplier, shift : as `quantize_multiplier` returns them, for all or for each channel.

    Returns
    -------
    np.ndarray
        int64.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    bits = BITS - np.asarray(shift, np.int64)
    return (np.asarray(x, np.int64) * multiplier + (np.int64(1) << (bits - 1))) >> bits
