"""How long the two parts of a network take on this machine, for each of many cuts."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from edge_course import measure
from edge_course.runtimes import ort
from edge_course.split_layers import cut


class PartTimes(NamedTuple):
    """Seconds of the parts of a network, one number for each cut, on one thread.

    Attributes
    ----------
    heads, tails : float64 (cuts,); 0 for a part without any operator.
    """

    heads: np.ndarray
    tails: np.ndarray


def part_times(
    model: bytes | str | os.PathLike,
    heads: Sequence[Collection[int]],
    inputs: dict[str, np.ndarray],
    *,
    seconds: float = 1.0,
) -> PartTimes:
    """Return how long heads and tails of a network take here, timed in turn, each as a model.

    Times of single operators would not do: the runtime fuses operators, and a cut can part
    what it would have fused. The fastest round of each counts, since whatever else the machine
    does only adds to it. For the same reason no part counts more than one that contains it, and
    the whole not more than any head and its tail together.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.
    heads : cuts, as `cut.possible_cuts` lists them.
    inputs : name → one picture.
    seconds : time to spend, roughly.

    Raises
    ------
    ModelError
        If it is not an ONNX model that can be cut.
    ValueError
        If there is no cut, or a head is none.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    functions = {}
    for n, head in enumerate(heads):
        parts = cut.cut_model(model, head)
        known = dict(inputs)
        for end, part in (("head", parts.head), ("tail", parts.tail)):
            if part is not None:
                session = ort.session(part, level=cut.LEVEL)
                names = [value.name for value in session.get_outputs()]
                given = {value.name: known[value.name] for value in session.get_inputs()}
                known |= dict(zip(names, session.run(names, given), strict=True))
                functions[end, n] = partial(session.run, names, given)
    timing = measure.latency(functions, rounds=20, seconds=seconds)

    fastest = {part: float(values.min()) for part, values in timing.seconds.items()}
    sets = [frozenset(head) for head in heads]

    def least(end: str, n: int) -> float:
        """Return the least of the times of a part and of all parts that contain it."""
        if (end, n) not in fastest:
            return 0.0
        larger = [m for m in range(len(sets)) if _contains(sets[m], sets[n], end)]
        return min(fastest[end, m] for m in larger)

    times = [np.array([least(end, n) for n in range(len(sets))]) for end in ("head", "tail")]
    whole = (times[0] + times[1]).min()
    return PartTimes(*(np.minimum(seconds, whole) for seconds in times))


def _contains(outer: frozenset[int], inner: frozenset[int], end: str) -> bool:
    """Tell whether one cut's part contains that of another: the smaller the head, the more tail."""
    return inner <= outer if end == "head" else outer <= inner
