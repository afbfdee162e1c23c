"""What quantization loses: real numbers as they come back from their codes, and how far off."""

from __future__ import annotations

import numpy as np

from edge_course.quantization import quant


def fake_quantize(
    x: np.ndarray,
    scale: np.ndarray,
    zero_point: np.ndarray,
    bits: int = 8,
    *,
    narrow: bool = False,
    rounding: str = "even",
) -> np.ndarray:
    """Return real numbers as they come back from their codes: quantized, then dequantized.

    So a network computed in float32 feels what quantization does to it.
    Jacob et al. (2018), section 3.

    Parameters
    ----------
    x, scale, zero_point, bits, narrow, rounding : as of `quant.quantize_bits`.

    Returns
    -------
    np.ndarray
        float32, the shape of ``x``, of at most 2^bits different values a channel.

    Raises
    ------
    ValueError
        As `quant.quantize_bits`.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    codes = quant.quantize_bits(x, scale, zero_point, bits, narrow=narrow, rounding=rounding)
    return quant.dequantize(codes, scale, zero_point)


def largest_error(scale: np.ndarray) -> np.ndarray:
    """Return the bound of |x − fake_quantize(x)| inside the range: scale / 2.

    The nearest code is never further away. Inside the range means between the limits given
    to `quant.asymmetric` or `quant.symmetric`; the last bits of float32 come on top. Roundings
    that do not take the nearest reach a whole scale.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    return scale / 2


def rms_error(scale: np.ndarray) -> np.ndarray:
    """Return the expected root mean square of x − fake_quantize(x): scale / √12.

    That is the standard deviation of a number spread evenly over one step, from −scale/2
    to scale/2. It holds inside the range as long as a step is small compared with the
    spread of the numbers (Widrow and Kollár, 2008, "Quantization Noise", chapter 4).

    Taught in: notebooks/07_quantization_math.ipynb
    """
    return scale / np.sqrt(12)
