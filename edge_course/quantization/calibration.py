"""Which range of real numbers to give codes to: four answers, from all of it to the useful part.

A wider range clips less and rounds more coarsely. Each function takes numbers that were
seen and returns the range, (low, high), for `quant.symmetric` or `quant.asymmetric`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_course.quantization import quant, round_trip


def minimum_maximum(x: np.ndarray, axis: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest number: nothing is clipped.

    One outlier stretches the range of all others. LiteRT's converter calibrates so.

    Parameters
    ----------
    x : real numbers, any shape, finite, at least one.
    axis : of the channels, for a range of each; none for one range of the whole tensor.

    Returns
    -------
    tuple of np.ndarray
        Two float32 numbers, or two arrays that spread over ``x``: of size 1 along each
        axis but that of the channels.

    Raises
    ------
    ValueError
        If there are no numbers, or NaN or infinity, or no such axis.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    x = _checked(x)
    if axis is None:
        return x.min(), x.max()
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"expected an axis of {x.ndim} dimensions, got {axis}")
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    return x.min(axis=others, keepdims=True), x.max(axis=others, keepdims=True)


def percentile(x: np.ndarray, share: float = 99.9) -> tuple[np.ndarray, np.ndarray]:
    """Return a range that leaves out as many of the smallest numbers as of the largest.

    Parameters
    ----------
    x : real numbers, any shape, finite, at least one.
    share : percent of the numbers to keep inside, above 0 and up to 100.

    Returns
    -------
    tuple of np.ndarray
        Two float32 numbers.

    Raises
    ------
    ValueError
        If there are no numbers, or NaN or infinity, or the share is not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    x = _checked(x)
    if not 0 < share <= 100:
        raise ValueError(f"expected a share above 0 and up to 100 %, got {share}")
    outside = (100 - share) / 2
    low, high = np.percentile(x, [outside, 100 - outside])
    return np.float32(low), np.float32(high)


def least_squares(
    x: np.ndarray,
    bits: int = 8,
    axis: int | None = None,
    *,
    parameters: Callable[..., quant.Parameters] = quant.asymmetric,
    candidates: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the range with the smallest mean squared error of quantizing these numbers.

    Tries 1/n, 2/n, … n/n of the whole range; of equally good ones the narrowest.
    Clipping errors fall with the range and rounding errors rise, so there is a best.

    Parameters
    ----------
    x : real numbers, any shape, finite, at least one.
    bits : of a code, 2 to 8.
    axis : of the channels, for a range of each; none for one range of the whole tensor.
    parameters : `quant.asymmetric` or `quant.symmetric`, what the range is for.
    candidates : n, how many ranges to try, at least 1.

    Returns
    -------
    tuple of np.ndarray
        As of `minimum_maximum`.

    Raises
    ------
    ValueError
        If there are no numbers, or NaN or infinity, or no such axis, or bits or candidates
        are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    low, high = minimum_maximum(x, axis)
    x = _checked(x)
    if candidates < 1:
        raise ValueError(f"expected at least 1 candidate, got {candidates}")
    narrow = parameters is quant.symmetric
    run_over = tuple(i for i in range(x.ndim) if np.shape(low)[i : i + 1] in ((), (1,)))
    best, smallest = np.float32(1), np.inf
    for i in range(1, candidates + 1):
        share = np.float32(i) / np.float32(candidates)
        limits = parameters(low * share, high * share, bits)
        back = round_trip.fake_quantize(x, *limits, bits, narrow=narrow)
        squares = np.square(back - x, dtype=np.float64)
        error = squares.mean(axis=run_over, keepdims=axis is not None)
        best = np.where(error < smallest, share, best)
        smallest = np.minimum(error, smallest)
    return low * best, high * best


def entropy(x: np.ndarray, bits: int = 8, *, bins: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    """Return the range whose codes keep most of the information of a distribution.

    Of the magnitudes |x| a histogram is made, and the candidates end after each of its
    bins, from bin 2^(bits−1) on. P is the histogram up to there, with all that is clipped
    in its last bin; Q is the same histogram without what is clipped, seen through 2^(bits−1)
    levels: the bins of a level share its count evenly, empty ones of P excepted. The
    candidate with the smallest Kullback-Leibler divergence, Σ P·log(P/Q), wins; it is
    infinite where Q gives no chance to what P has.

    Migacz (2017), "8-bit Inference with TensorRT", GTC. It needs many numbers: thousands.

    Parameters
    ----------
    x : real numbers, any shape, finite, at least one.
    bits : of a code, 2 to 8.
    bins : of the histogram, at least 2^(bits−1).

    Returns
    -------
    tuple of np.ndarray
        Two float32 numbers: the range of ``x``, cut off at ± the threshold.

    Raises
    ------
    ValueError
        If there are no numbers, or NaN or infinity, or bits or bins are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    x = _checked(x)
    levels = quant.code_range(bits)[1] + 1
    if bins < levels:
        raise ValueError(f"expected at least {levels} bins for {bits} bits, got {bins}")
    counts, edges = np.histogram(np.abs(x), bins, range=(0, max(np.abs(x).max(), quant.NARROWEST)))
    kept = range(levels, bins + 1)
    threshold = edges[min(kept, key=lambda n: _divergence(counts, n, levels))]
    return np.float32(max(x.min(), -threshold)), np.float32(min(x.max(), threshold))


def _divergence(counts: np.ndarray, kept: int, levels: int) -> float:
    """Return Σ P·log(P/Q) of `entropy` for a range that ends after so many bins."""
    p = counts[:kept].astype(np.float64)
    p[-1] += counts[kept:].sum()
    level = np.arange(kept) * levels // kept  # of each bin
    share = np.bincount(level, counts[:kept]) / np.maximum(np.bincount(level, p > 0), 1)
    q = np.where(p > 0, share[level], 0)
    seen = p > 0
    if not q[seen].all():
        return np.inf
    p, q = p[seen] / p.sum(), q[seen] / q.sum()
    return float(np.sum(p * np.log(p / q)))


def _checked(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=np.float32)
    if not x.size:
        raise ValueError("no numbers have no range: expected at least one")
    if not np.isfinite(x).all():
        raise ValueError("NaN or infinity has no place in a range: expected finite numbers")
    return x
