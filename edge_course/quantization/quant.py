"""Real numbers as small integers: r = scale · (q − zero_point).

The formula is that of Jacob et al. (2018), "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1. Scale and zero
point are single numbers for a whole tensor, or arrays with one of each channel, shaped so
that they spread over the tensor: (channels, 1, 1, 1) for a kernel whose first axis it is.

Ranges to start from come from `edge_course.quantization.calibration`; what is lost on the way
is the subject of `edge_course.quantization.round_trip`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_course.quantization.rounding import rounded

NARROWEST = 1e-6  # a range of activations below this is widened, so that no scale is 0


class Parameters(NamedTuple):
    """What codes mean: float32 scale, the step between codes, and int32 code of 0.0."""

    scale: np.ndarray
    zero_point: np.ndarray


def code_range(bits: int, *, narrow: bool = False) -> tuple[int, int]:
    """Return the lowest and the highest code: −2^(bits−1) and 2^(bits−1) − 1.

    Parameters
    ----------
    bits : of a code, 2 to 8.
    narrow : leave out the lowest code, so that each has its negative.

    Raises
    ------
    ValueError
        If the bits are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    if bits not in range(2, 9):
        raise ValueError(f"expected 2 to 8 bits, got {bits!r}")
    half = 2 ** (int(bits) - 1)
    return (1 - half if narrow else -half), half - 1


def asymmetric(low: np.ndarray, high: np.ndarray, bits: int = 8) -> Parameters:
    """Return the affine parameters that spread all codes over a range: for activations.

    The range is first made to contain 0. Then scale = (high − low) / (2^bits − 1), and the
    zero point is lowest code − low / scale, *nudged* to the nearest whole number, because
    0.0 must have a code of its own: it pads pictures and comes out of every ReLU. The
    nudge moves the range by up to half a scale.

    Jacob et al. (2018), equations 12 to 14, in the arithmetic of LiteRT's converter: the
    scale in float32, the zero point rounded in float32, halves away from zero. A range
    below `NARROWEST` is widened by it on either side.

    Parameters
    ----------
    low, high : the smallest and the largest number, or arrays with one of each channel.
    bits : of a code, 2 to 8.

    Returns
    -------
    Parameters
        In the shape of ``low`` and ``high``.

    Raises
    ------
    ValueError
        If a limit is not finite, ``low`` is above ``high``, the range does not fit
        float32, or the bits are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    first, last = code_range(bits)
    low, high = _checked_range(low, high)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    wider = np.where(high - low < NARROWEST, NARROWEST, 0)
    low, high = low - wider, high + wider
    scale = (np.float32(high) - np.float32(low)) / np.float32(last - first)
    from_low = np.float32(first - low / np.float64(scale))
    zero_point = np.clip(rounded(from_low, "away"), first, last)
    return Parameters(scale, np.int32(zero_point))


def symmetric(low: np.ndarray, high: np.ndarray, bits: int = 8) -> Parameters:
    """Return the parameters of a range around 0, zero point 0: for weights.

    scale = max(|low|, |high|) / (2^(bits−1) − 1). The lowest code is left out (`narrow`),
    as it has no positive partner: 8 bits give −127 … 127. With zero point 0, a product of
    two codes needs no correction. Krishnamoorthi (2018), "Quantizing deep convolutional
    networks for efficient inference", section 2.2; LiteRT 8-bit quantization specification.

    In float32, as LiteRT's converter computes it; a largest number below `NARROWEST` / 2
    counts as that.

    Parameters
    ----------
    low, high : the smallest and the largest number, or arrays with one of each channel.
    bits : of a code, 2 to 8.

    Returns
    -------
    Parameters
        In the shape of ``low`` and ``high``.

    Raises
    ------
    ValueError
        As `asymmetric`.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    low, high = _checked_range(low, high)
    largest = np.float32(np.maximum(np.maximum(-low, high), NARROWEST / 2))
    return Parameters(
        largest / np.float32(code_range(bits)[1]), np.zeros(largest.shape, np.int32)[()]
    )


