"""The largest flow through a network of pipes, and with it the cheapest way to cut it in two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isnan
from typing import NamedTuple


class Pipe(NamedTuple):
    """One direction: from one place to another, with what can flow through it."""

    start: int
    end: int
    capacity: float


@dataclass
class Effort:
    """What the algorithm did: counted, since times depend on the machine.

    Attributes
    ----------
    phases : how often the distances from the source were found anew.
    augmentations : paths along which flow was sent.
    scans : how often a pipe was looked at.
    """

    phases: int = 0
    augmentations: int = 0
    scans: int = 0


class Cut(NamedTuple):
    """The cheapest cut.

    Attributes
    ----------
    value : the capacity of all pipes from the source's side to the other: the largest flow.
    side : the places on the source's side; as few as possible.
    work : what finding it took.
    """

    value: float
    side: frozenset[int]
    work: Effort


def minimum_cut(places: int, pipes: Iterable[Pipe], source: int, sink: int) -> Cut:
    """Return the cut of least capacity between two places, by the largest flow between them.

    Dinic (1970), "Algorithm for solution of a problem of maximum flow in networks with power
    estimation". In phases: find each place's distance from the source, then fill up shortest
    paths until none is left. The sink's distance grows from phase to phase, so there are at
    most as many phases as places. One phase fills up at most as many paths as there are
    pipes, none longer than the number of places: some places² · pipes steps. That the largest
    flow equals the cheapest cut is the theorem of Ford and Fulkerson (1956), "Maximal flow
    through a network".

    Parameters
    ----------
    places : how many places there are, called 0, 1, ….
    pipes : (start, end, capacity); a capacity is a number from 0, or infinite.
    source, sink : the two places.

    Raises
    ------
    ValueError
        If there is no such place, both are one, a capacity is negative or NaN, or every
        cut is infinite.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    ends, left, leaving = _checked(places, pipes, source, sink)
    flow, work = 0.0, Effort()
    while True:
        # Distances from the source over pipes that have something left.
        work.phases += 1
        distance = [-1] * places
        distance[source] = 0
        queue = [source]
        for place in queue:
            for pipe in leaving[place]:
                work.scans += 1
                if left[pipe] > 0 and distance[ends[pipe]] < 0:
                    distance[ends[pipe]] = distance[place] + 1
                    queue.append(ends[pipe])
        if distance[sink] < 0:
            return Cut(flow, frozenset(queue), work)
        # Walk on to the next distance, and back where there is no way on.
        untried, path, place = [0] * places, [], source
        while True:
            if place == sink:
                amount = min(left[pipe] for pipe in path)
                if amount == inf:
                    raise ValueError("expected a finite cut: an infinite flow reaches the sink")
                flow += amount
                work.augmentations += 1
                for pipe in path:
                    left[pipe] -= amount
                    left[pipe ^ 1] += amount  # what flows can be sent back
                path, place = [], source
            elif untried[place] < len(leaving[place]):
                pipe = leaving[place][untried[place]]
                work.scans += 1
                if left[pipe] > 0 and distance[ends[pipe]] == distance[place] + 1:
                    path.append(pipe)
                    place = ends[pipe]
                else:
                    untried[place] += 1
            elif path:
                place = ends[path.pop() ^ 1]
                untried[place] += 1
            else:
                break


def _checked(
    places: int, pipes: Iterable[Pipe], source: int, sink: int
) -> tuple[list[int], list[float], list[list[int]]]:
    """Return end and capacity of each pipe, and the pipes that leave each place.

    Pipe 2·i is the one given, 2·i + 1 its way back, with nothing to flow at first.
    """
    if source == sink or not {source, sink} <= set(range(places)):
        raise ValueError(
            f"expected two different places from 0 to {places - 1}, got {source} and {sink}"
        )
    ends, left, leaving = [], [], [[] for _ in range(places)]
    for start, end, capacity in pipes:
        if start not in range(places) or end not in range(places):
            raise ValueError(f"expected places from 0 to {places - 1}, got {start} to {end}")
        if isnan(capacity) or capacity < 0:
            raise ValueError(f"expected capacities from 0, got {capacity} from {start} to {end}")
        leaving[start].append(len(ends))
        leaving[end].append(len(ends) + 1)
        ends += [end, start]
        left += [capacity, 0.0]
    return ends, left, leaving
