"""How much memory a network's activations need at once, which decides on a microcontroller.

Weights stay in flash, where they are only read. Activations are written, so they need RAM; an
activation gives its place back when the last operator that reads it is done. The largest sum
over the order of operators is what no memory planner can go below.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Mapping, Sequence
from math import prod

from edge_course.runtimes import tflite_file
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_file import Operator, Tensor


def peak_activation_bytes(operators: Sequence[Operator], outputs: Collection[Tensor] = ()) -> int:
    """Return the largest sum of bytes of the activations that are alive at once, for one input.

    While an operator works, alive are its inputs and outputs and whatever a later operator
    still reads; the network's inputs from the start, its outputs to the end. Every tensor has a
    place of its own, what RESHAPE returns too: so TensorFlow Lite Micro's memory planner lays
    them out. Not counted are weights, what only works out shapes
    (`edge_course.runtimes.tflite_file.shape_tensors`), and what a kernel needs for itself.

    Parameters
    ----------
    operators : in the order in which they run, as
        `edge_course.runtimes.tflite_file.read_tflite` returns them.
    outputs : the network's outputs, where operators read some of them too; what no operator
        reads is an output in any case.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If there are no operators.
    """
    return max(alive_bytes(*tflite_steps(operators), {t.index for t in outputs}))


def peak_bytes(file: bytes | str | os.PathLike) -> int:
    """Return `peak_activation_bytes` of a ``.tflite`` file.

    Parameters
    ----------
    file : its content, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no TFLite model.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    graph = tflite_file.read_tflite(file)
    return peak_activation_bytes(graph.operators, graph.outputs)


def tflite_steps(
    operators: Sequence[Operator],
) -> tuple[list[tuple[set[int], set[int]]], dict[int, int]]:
    """Return what `alive_bytes` needs of a TFLite file: what is read and written, and bytes.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If there are no operators.
    """
    if not operators:
        raise ModelError("there are no operators to count: expected those of a TFLite model")
    shapes = tflite_file.shape_tensors(operators)
    sizes = {
        t.index: prod(t.shape) * t.dtype.itemsize
        for operator in operators
        for t in (*operator.given, *operator.outputs)
        if t.values is None and t.index not in shapes
    }
    steps = [
        ({t.index for t in o.given} & sizes.keys(), {t.index for t in o.outputs} & sizes.keys())
        for o in operators
    ]
    return steps, sizes


def alive_bytes(
    steps: Sequence[tuple[Collection[Hashable], Collection[Hashable]]],
    sizes: Mapping[Hashable, int],
    outputs: Collection[Hashable] = (),
) -> list[int]:
    """Return for each step the bytes of the tensors that are alive while it works.

    Parameters
    ----------
    steps : for each operator, the tensors that it reads and those that it writes.
    sizes : tensor → bytes.
    outputs : tensors that are kept to the end, beside those that no step reads.
    """
    alive = lifetimes(steps, outputs)
    return [
        sum(sizes[t] for t, (first, last) in alive.items() if first <= number <= last)
        for number in range(len(steps))
    ]


def lifetimes(
    steps: Sequence[tuple[Collection[Hashable], Collection[Hashable]]],
    outputs: Collection[Hashable] = (),
) -> dict[Hashable, tuple[int, int]]:
    """Return for each tensor the first and the last step during which it is needed.

    Parameters
    ----------
    steps, outputs : as for `alive_bytes`.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    first, last = {}, {}
    for number, (read, written) in enumerate(steps):
        for tensor in read:
            first.setdefault(tensor, 0)  # not written before: an input, there from the start
            last[tensor] = number
        for tensor in written:
            first.setdefault(tensor, number)
    end = len(steps) - 1
    last |= dict.fromkeys([t for t in first if t not in last or t in outputs], end)
    return {tensor: (first[tensor], last[tensor]) for tensor in first}
