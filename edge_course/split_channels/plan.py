"""The fastest way to divide a network by channels, found exactly by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import NamedTuple

import numpy as np

from edge_course.split_channels.cost import RINGS
from edge_course.split_channels.layers import DIVISIONS, MIXING, Layer, output_shapes, share
from edge_course.split_channels.program import output_macs
from edge_course.split_channels.ring import Pace


class Division(NamedTuple):
    """How to divide each layer, and the *modelled* seconds it takes."""

    divisions: tuple[str, ...]
    seconds: float


class _Size(NamedTuple):
    """Of one layer's output for all pictures: channels, all numbers, multiply-accumulates."""

    channels: int
    numbers: int
    macs: int


def paired_division(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the division with the fewest exchanges that shares out all layers with much work.

    Mixing layers go in pairs, by outputs and then by inputs, with one sum for both (Shoeybi et
    al. 2019, "Megatron-LM"); a last one without a partner stays whole, as does what stands between
    two pairs and mixes nothing.

    Parameters
    ----------
    layers : the whole network.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    divisions, form = [], "whole"  # of the output so far
    for index, layer in enumerate(layers):
        if layer.kind not in MIXING:
            divisions.append(form)
        elif form == "own":
            divisions.append("input")
            form = "whole"
        else:
            form = "own" if any(la.kind in MIXING for la in layers[index + 1 :]) else "whole"
            divisions.append("output" if form == "own" else "whole")
    return tuple(divisions)


def fastest_division(
    layers: Sequence[Layer],
    workers: int,
    input_shape: Sequence[int],
    pace: Pace,
    pictures: int = 1,
) -> Division:
    """Return the division of every layer with the least modelled time.

    What a layer costs depends on what came before it only by the forms in which the earlier
    outputs are at the workers: whole, as own channels, or both. So for each combination of
    forms only the fastest way that leads to it is kept (Bellman 1957, "Dynamic Programming");
    there are few, as only the last output and those that are added later count.

    Parameters
    ----------
    layers : the whole network.
    workers : how many, at least 1.
    input_shape : of one picture, (channels, height, width); every worker has the picture.
    pace : the speed of each worker, and of the link to the next.
    pictures : computed at once, at least 1.

    Raises
    ------
    ValueError
        If there is no layer, picture or worker, or the input does not fit.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if not layers or workers < 1 or pictures < 1:
        raise ValueError(
            f"expected at least one layer, worker and picture, got {len(layers)} layers, "
            f"{workers} workers, {pictures} pictures"
        )
    sizes = _sizes(layers, input_shape, pictures)
    itemsize = np.result_type(*(la.weight for la in layers if la.weight is not None)).itemsize

    def gather_seconds(name: str) -> float:
        channels, numbers, _ = sizes[name]
        largest = itemsize * numbers // channels * share(channels, workers, 0)[1]
        return RINGS["gather"] * (workers - 1) * pace.message_seconds(largest)

    def sum_seconds(name: str) -> float:
        largest = itemsize * share(sizes[name].numbers, workers, 0)[1]
        return RINGS["sum"] * (workers - 1) * pace.message_seconds(largest)

    def fetch(have: set[tuple[str, str]], name: str, form: str) -> float:
        """Return the seconds to have an output in a form, and note that it is there."""
        seconds = gather_seconds(name) if form == "whole" and (name, form) not in have else 0.0
        have.add((name, form))
        return seconds

    plans = {frozenset({("input", "whole")}): Division((), 0.0)}
    last = "input"
    for index, layer in enumerate(layers):
        later = {la.add for la in layers[index + 1 :]} | {layer.name}
        then: dict[frozenset, Division] = {}
        for state, plan in plans.items():
            for division in (d for d, kinds in DIVISIONS.items() if layer.kind in kinds):
                have = set(state)
                seconds = plan.seconds
                seconds += fetch(have, last, "whole" if division in ("whole", "output") else "own")
                busiest = _busiest(layer, sizes, last, division, workers)
                seconds += sizes[layer.name].macs * busiest / pace.macs_per_second
                if division == "input":
                    seconds += sum_seconds(layer.name)
                form = "whole" if division in ("whole", "input") else "own"
                if layer.add:
                    seconds += fetch(have, layer.add, form)
                key = frozenset((n, f) for n, f in {*have, (layer.name, form)} if n in later)
                if seconds < then.get(key, Division((), inf)).seconds:
                    then[key] = Division((*plan.divisions, division), seconds)
        plans, last = then, layer.name
    ends = (p._replace(seconds=p.seconds + fetch(set(s), last, "whole")) for s, p in plans.items())
    return min(ends, key=lambda plan: plan.seconds)


def _sizes(layers: Sequence[Layer], input_shape: Sequence[int], pictures: int) -> dict[str, _Size]:
    shapes = output_shapes(layers, (pictures, *input_shape))
    macs = {layer.name: output_macs(layer, shapes[layer.name]) for layer in layers}
    return {name: _Size(s[1], prod(s), macs.get(name, 0)) for name, s in shapes.items()}


def _busiest(
    layer: Layer, sizes: dict[str, _Size], last: str, division: str, workers: int
) -> float:
    """Return the share of a layer's work that the first worker has; no other has more."""
    if division == "whole":
        return 1.0
    channels = sizes[last if division == "input" else layer.name].channels
    return share(channels, workers, 0)[1] / channels
