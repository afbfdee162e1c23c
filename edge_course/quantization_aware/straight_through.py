"""What quantization-aware training adds to training, a step at a time, in NumPy.

`edge_course.quantization_aware.sensitivity` does the same inside PyTorch.
"""

from __future__ import annotations

import math

import numpy as np

from edge_course.quantization import quant


def straight_through(
    x: np.ndarray, gradient: np.ndarray, scale: float, zero_point: int, bits: int = 8
) -> np.ndarray:
    """Return the gradient that the straight-through estimator hands back through rounding.

    Fake quantization is a staircase: its true derivative is 0 nearly everywhere, and nothing
    would ever be learned. The estimator takes the staircase for the line through it: a number
    whose code needs no clipping gets the gradient as it comes, a clipped one gets 0, because
    a small change of it changes nothing.

    Bengio et al. (2013), "Estimating or Propagating Gradients Through Stochastic Neurons for
    Conditional Computation"; with the clipping as in Jacob et al. (2018), section 3.

    Parameters
    ----------
    x : the numbers that were fake-quantized, float32, any shape.
    gradient : of the loss for each fake-quantized number, the shape of ``x``.
    scale, zero_point : as of `quant.quantize_bits`.
    bits : of a code, 2 to 8.

    Returns
    -------
    np.ndarray
        float32, the shape of ``x``: the gradient of the loss for each number before.

    Raises
    ------
    ValueError
        If there is NaN, the shapes differ, or the parameters are not as above.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    x, gradient = np.asarray(x, np.float32), np.asarray(gradient, np.float32)
    if x.shape != gradient.shape:
        raise ValueError(f"expected a gradient for each number {x.shape}, got {gradient.shape}")
    if np.isnan(gradient).any():
        raise ValueError("the gradient has NaN in it, expected real numbers")
    quant.quantize_bits(x, scale, zero_point, bits)  # checks the numbers and the parameters
    low, high = quant.code_range(bits)
    codes = np.rint(x / np.float32(scale)) + zero_point
    inside = (codes >= low) & (codes <= high)
    return gradient * inside


def moving_average_range(
    low: float, high: float, x: np.ndarray, momentum: float
) -> tuple[float, float]:
    """Return the range of an activation after one more batch.

    Both limits move a little towards those of the batch:
    low ← momentum · low + (1 − momentum) · min(x), and high likewise. So an outlier of one
    batch is soon forgotten, and the range follows the weights as they change. A range that
    is NaN was never seen, and takes the limits of the batch. Jacob et al. (2018), section 3.1.

    Parameters
    ----------
    low, high : the range so far, or both NaN.
    x : the batch, real numbers of any shape, at least one.
    momentum : how much of the old range stays, from 0 to below 1.

    Returns
    -------
    tuple of float
        The new low and high.

    Raises
    ------
    ValueError
        If there is no number, or NaN or infinity, or the momentum is not as above.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    x = np.asarray(x)
    if not x.size or not np.isfinite(x).all():
        raise ValueError("expected finite numbers, at least one, to take a range of")
    if not 0 <= momentum < 1:
        raise ValueError(f"expected a momentum from 0 to below 1, got {momentum}")
    smallest, largest = float(x.min()), float(x.max())
    if math.isnan(low) or math.isnan(high):
        return smallest, largest
    new_low = momentum * low + (1 - momentum) * smallest
    return new_low, momentum * high + (1 - momentum) * largest


def widen_for_bias(weight_scales: np.ndarray, bias: np.ndarray, input_scale: float) -> np.ndarray:
    """Return a layer's weight scales, larger where its bias would have no int32 code.

    A pruned filter has weights of 0 and a bias all the same. The scale that its weights ask for is
    next to nothing, and the bias would need a code beyond int32. So the scale grows until the bias
    takes half of the range, as LiteRT's converter does; the other half is left to the products
    that are added. The weights lose nothing: they were rounded far finer than the bias.

    Parameters
    ----------
    weight_scales : float32 (channels,), from the weights alone.
    bias : float32 (channels,).
    input_scale : of the layer's input.

    Returns
    -------
    np.ndarray
        float32 (channels,), nowhere smaller than ``weight_scales``.
    """
    largest = np.float32(2**31 / 2) * np.float32(input_scale)  # bias at the weight scale 1
    return np.maximum(weight_scales, np.abs(bias) / largest)


def quantize_bias(bias: np.ndarray, input_scale: float, weight_scales: np.ndarray) -> np.ndarray:
    """Return the int32 codes of a layer's biases.

    A bias is added to a sum of products of two codes, input and weight; so its scale has to be
    the product of theirs, and its zero point 0. LiteRT 8-bit quantization specification.

    Parameters
    ----------
    bias : float32, one for each channel.
    input_scale : of the layer's input.
    weight_scales : float32, one for each channel.

    Returns
    -------
    np.ndarray
        int32, the shape of ``bias``; halves rounded to even.

    Raises
    ------
    ValueError
        If the shapes differ, a scale is not positive, or a code does not fit int32.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    bias, weight_scales = np.asarray(bias, np.float32), np.asarray(weight_scales, np.float32)
    scales = np.float32(input_scale) * weight_scales
    if bias.shape != scales.shape or not np.isfinite(bias).all() or not (scales > 0).all():
        raise ValueError(
            f"expected finite biases with a positive scale each, got {bias.shape} biases and "
            f"{scales.shape} scales"
        )
    codes = np.rint(bias / scales)
    if bias.size and np.abs(codes).max() >= 2**31:
        channel = int(np.abs(codes).argmax())
        raise ValueError(
            f"the bias {bias[channel]} of channel {channel} does not fit int32 with the scale "
            f"{scales[channel]}: its weights are all close to 0; widen_for_bias makes room"
        )
    return codes.astype(np.int32)
