"""The arithmetic of waiting: what a line of requests does, without a service.

Sources: J. D. C. Little, "A Proof for the Queuing Formula L = λW", 1961; D. V. Lindley, "The theory
of queues with a single server", 1952; F. Pollaczek, 1930, and A. Khinchin, 1932, for the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def nearest_rank(seconds: Sequence[float], share: float) -> float:
    """Return the smallest of the numbers that at least ``share`` percent of them do not exceed.

    The nearest-rank definition: it is always one of the numbers.

    Parameters
    ----------
    seconds : numbers in any order, at least one.
    share : percent, above 0 up to 100.

    Raises
    ------
    ValueError
        If there is no number, or the share is out of its range.

    Taught in: notebooks/21_edge_service.ipynb
    """
    if not len(seconds) or not 0 < share <= 100:
        raise ValueError(
            f"expected at least one number and a share above 0 up to 100, "
            f"got {len(seconds)} numbers, {share}"
        )
    return float(sorted(seconds)[math.ceil(len(seconds) * share / 100) - 1])


def mean_inside(begin: Sequence[float], end: Sequence[float]) -> float:
    """Return how many requests were inside on the average, from the first begin to the last end.

    Parameters
    ----------
    begin, end : when each request came and went, in seconds; none ends before it begins.

    Raises
    ------
    ValueError
        If there is no request, one ends before it begins, or no time passes.

    Taught in: notebooks/21_edge_service.ipynb
    """
    if not 0 < len(begin) == len(end) or (np.subtract(end, begin) < 0).any():
        raise ValueError(f"expected begins and an end after each, got {begin!r} and {end!r}")
    if not (span := max(end) - min(begin)):
        raise ValueError("expected requests over some time, got none that takes time")
    steps = sorted([(b, 1) for b in begin] + [(e, -1) for e in end])
    area, inside, since = 0.0, 0, min(begin)
    for moment, step in steps:
        area += inside * (moment - since)  # of the count of requests over time
        inside, since = inside + step, moment
    return area / span


def line_waits(arrivals: Sequence[float], takes: float) -> np.ndarray:
    """Return how long each request waits in front of one server that takes them in turn.

    Who comes waits for what is left of the one before: its wait and its time, less the time since
    it came.

    Parameters
    ----------
    arrivals : when each comes, in seconds, ascending.
    takes : seconds that the server needs for one.

    Returns
    -------
    np.ndarray
        float64 (n,), seconds.

    Raises
    ------
    ValueError
        If the arrivals do not ascend, or the time is negative.

    Taught in: notebooks/21_edge_service.ipynb
    """
    arrivals = np.asarray(arrivals, np.float64)
    if (np.diff(arrivals) < 0).any() or takes < 0:
        raise ValueError(f"expected ascending arrivals and a time of at least 0 s, got {takes} s")
    waits = np.zeros(len(arrivals))
    for i in range(1, len(arrivals)):
        waits[i] = max(0.0, waits[i - 1] + takes - (arrivals[i] - arrivals[i - 1]))
    return waits


def mean_line_wait(rate: float, takes: float) -> float:
    """Return the mean wait in front of one server when requests come at random, in seconds.

    ρ·s / (2·(1 − ρ)) with the load ρ = rate·s: the Pollaczek-Khinchin formula for arrivals in a
    Poisson process and a constant time s.

    Parameters
    ----------
    rate : requests a second.
    takes : s, seconds that the server needs for one.

    Returns
    -------
    float
        Infinite from a load of 1 on.

    Raises
    ------
    ValueError
        If a number is not positive.

    Taught in: notebooks/21_edge_service.ipynb
    """
    if not rate > 0 or not takes > 0:
        raise ValueError(f"expected a positive rate and time, got {rate}, {takes}")
    busy = rate * takes
    return busy * takes / (2 * (1 - busy)) if busy < 1 else math.inf


def longest_line(deadline: float, takes: float) -> int:
    """Return how many requests may wait so that each of them is answered before its deadline.

    Who comes last finds one being computed that may have just begun, waits for it and for all
    others in the line, and is computed itself.

    Parameters
    ----------
    deadline : seconds from the arrival to the answer.
    takes : seconds that the server needs for one.

    Returns
    -------
    int
        Requests in the line, with the last one; 0 if not even one can wait.

    Raises
    ------
    ValueError
        If a number is not positive.

    Taught in: notebooks/21_edge_service.ipynb
    """
    if not deadline > 0 or not takes > 0:
        raise ValueError(f"expected a positive deadline and time, got {deadline}, {takes}")
    return max(0, math.floor(deadline / takes) - 1)
