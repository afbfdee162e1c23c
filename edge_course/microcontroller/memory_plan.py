"""Where in one arena each activation of a network lies, so that the arena is small.

A microcontroller has no heap to speak of: one array of RAM, the *arena*, holds all activations,
and where each lies is settled before the program is compiled. Two may share bytes if they are
never needed at the same time. TensorFlow Lite Micro places the largest first (Pisarchyk and Lee
2020, https://arxiv.org/abs/2001.03288, call it *greedy by size*).
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable
from itertools import permutations
from math import prod
from typing import NamedTuple

from edge_course.cost_models import activation_memory
from edge_course.runtimes import model_files, tflite_file
from edge_course.runtimes.model_files import ModelError

ALIGNMENT = 16  # bytes: tensors begin at multiples, as in TFLM, so that kernels may load words
MOST_SEARCHED = 8  # tensors of which all orders are tried: two seconds, at the worst


class Lifetime(NamedTuple):
    """How many bytes a tensor has, and the first and the last operator that need it."""

    bytes: int
    first: int
    last: int


class MemoryPlan(NamedTuple):
    """An arena, and where in it each activation lies.

    Attributes
    ----------
    bytes : the arena's size.
    offsets : index of a tensor in the file → its first byte in the arena.
    lifetimes : index of a tensor in the file → its bytes, and when it is needed.
    """

    bytes: int
    offsets: dict[int, int]
    lifetimes: dict[int, Lifetime]


def plan_memory(model: bytes | str | os.PathLike) -> MemoryPlan:
    """Return where the activations of a network lie, for one input.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no TFLite model, or does not say how large an activation is.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    graph = tflite_file.read_tflite(model)
    for operator in graph.operators:
        if operator.name == "RESHAPE":
            sizes = {prod(operator.inputs[0].shape), prod(operator.outputs[0].shape)}
            if len(sizes) > 1:  # a placeholder, until the network runs
                raise ModelError(
                    f"{model_files.name(model)}: the file does not say how large the output "
                    f"{operator.outputs[0].name!r} of RESHAPE is"
                )
    steps, sizes = activation_memory.tflite_steps(graph.operators)
    needed = activation_memory.lifetimes(steps, {t.index for t in graph.outputs})
    tensors = {t: Lifetime(sizes[t], *needed[t]) for t in sorted(needed)}
    offsets = smallest_arena(tensors)
    return MemoryPlan(arena_bytes(tensors, offsets), offsets, tensors)


def greedy_by_size(tensors: dict[Hashable, Lifetime]) -> dict[Hashable, int]:
    """Return the first byte of each tensor in an arena, the largest placed first.

    Each goes to the lowest place where it disturbs none of those that lie there already and are
    needed at the same time. Of equally large ones the last named comes first, as in TFLM.

    Parameters
    ----------
    tensors : name of a tensor → its lifetime, in the order of their names in the file.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    last_first = list(tensors)[::-1]  # sorting keeps this order among equals
    return first_fit(tensors, sorted(last_first, key=lambda t: -_aligned(tensors[t].bytes)))


def first_fit(tensors: dict[Hashable, Lifetime], order: Iterable[Hashable]) -> dict[Hashable, int]:
    """Return the first byte of each tensor in an arena, each put at the lowest place that is free.

    Parameters
    ----------
    tensors : name of a tensor → its lifetime.
    order : their names, in the order in which they are placed.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    offsets = {}
    for tensor in order:
        offsets[tensor] = _lowest_place(tensor, tensors, offsets)
    return offsets


def _lowest_place(
    tensor: Hashable, tensors: dict[Hashable, Lifetime], offsets: dict[Hashable, int]
) -> int:
    new, offset = tensors[tensor], 0
    for other in sorted(offsets, key=offsets.get):
        there, begin = tensors[other], offsets[other]
        together = new.first <= there.last and there.first <= new.last
        if together and offset < begin + there.bytes and begin < offset + new.bytes:
            offset = _aligned(begin + there.bytes)
    return offset


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def arena_bytes(tensors: dict[Hashable, Lifetime], offsets: dict[Hashable, int]) -> int:
    """Return the size of an arena in which tensors lie so.

    Parameters
    ----------
    tensors : name of a tensor → its lifetime.
    offsets : name of a tensor → its first byte.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    return max(offsets[tensor] + tensors[tensor].bytes for tensor in offsets)


def smallest_arena(tensors: dict[Hashable, Lifetime]) -> dict[Hashable, int]:
    """Return the first byte of each tensor: the largest first, or a better order if it is found.

    Of at most `MOST_SEARCHED` tensors no arena is smaller. Of more, the largest come first; this
    is seldom far from the least, and nobody knows a fast way to the least (the problem is NP-hard).

    Parameters
    ----------
    tensors : name of a tensor → its lifetime.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    best = greedy_by_size(tensors)
    if len(tensors) > MOST_SEARCHED:
        return best
    least = max(
        sum(t.bytes for t in tensors.values() if t.first <= step <= t.last)
        for step in range(max(t.last for t in tensors.values()) + 1)
    )
    for order in permutations(tensors):
        if arena_bytes(tensors, best) == least:
            break
        offsets = first_fit(tensors, order)
        best = min(best, offsets, key=lambda offsets: arena_bytes(tensors, offsets))
    return best
