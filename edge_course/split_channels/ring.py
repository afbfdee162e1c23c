"""Gather and sum over workers in a ring: each sends only to the next, receives from the last.

Every worker has the whole result at the end, the same to the last bit, and no worker carries
more than the others. Thakur, Rabenseifner, Gropp (2005), "Optimization of Collective
Communication Operations in MPICH"; Patarasuk and Yuan (2009), "Bandwidth optimal all-reduce
algorithms for clusters of workstations". NumPy only: who carries the bytes is the caller's affair.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from edge_course.split_channels.layers import share
from edge_course.split_channels.program import Exchange


@dataclass(frozen=True)
class Pace:
    """The speed of emulated machines: whoever is ready sooner waits.

    Attributes
    ----------
    macs_per_second : of each worker, positive.
    bandwidth : of each worker's link to the next, bits per second, positive.
    latency : seconds from one worker to the next, one way, at least 0.

    Raises
    ------
    ValueError
        If a number is NaN or out of these ranges.

    Taught in: notebooks/15_split_by_channels.ipynb
    """

    macs_per_second: float = inf
    bandwidth: float = inf
    latency: float = 0.0

    def __post_init__(self):
        if not (self.macs_per_second > 0 and self.bandwidth > 0 and 0 <= self.latency < inf):
            raise ValueError(
                "expected a positive speed and bandwidth, and a latency from 0, got "
                f"{self.macs_per_second} MACs per second, {self.bandwidth} bit/s, {self.latency} s"
            )

    def message_seconds(self, num_bytes: int) -> float:
        """Return how long a message takes from one worker to the next: latency, then the bits."""
        return self.latency + 8 * num_bytes / self.bandwidth


def wait_until(begin: float, seconds: float) -> None:
    """Sleep until so many seconds have passed since ``begin`` on ``time.perf_counter``."""
    left = begin + seconds - time.perf_counter()
    if left > 0:
        time.sleep(left)


class Ring:
    """One worker's place in a ring, with what it has sent so far.

    Parameters
    ----------
    workers, rank : how many there are, and which this is.
    swap : called with an array to send to worker rank + 1 and an empty one to fill with what
        worker rank − 1 sends; both contiguous, never of size 0 for both.
    pace : the emulated link.

    Attributes
    ----------
    bytes : sent by this worker.
    messages : sent by this worker.

    Taught in: notebooks/15_split_by_channels.ipynb
    """

    def __init__(
        self,
        workers: int,
        rank: int,
        swap: Callable[[np.ndarray, np.ndarray], None],
        pace: Pace | None = None,
    ):
        self.workers, self.rank = workers, rank
        self._swap, self._pace = swap, pace
        self.bytes = self.messages = 0

    def exchange(self, wanted: Exchange) -> np.ndarray:
        """Return what the workers have together: `gather` or `sum` of everyone's array."""
        if wanted.kind == "gather":
            return self.gather(wanted.array, wanted.channels)
        return self.sum(wanted.array)

    def gather(self, own: np.ndarray, channels: int) -> np.ndarray:
        """Return the channels of all workers beside each other: n − 1 steps.

        Parameters
        ----------
        own : this worker's share of the channels, (n, share, …).
        channels : of all workers together.
        """
        count, rest = len(own), own.shape[2:]
        parts = {}
        for rank in range(self.workers):
            start, stop = share(channels, self.workers, rank)
            parts[rank] = np.empty((count, stop - start, *rest), own.dtype)
        parts[self.rank] = np.ascontiguousarray(own)
        for step in range(self.workers - 1):
            out, into = (self.rank - step) % self.workers, (self.rank - step - 1) % self.workers
            self._step(parts[out], parts[into])
        return np.concatenate([parts[rank] for rank in range(self.workers)], axis=1)

    def sum(self, y: np.ndarray) -> np.ndarray:
        """Return the sum of everyone's array, number by number: 2 (n − 1) steps.

        The array is cut into a chunk for each worker. In the first n − 1 steps the chunks
        travel, and each worker adds its own numbers to what arrives; then every chunk is
        complete at one worker, and in the other n − 1 steps they travel to all.
        """
        n = self.workers
        chunks = [chunk.copy() for chunk in np.array_split(y.reshape(-1), n)]  # each (size / n,)
        for step in range(n - 1):
            out, into = (self.rank - step) % n, (self.rank - step - 1) % n
            arrived = np.empty_like(chunks[into])
            self._step(chunks[out], arrived)
            chunks[into] += arrived
        for step in range(n - 1):
            self._step(chunks[(self.rank + 1 - step) % n], chunks[(self.rank - step) % n])
        return np.concatenate(chunks).reshape(y.shape)  # as it was before it was cut

    def wait_for_all(self) -> None:
        """Return when every worker has come here; neither counted nor paced."""
        for _ in range(self.workers - 1):
            self._swap(np.zeros(1, np.uint8), np.zeros(1, np.uint8))

    def _step(self, out: np.ndarray, into: np.ndarray) -> None:
        begin = time.perf_counter()
        self._swap(out, into)
        self.bytes += out.nbytes
        self.messages += 1
        if self._pace is not None:
            wait_until(begin, self._pace.message_seconds(max(out.nbytes, into.nbytes)))