def quantize(x: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return the int8 codes of real numbers.

    q = clip(round(x / scale) + zero_point, −128, 127), halves rounded to even.

    Parameters
    ----------
    x : real numbers, any shape.
    scale : the step between two neighbouring codes, positive.
    zero_point : the code of 0.0, from −128 to 127.

    Returns
    -------
    np.ndarray
        int8, the shape of ``x``.

    Raises
    ------
    ValueError
        If ``x`` has NaN, the scale is not positive or the zero point is no int8.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    x = np.asarray(x, dtype=np.float32)
    _check_parameters(scale, zero_point)
    if np.isnan(x).any():
        raise ValueError("NaN has no integer code: expected real numbers")
    codes = np.round(x / np.float32(scale)) + zero_point
    return np.clip(codes, -128, 127).astype(np.int8)


def dequantize(q: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return the real numbers that int8 codes stand for: scale · (q − zero_point).

    Parameters
    ----------
    q : int8 codes, any shape.
    scale : the step between two neighbouring codes, positive.
    zero_point : the code of 0.0, from −128 to 127.

    Returns
    -------
    np.ndarray
        float32, the shape of ``q``.

    Raises
    ------
    ValueError
        If ``q`` is not int8, the scale is not positive or the zero point is no int8.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    q = np.asarray(q)
    _check_parameters(scale, zero_point)
    if q.dtype != np.int8:
        raise ValueError(f"expected int8 codes, got {q.dtype}")
    # The difference of two int8 needs up to 9 bits: widen first.
    return np.float32(scale) * (q.astype(np.int32) - zero_point).astype(np.float32)


def channel_scales(weight: np.ndarray) -> np.ndarray:
    """Return a scale for each output channel of a weight, for int8 codes from −127 to 127.

    The largest absolute value of a channel gets the code 127 or −127, and the zero point
    is 0: max |w| / 127. A channel of zeros gets the scale 1. (Krishnamoorthi 2018, "Quantizing
    deep convolutional networks for efficient inference", section 2: per-channel, symmetric.)

    Parameters
    ----------
    weight : real numbers, shape (channels_out, …).

    Returns
    -------
    np.ndarray
        The dtype of ``weight``, shape (channels_out,).

    Raises
    ------
    ValueError
        If there are fewer than two dimensions, no numbers, or NaN or infinity.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    weight = np.asarray(weight)
    if weight.ndim < 2 or not weight.size:
        raise ValueError(f"expected a weight of shape (channels_out, …), got {weight.shape}")
    if not np.isfinite(weight).all():
        raise ValueError("the weight has NaN or infinity in it, expected finite numbers")
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)))
    return np.where(largest > 0, largest / 127, 1).astype(weight.dtype)


def quantize_bits(
    x: np.ndarray,
    scale: np.ndarray,
    zero_point: np.ndarray,
    bits: int = 8,
    *,
    narrow: bool = False,
    rounding: str = "even",
) -> np.ndarray:
    """Return codes of 2 to 8 bits: `quantize` with a choice of what it fixes.

    Parameters
    ----------
    x : real numbers, any shape; infinities are clipped as other numbers are.
    scale, zero_point : as of `asymmetric` or `symmetric` with as many bits; arrays must
        spread over ``x``.
    bits : of a code, 2 to 8.
    narrow : leave out the lowest code: for `symmetric` parameters.
    rounding : see `rounding.rounded`; LiteRT's converter rounds weights with "away".

    Returns
    -------
    np.ndarray
        int8, the shape of ``x``, whatever the bits; `edge_course.quantization.packing` packs them.

    Raises
    ------
    ValueError
        If ``x`` has NaN, a scale is not positive, a zero point is no code, the shapes do
        not fit, or bits or rounding are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    x, codes = np.asarray(x, dtype=np.float32), code_range(bits, narrow=narrow)
    _check_parameters(scale, zero_point, codes)
    if np.isnan(x).any():
        raise ValueError("NaN has no integer code: expected real numbers")
    if np.broadcast_shapes(x.shape, np.shape(scale), np.shape(zero_point)) != x.shape:
        raise ValueError(f"scales {np.shape(scale)} do not spread over numbers {x.shape}")
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is clipped like the rest
        whole = rounded(x / np.float32(scale), rounding) + zero_point
    return np.clip(whole, *codes).astype(np.int8)


def _checked_range(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a range as float64, or say what is wrong with it."""
    low, high = np.float64(low), np.float64(high)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and np.all(low <= high)):
        raise ValueError(f"expected a finite range from low to high, got {low} to {high}")
    if np.any(np.maximum(high, 0) - np.minimum(low, 0) > np.finfo(np.float32).max):
        raise ValueError(f"the range from {low} to {high} is too wide for float32")
    return low, high


def _check_parameters(
    scale: np.ndarray, zero_point: np.ndarray, codes: tuple[int, int] = (-128, 127)
) -> None:
    if not np.all(np.isfinite(scale) & (np.asarray(scale) > 0)):
        raise ValueError(f"expected a positive, finite scale, got {scale}")
    whole = np.asarray(zero_point) == np.rint(zero_point)
    if not np.all((np.clip(zero_point, *codes) == zero_point) & whole):
        low, high = codes
        raise ValueError(f"expected a whole zero point from {low} to {high}, got {zero_point}")
