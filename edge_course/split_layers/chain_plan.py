"""Where to cut a network: what a cut costs, and the best cut of a chain of operators.

Seconds, bytes and bits per second. The answer's way back counts in the round-trip time, as in
`placement`. What these return is *modelled*, from times that were measured or assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from edge_course.cost_models import placement


def cut_seconds(
    device: np.ndarray,
    server: np.ndarray,
    num_bytes: np.ndarray,
    bandwidth: float,
    rtt: float,
    speed: float = 1.0,
) -> np.ndarray:
    """Return the seconds from the picture to the answer at the device, for each cut.

    device + rtt + 8 · num_bytes / bandwidth + server / speed (Kang et al. 2017,
    "Neurosurgeon"). A cut across which nothing goes, as everything is on the device, needs no
    link.

    Parameters
    ----------
    device : seconds that the device takes for its part, of each cut.
    server : seconds that the server takes for the other part.
    num_bytes : bytes that cross; 0 if nothing does.
    bandwidth : bits per second.
    rtt : round-trip time in seconds.
    speed : how many times faster the server is than in ``server``.

    Returns
    -------
    np.ndarray
        float64, of the shape to which all of them broadcast.

    Raises
    ------
    ValueError
        If a number is NaN or negative, or the bandwidth or the speed is 0.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    check_numbers("seconds", device)
    check_numbers("seconds", server)
    if not np.all(np.asarray(speed) > 0):
        raise ValueError(f"expected a positive speed, got {speed}")
    link = placement.transfer_time(np.asarray(num_bytes), bandwidth, rtt)
    away = link + np.asarray(server) / speed
    return np.asarray(device) + np.where(np.asarray(num_bytes) > 0, away, 0.0)


def best_cut(
    device: Sequence[float],
    server: Sequence[float],
    num_bytes: Sequence[int],
    bandwidth: float,
    rtt: float,
) -> int:
    """Return how many operators of a chain the device should compute: the best of all cuts.

    Every cut is tried. Of equals, the one with fewer operators on the device.

    Parameters
    ----------
    device : seconds of each of n operators on the device.
    server : seconds of each on the server.
    num_bytes : n + 1 numbers: of the input, and of what each operator writes. The last is
        the answer, which does not have to cross.
    bandwidth : bits per second.
    rtt : round-trip time in seconds.

    Returns
    -------
    int
        From 0 (all on the server) to n (all on the device, without the link).

    Raises
    ------
    ValueError
        If there are more or fewer numbers than that, one is NaN or negative, or the
        bandwidth is 0.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    device, server = np.asarray(device, float), np.asarray(server, float)
    num_bytes = np.asarray(num_bytes, float)
    _check_chain(device, server, num_bytes)
    heads = np.concatenate([[0.0], np.cumsum(device)])
    tails = np.concatenate([np.cumsum(server[::-1])[::-1], [0.0]])
    seconds = heads + placement.transfer_time(num_bytes, bandwidth, rtt) + tails
    seconds[-1] = heads[-1]
    return int(np.argmin(seconds))


class Machine(NamedTuple):
    """One of several machines in a row, with the link that leads to it.

    Attributes
    ----------
    seconds : of each operator on it.
    bandwidth : bits per second of the link from the machine before; infinite for the first.
    rtt : round-trip time of that link in seconds; 0 for the first.
    """

    seconds: Sequence[float]
    bandwidth: float = inf
    rtt: float = 0.0


class Chain(NamedTuple):
    """Which machine computes what.

    Attributes
    ----------
    ends : for each machine, how many operators are done when it has done its part.
    seconds : from the input to the answer, *modelled*.
    steps : how many (machine, operator) pairs were looked at.
    """

    ends: tuple[int, ...]
    seconds: float
    steps: int


def best_chain(machines: Sequence[Machine], num_bytes: Sequence[int]) -> Chain:
    """Return the best way to divide a chain of n operators over machines in a row.

    Each machine takes the next operators, or none and only hands on; the last ones may not be
    needed. By dynamic programming: the best way to have k operators done on the first m
    machines comes from the best way to hand over to machine m after any j ≤ k. As the best j
    so far is kept while k grows, that takes machines · (n + 1) steps, not one for each way.

    Parameters
    ----------
    machines : from the device on, at least one.
    num_bytes : n + 1 numbers, as for `best_cut`.

    Raises
    ------
    ValueError
        If there are no machines or operators, more or fewer numbers than that, one is NaN or
        negative, or a bandwidth is 0.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    if not machines:
        raise ValueError("expected at least one machine, got none")
    num_bytes = np.asarray(num_bytes, float)
    count, steps = len(num_bytes) - 1, 0
    done = [0.0] + [inf] * count  # before the first machine: nothing is done, at no cost
    chosen: list[list[int]] = []
    least, last = inf, 0
    for machine in machines:
        seconds = np.asarray(machine.seconds, float)
        _check_chain(seconds, seconds, num_bytes)
        link = placement.transfer_time(num_bytes, machine.bandwidth, machine.rtt)
        if not chosen:
            link = np.zeros(count + 1)  # the input is there already
        before, done, begins = done, [], []
        best, begin = inf, 0
        for k in range(count + 1):
            steps += 1
            best += seconds[k - 1] if k else 0.0
            if before[k] + link[k] < best:
                best, begin = before[k] + link[k], k
            done.append(float(best))
            begins.append(begin)
        chosen.append(begins)
        if done[count] < least:
            least, last = done[count], len(chosen) - 1
    ends = [count] * len(machines)
    for m in range(last, 0, -1):
        ends[m - 1] = chosen[m][ends[m]]
    return Chain(tuple(ends), least, steps)


def check_numbers(what: str, numbers: Sequence[float] | np.ndarray | float) -> None:
    """Raise a ValueError if a number is negative or NaN."""
    if not np.all(np.asarray(numbers, float) >= 0):  # NaN is not >= 0 either
        raise ValueError(f"expected {what} from 0, got {np.asarray(numbers)}")


def _check_chain(device: np.ndarray, server: np.ndarray, num_bytes: np.ndarray) -> None:
    for what, numbers in (("seconds", device), ("seconds", server), ("bytes", num_bytes)):
        check_numbers(what, numbers)
    if device.ndim != 1 or device.shape != server.shape or num_bytes.shape != (len(device) + 1,):
        raise ValueError(
            f"expected the seconds of n operators and n + 1 numbers of bytes, got "
            f"{device.shape}, {server.shape} and {num_bytes.shape}"
        )
    if not len(device):
        raise ValueError("expected at least one operator, got none")
