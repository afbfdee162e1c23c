"""A network divided by channels over several workers: each worker's program, step by step.

The same program runs in one process (`together`) and in processes of their own
(`workers`). NumPy only.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from edge_course.split_channels.layers import Layer, compute_layer, deal, finish_layer, join, share


class Compute(NamedTuple):
    """A worker is about to compute its part of a layer, from its part of the layer's input."""

    layer: Layer
    x: np.ndarray


def output_macs(layer: Layer, shape: Sequence[int]) -> int:
    """Return the multiply-accumulates of a layer's output of some shape, padding included."""
    # Of a weight, all but the axis of the outputs is summed over.
    return 0 if layer.weight is None else prod(shape) * prod(layer.weight.shape[1:])


class Exchange(NamedTuple):
    """A worker needs the others: to "gather" the channels of all, or to "sum" what each has.

    Attributes
    ----------
    kind : "gather" or "sum".
    layer : name of the layer whose output it is.
    array : this worker's own part.
    channels : the number of channels of the whole.
    """

    kind: str
    layer: str
    array: np.ndarray
    channels: int


@dataclass
class _Output:
    """One layer's output as a worker has it: all channels, its own ones, or both."""

    layer: str
    channels: int
    whole: np.ndarray | None = None
    own: np.ndarray | None = None

    def get(self, form: str, workers: int, rank: int) -> Program:
        """Return the output in one form; it is exchanged once at most, then it is there."""
        if form == "whole" and self.whole is None:
            self.whole = yield Exchange("gather", self.layer, self.own, self.channels)
        if form == "own" and self.own is None:
            start, stop = share(self.channels, workers, rank)
            self.own = self.whole[:, start:stop]
        return self.whole if form == "whole" else self.own


Program = Generator[Compute | Exchange, np.ndarray, np.ndarray]


def worker_steps(
    parts: Sequence[Layer], divisions: Sequence[str], workers: int, rank: int, x: np.ndarray
) -> Program:
    """Do one worker's part of a network, and yield whenever something is to be done.

    What is yielded is a `Compute`, to be answered with what `compute_layer` returns, or an
    `Exchange`, to be answered with what the workers have together. So whoever runs this can
    time each step, count its bytes and choose the way to exchange.

    Parameters
    ----------
    parts : the worker's part of each layer, in order; see `deal`.
    divisions : how each layer is divided: "whole", "output", "input" or "own".
    workers, rank : as for `share`.
    x : the input, whole, (n, channels, height, width).

    Returns
    -------
    np.ndarray
        The whole output of the last layer, the same at every worker.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    last = _Output("input", x.shape[1], whole=x)
    outputs = {}
    for part, division in zip(parts, divisions, strict=True):
        needed = "whole" if division in ("whole", "output") else "own"
        given = yield from last.get(needed, workers, rank)
        y = yield Compute(part, given)
        channels = part.channels or last.channels
        if division == "input":
            y = yield Exchange("sum", part.name, y, channels)
        form = "whole" if division in ("whole", "input") else "own"
        added = None
        if part.add:
            added = yield from outputs[part.add].get(form, workers, rank)
        last = outputs[part.name] = _Output(part.name, channels)
        setattr(last, form, finish_layer(part, y, added))
    return (yield from last.get("whole", workers, rank))


class Together(NamedTuple):
    """What `together` returns.

    Attributes
    ----------
    output : of the last layer, whole.
    exchanges : for each exchange in turn, what each worker brings to it.
    macs : for each layer in turn, the multiply-accumulates of each worker.
    """

    output: np.ndarray
    exchanges: list[list[Exchange]]
    macs: list[list[int]]


def together(
    layers: Sequence[Layer], divisions: Sequence[str], workers: int, x: np.ndarray
) -> Together:
    """Run all workers' programs in this process, in step, and note what each does.

    Parameters
    ----------
    layers : the whole network.
    divisions : how each layer is divided: "whole", "output", "input" or "own".
    workers : how many, at least 1.
    x : the input, (n, channels, height, width).

    Returns
    -------
    Together

    Raises
    ------
    ValueError
        If there is not one division for each layer, a layer cannot be divided so, or the
        input does not fit.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    programs = [worker_steps(deal(layers, divisions, workers, r), divisions, workers, r, x)
                for r in range(workers)]  # fmt: skip
    noted, answers = Together(None, [], []), [None] * workers
    while True:
        try:
            wanted = [p.send(a) for p, a in zip(programs, answers, strict=True)]
        except StopIteration as end:
            return noted._replace(output=end.value)
        if isinstance(wanted[0], Exchange):
            noted.exchanges.append(wanted)
            answers = [join(wanted[0].kind, [w.array for w in wanted])] * workers
        else:
            answers = [compute_layer(*w) for w in wanted]
            noted.macs.append(
                [output_macs(w.layer, y.shape) for w, y in zip(wanted, answers, strict=True)]
            )
