"""The int32 sum in which an integer layer adds up its products: what goes in, how large it gets.

For one output of a layer, with codes x of its input, their zero point z, weights w and bias b:
sum = Σ (x − z) · w + b. (Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", sections 2.2 and 2.3.)
"""

from __future__ import annotations

import numpy as np

LOWEST, HIGHEST = -128, 127  # codes of an input
INT32 = np.iinfo(np.int32)


def sum_bounds(
    kernel: np.ndarray, bias: np.ndarray, zero_point: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest sum that any input can bring each unit to.

    Σ (x − z) · w + b is largest with the code 127 wherever w is positive and −128 wherever
    it is negative; smallest the other way round. The sum stays within the bounds on its way
    there as well, as every product can be 0 or less, and 0 or more.

    Parameters
    ----------
    kernel : int8 codes of the weights, zero point 0; shape (units, …).
    bias : int32 (units,).
    zero_point : of the input, from −128 to 127.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        int64 (units,) each.

    Raises
    ------
    ValueError
        If a dtype or a shape is another one, or the zero point is no int8.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    w, bias = _checked(kernel, bias, zero_point)
    from_lowest, from_highest = (LOWEST - zero_point) * w, (HIGHEST - zero_point) * w
    low = np.minimum(from_lowest, from_highest).sum(axis=1) + bias
    high = np.maximum(from_lowest, from_highest).sum(axis=1) + bias
    return low, high


def folded_bias(bias: np.ndarray, kernel: np.ndarray, zero_point: int) -> np.ndarray:
    """Return the bias that takes the input's zero point along: b − z · Σ w.

    Σ (x − z) · w + b = Σ x · w + (b − z · Σ w), and the bracket does not depend on the input:
    it is computed once, and the inner loop multiplies codes as they are. Jacob et al. (2018),
    section 2.3. A border of padding then has to hold the code z, which stands for 0.0.

    Parameters
    ----------
    bias : int32 (units,).
    kernel : int8 codes of the weights, zero point 0; shape (units, …).
    zero_point : of the input, from −128 to 127.

    Returns
    -------
    np.ndarray
        int32 (units,).

    Raises
    ------
    ValueError
        If a dtype or a shape is another one, the zero point is no int8, or the result does not
        fit int32.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    w, bias = _checked(kernel, bias, zero_point)
    folded = bias - zero_point * w.sum(axis=1)
    if np.any(folded != np.clip(folded, INT32.min, INT32.max)):
        raise ValueError(f"a folded bias does not fit int32: {folded.min()} to {folded.max()}")
    return folded.astype(np.int32)


def _checked(
    kernel: np.ndarray, bias: np.ndarray, zero_point: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (units, products) and bias as int64, or say what is wrong with them."""
    kernel, bias = np.asarray(kernel), np.asarray(bias)
    if kernel.dtype != np.int8 or bias.dtype != np.int32:
        raise ValueError(f"expected an int8 kernel and an int32 bias, got {kernel.dtype} and "
                         f"{bias.dtype}")  # fmt: skip
    if kernel.ndim < 2 or bias.shape != kernel.shape[:1]:
        raise ValueError(
            f"expected a kernel (units, …) and as many biases, got {kernel.shape} and {bias.shape}"
        )
    if zero_point not in range(LOWEST, HIGHEST + 1):
        raise ValueError(
            f"expected a whole zero point from {LOWEST} to {HIGHEST}, got {zero_point}"
        )
    kernel = kernel.reshape(len(kernel), -1)  # (units, products of a sum)
    return kernel.astype(np.int64), bias.astype(np.int64)
