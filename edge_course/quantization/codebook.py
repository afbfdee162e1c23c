"""A codebook: few values, chosen freely, and for each weight the number of its value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Codebook(NamedTuple):
    """Weights as indices into a table of values.

    Attributes
    ----------
    values : float32 (2^bits,), ascending.
    indices : uint8, the shape of the weights.
    """

    values: np.ndarray
    indices: np.ndarray

    def decode(self) -> np.ndarray:
        """Return the weights that the indices stand for, float32."""
        return self.values[self.indices]


def fit_codebook(x: np.ndarray, bits: int, *, rounds: int = 100) -> Codebook:
    """Return a codebook of real numbers, found by k-means.

    The 2^bits values begin evenly spread over the range; then, in turn, each number goes to
    the nearest value and each value to the mean of its numbers, until nothing changes. No
    step makes the squared error larger, but the smallest possible one is not promised: the
    beginning matters, and this one keeps large weights, which matter. A value without
    numbers stays where it is.

    Han et al. (2016), "Deep Compression", section 3; the steps are Lloyd's (1982).

    Parameters
    ----------
    x : real numbers, any shape, finite, at least one.
    bits : of an index, 1 to 8.
    rounds : at most so many times both steps, at least 1.

    Raises
    ------
    ValueError
        If there are no numbers, NaN or infinity, or bits or rounds are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    x = np.asarray(x, dtype=np.float32)
    if not x.size or not np.isfinite(x).all():
        raise ValueError(f"expected finite numbers, at least one, got {x.size}")
    if bits not in range(1, 9) or rounds < 1:
        raise ValueError(f"expected 1 to 8 bits and at least 1 round, got {bits}, {rounds}")
    numbers = x.ravel().astype(np.float64)
    values = np.linspace(numbers.min(), numbers.max(), 2**bits)
    for _ in range(rounds):
        indices = _nearest(numbers, values)
        counts = np.bincount(indices, minlength=len(values))
        sums = np.bincount(indices, numbers, minlength=len(values))
        means = np.where(counts > 0, sums / np.maximum(counts, 1), values)
        if np.array_equal(means, values):
            break
        values = means
    table = values.astype(np.float32)
    return Codebook(table, _nearest(x.ravel(), table).astype(np.uint8).reshape(x.shape))


def _nearest(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the index of the value nearest to each number; the values ascend."""
    return np.searchsorted((values[1:] + values[:-1]) / 2, numbers)


def size_bytes(count: int, bits: int) -> int:
    """Return the bytes of a codebook in memory: packed indices and the table they point to.

    ⌈count · bits / 8⌉ + 4 · 2^bits, the values being float32.

    Parameters
    ----------
    count : of weights, at least 0.
    bits : of an index, 1 to 8.

    Raises
    ------
    ValueError
        If count or bits are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    if count < 0 or bits not in range(1, 9):
        raise ValueError(f"expected a count from 0 and 1 to 8 bits, got {count}, {bits}")
    return -(-count * bits // 8) + 4 * 2**bits
