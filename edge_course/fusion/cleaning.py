"""A recording is mended where it is made: gaps are filled, a stuck detector is noticed."""

from __future__ import annotations

import numpy as np


def fill_gaps(counts: np.ndarray, period: int) -> np.ndarray:
    """Return a recording in which nothing is missing.

    A missing value becomes the one of a period before, if there is one by then, else the last one,
    else 0. It looks back only, so that a node can do it while it records.

    Parameters
    ----------
    counts : real numbers, (t,), oldest first; NaN where nothing was recorded.
    period : steps after which the recording resembles itself: a week, for traffic.

    Returns
    -------
    np.ndarray
        float64, (t,), without NaN.

    Raises
    ------
    ValueError
        If it is no such recording, or the period is no positive whole number.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    filled = _recording(counts)
    if period < 1 or period != int(period):
        raise ValueError(f"expected a period of at least one step, got {period}")
    for t in np.flatnonzero(np.isnan(filled)):
        if t >= period:
            filled[t] = filled[t - period]
        else:
            filled[t] = filled[t - 1] if t else 0
    return filled


def stuck(counts: np.ndarray, limit: int) -> np.ndarray:
    """Return where a recording has shown the same value too often: its detector may hang.

    Parameters
    ----------
    counts : real numbers, (t,), oldest first; NaN is a value of its own that never repeats.
    limit : so many equal values in a row are normal; it is one more that is suspicious.

    Returns
    -------
    np.ndarray
        bool, (t,): whether this value ends a row of more than ``limit`` equal ones.

    Raises
    ------
    ValueError
        If it is no such recording, or the limit is below 1.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    counts = _recording(counts)
    if limit < 1:
        raise ValueError(f"expected a limit of at least one value, got {limit}")
    row = run_lengths(counts)
    return row > limit


def run_lengths(counts: np.ndarray) -> np.ndarray:
    """Return how many equal values in a row end at each place, int64 (t,).

    Parameters
    ----------
    counts : real numbers, (t,), oldest first.
    """
    counts = _recording(counts)
    changed = np.concatenate([[True], counts[1:] != counts[:-1]])  # NaN differs from itself
    place = np.arange(len(counts))
    return place - np.maximum.accumulate(np.where(changed, place, 0)) + 1


def _recording(counts: np.ndarray) -> np.ndarray:
    counts = np.array(counts, float)  # a copy: the caller's stays as it is
    if counts.ndim != 1 or not len(counts) or np.isinf(counts).any():
        raise ValueError(f"expected a recording of shape (t,), finite or NaN, got {counts.shape}")
    return counts
