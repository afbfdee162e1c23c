"""What a division by channels costs: bytes, multiply-accumulates and time; and the best division.

Times are *modelled*, from the speed of a worker and of the link between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from edge_course.split_channels.layers import Layer, share
from edge_course.split_channels.program import Together, together
from edge_course.split_channels.ring import Pace

RINGS = {"gather": 1, "sum": 2}  # how many times round the data travel, less one step each


def exchanges(divisions: Sequence[str]) -> tuple[str, ...]:
    """Return what has to be exchanged behind each layer of a chain: "gather", "sum" or "nothing".

    Behind a layer divided by inputs, every worker has a summand of every number: "sum", and
    then everyone has the whole. Behind one divided by outputs, every worker has some of the
    channels. If the next layer is divided by inputs, these are just the ones it needs:
    "nothing". If it is divided by outputs, or there is no next layer, the whole is needed:
    "gather". (Shoeybi et al. 2019, "Megatron-LM", section 3, for pairs of dense layers.)

    Parameters
    ----------
    divisions : "output" or "input" for each layer, in order. At the end the whole is needed.

    Raises
    ------
    ValueError
        If a division is another one.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if not set(divisions) <= {"output", "input"}:
        raise ValueError(f'expected "output" or "input" for each layer, got {tuple(divisions)}')
    behind = []
    for i, division in enumerate(divisions):
        if division == "input":
            behind.append("sum")
        elif i + 1 < len(divisions) and divisions[i + 1] == "input":
            behind.append("nothing")
        else:
            behind.append("gather")
    return tuple(behind)


def ring_bytes(exchange: str, num_bytes: float, workers: int) -> float:
    """Return the bytes that each worker sends in a ring; the mean, where shares are uneven.

    "gather": (n − 1)/n of the whole, for each worker passes on every share but one. "sum":
    twice that, once to add up and once to spread the sums. Neither grows beyond that however
    many workers there are. (Thakur et al. 2005; Patarasuk and Yuan 2009.)

    Parameters
    ----------
    exchange : "gather", "sum" or "nothing".
    num_bytes : of the whole array, at least 0.
    workers : n, at least 1.

    Raises
    ------
    ValueError
        If the exchange is another one, or a number is out of these ranges.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    rings = {**RINGS, "nothing": 0}
    if exchange not in rings or not num_bytes >= 0 or workers < 1:
        raise ValueError(
            f"expected one of the exchanges {', '.join(rings)}, bytes from 0 and workers from 1, "
            f"got {exchange!r}, {num_bytes}, {workers}"
        )
    return rings[exchange] * (workers - 1) * num_bytes / workers


def speed_up(
    serial_seconds: float, divided_seconds: float, exchange_seconds: float, workers: int
) -> float:
    """Return how many times faster so many workers are than one.

    (s + d) / (s + d/n + e): the law of Amdahl (1967), "Validity of the single processor
    approach to achieving large scale computing capabilities", with the time to exchange. One
    worker exchanges nothing.

    Parameters
    ----------
    serial_seconds : s, of the layers that every worker computes whole, at least 0.
    divided_seconds : d, of the layers that are divided, by one worker alone, at least 0.
    exchange_seconds : e, of all exchanges among n workers, at least 0.
    workers : n, at least 1.

    Returns
    -------
    float
        Below 1, more workers are slower.

    Raises
    ------
    ValueError
        If a number is NaN or out of these ranges, or there is nothing to compute.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    numbers = serial_seconds, divided_seconds, exchange_seconds
    if not all(s >= 0 for s in numbers) or workers < 1 or not sum(numbers[:2]) > 0:
        raise ValueError(
            "expected seconds from 0, something to compute and at least 1 worker, "
            f"got {numbers} s and {workers} workers"
        )
    alone = serial_seconds + divided_seconds
    exchange_seconds = exchange_seconds if workers > 1 else 0.0
    return alone / (serial_seconds + divided_seconds / workers + exchange_seconds)


class Sent(NamedTuple):
    """One exchange, counted.

    Attributes
    ----------
    kind : "gather" or "sum".
    layer : name of the layer whose output it is.
    bytes : sent by each worker, in order.
    largest : the bytes of the largest message, in each step.
    steps : how many messages each worker sends, one after another.
    """

    kind: str
    layer: str
    bytes: tuple[int, ...]
    largest: int
    steps: int


class Cost(NamedTuple):
    """What a division costs.

    Attributes
    ----------
    sent : every exchange.
    macs : for each layer, the multiply-accumulates of each worker.
    """

    sent: tuple[Sent, ...]
    macs: tuple[tuple[int, ...], ...]

    @property
    def bytes(self) -> tuple[int, ...]:
        """What each worker sends in all."""
        return tuple(sum(s.bytes[r] for s in self.sent) for r in range(len(self.macs[0])))

    def seconds(self, pace: Pace) -> float:
        """Return the *modelled* time: the busiest worker of each layer, and all exchanges."""
        messages = (s.steps * pace.message_seconds(s.largest) for s in self.sent)
        return sum(map(max, self.macs)) / pace.macs_per_second + sum(messages)


def division_cost(
    layers: Sequence[Layer],
    divisions: Sequence[str],
    workers: int,
    input_shape: Sequence[int],
    pictures: int = 1,
) -> Cost:
    """Return what a division costs, counted while a picture of zeros is computed.

    Parameters
    ----------
    layers, divisions, workers : as for `program.together`.
    input_shape : of one picture, (channels, height, width).
    pictures : computed at once, at least 1.

    Raises
    ------
    ValueError
        If the layers cannot be divided so, or there is less than one picture.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if pictures < 1:
        raise ValueError(f"expected at least 1 picture, got {pictures}")
    dtype = np.result_type(*(la.weight for la in layers if la.weight is not None))
    ran = together(layers, divisions, workers, np.zeros((1, *input_shape), dtype))
    return _counted(ran, workers, pictures, dtype.itemsize)


def _counted(ran: Together, workers: int, pictures: int, itemsize: int) -> Cost:
    counted = []
    for wanted in ran.exchanges:
        kind, layer, array, channels = wanted[0]
        if kind == "gather":
            each = prod(array.shape[2:]) * pictures
            ends = [share(channels, workers, rank) for rank in range(workers)]
            sizes = [itemsize * each * (stop - start) for start, stop in ends]
        else:
            ends = [share(array.size * pictures, workers, rank) for rank in range(workers)]
            sizes = [itemsize * (stop - start) for start, stop in ends]
        # In each round a worker passes on all chunks but one: which one shows in the ring.
        sent = [sum(sizes) - sizes[(rank + 1) % workers] for rank in range(workers)]
        if kind == "sum":
            again = [sum(sizes) - sizes[(rank + 2) % workers] for rank in range(workers)]
            sent = [first + second for first, second in zip(sent, again, strict=True)]
        steps = RINGS[kind] * (workers - 1)
        counted.append(Sent(kind, layer, tuple(sent), max(sizes) if steps else 0, steps))
    return Cost(tuple(counted), tuple(tuple(pictures * m for m in macs) for macs in ran.macs))
