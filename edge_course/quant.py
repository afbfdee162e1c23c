"""Real numbers as small integers: r = scale · (q − zero_point).

The formula is that of Jacob et al. (2018), "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1.
"""

from __future__ import annotations

import numpy as np


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


def _check_parameters(scale: float, zero_point: int) -> None:
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"expected a positive, finite scale, got {scale}")
    if not -128 <= zero_point <= 127 or zero_point != int(zero_point):
        raise ValueError(f"expected a whole zero point from -128 to 127, got {zero_point}")
