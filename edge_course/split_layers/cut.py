"""Cutting an ONNX model in two: every possible cut, what crosses it, and the two models.

The first part of a network, its *head*, is a set of operators that has, with each operator, all
that it needs. What the other operators, the *tail*, read of it has to cross. Weights do not
cross: each part has its own.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_files import read_proto
from edge_course.split_layers.graph import Network, Vertex, constants, read_graph

if TYPE_CHECKING:
    import onnx

MAX_CUTS = 20_000
# What ONNX Runtime may do to the parts and to the whole, so that both give the same scores. At
# "all" it also changes the layout of the activations, and how far depends on what it sees of
# the graph: on some processors the last bit of a score then depends on the cut.
LEVEL = "extended"


def possible_cuts(network: Network, *, limit: int = MAX_CUTS) -> list[frozenset[int]]:
    """Return every possible head: each set of operators that has, with each, all before it.

    From the empty head (everything is in the tail) to the whole network. A chain of n
    operators has n + 1, but n branches side by side have 2ⁿ.

    Parameters
    ----------
    network : from `graph.read_graph`.
    limit : the most cuts to list.

    Returns
    -------
    list[frozenset[int]]
        The numbers of the operators in each head, shorter heads first.

    Raises
    ------
    ValueError
        If there are more cuts than that: `graph_plan.best_plan` finds the best one
        without listing them.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    before = network.before()
    heads = level = [frozenset()]
    while level:
        # One operator more: any of which all that it needs is there already.
        longer = {
            head | {n}
            for head in level
            for n in range(len(before))
            if n not in head and before[n] <= head
        }
        level = sorted(longer, key=sorted)
        heads = heads + level
        if len(heads) > limit:
            raise ValueError(
                f"more than {limit} cuts: graph_plan.best_plan finds the best without a list"
            )
    return heads


def crossing_tensors(network: Network, head: Collection[int]) -> tuple[str, ...]:
    """Return the names of the tensors that go from a head to its tail, in the order of the file.

    Those that the network's input brings or the head writes, and an operator of the tail reads;
    each once, however many operators read it. With everything in the head nothing crosses.

    Parameters
    ----------
    network : from `graph.read_graph`.
    head : the numbers of the operators in the head.

    Raises
    ------
    ValueError
        If there is no such operator, or one in the head needs one that is not.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    head = checked_head(network, head)
    written = set(network.inputs)
    wanted = set()
    for n, operator in enumerate(network.operators):
        if n in head:
            written.update(operator.writes)
        else:
            wanted.update(operator.reads)
    return tuple(name for name in network.tensors if name in written & wanted)


def checked_head(network: Network, head: Collection[int]) -> frozenset[int]:
    """Return a head as it is; raise a ValueError if it is none, see `crossing_tensors`."""
    head, count = frozenset(head), len(network.operators)
    if unknown := [n for n in head if n not in range(count)]:
        raise ValueError(f"expected operators from 0 to {count - 1}, got {unknown[0]!r}")
    before = network.before()
    for n in sorted(head):
        if missing := before[n] - head:
            raise ValueError(
                f"the head has the operator {n} ({network.operators[n].name}) but not "
                f"{min(missing)}, which it needs: data would have to come back from the tail"
            )
    return head


def crossing_bytes(
    network: Network, head: Collection[int], dtype: str = "float32", *, as_stored: int | None = None
) -> int:
    """Return the bytes that cross from a head to its tail for one input, without any header.

    Parameters
    ----------
    network : from `graph.read_graph`.
    head : the numbers of the operators in the head.
    dtype : how floating-point numbers are sent: "float32", "float16" or "int8".
    as_stored : bytes of the network's input as it is stored, if that is what is sent of it: a
        picture is 784 bytes, not 3136. Not given, the input is sent in ``dtype``, too.

    Raises
    ------
    ValueError
        As `crossing_tensors`, or if the dtype is another one.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    return sum(
        as_stored
        if as_stored is not None and name in network.inputs
        else network.tensors[name].wire_bytes(dtype)
        for name in crossing_tensors(network, head)
    )


def tail_inputs(
    reads: Mapping[str, Sequence[str]], num_bytes: Mapping[str, int], most: int
) -> tuple[str, ...]:
    """Return the names at which `onnx.utils.extract_model` cuts a file for the fewest bytes.

    Heads are the first k operators of the file, k from 1 to ``most``, with at least one left for
    the tail. Of equals, the smallest k.

    Parameters
    ----------
    reads : for at least two operators in the order of the file, what each writes → the names
        that it reads, without weights.
    num_bytes : name → bytes.
    most : the most operators that the device takes, at least 1.

    Returns
    -------
    tuple[str, ...]
        The names of what crosses, in alphabetical order: where the tail begins.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    names, cuts = list(reads), []
    for k in range(1, min(most, len(names) - 1) + 1):
        tail = names[k:]
        cuts.append(tuple(sorted({r for name in tail for r in reads[name]} - set(tail))))
    return min(cuts, key=lambda crossing: sum(num_bytes[name] for name in crossing))


class Parts(NamedTuple):
    """A model in two parts.

    Attributes
    ----------
    head, tail : the content of an ``.onnx`` file; None for a part without any operator.
    crossing : the names of the tensors that go from the head to the tail: outputs of the head
        and inputs of the tail. The model's own input is among them if the tail reads it.
    """

    head: bytes | None
    tail: bytes | None
    crossing: tuple[str, ...]


def cut_model(model: bytes | str | os.PathLike, head: Collection[int]) -> Parts:
    """Return an ONNX model cut into head and tail.

    Each part has the weights that it needs; what both need is in both. The head takes the
    model's inputs, the tail what crosses; tensors keep their names. A network's output that the
    head computes is an output of the head.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.
    head : the numbers of the operators in the head, as `possible_cuts` lists them.

    Returns
    -------
    Parts
        Both are checked by ONNX' own checker.

    Raises
    ------
    ModelError
        If it is not an ONNX model that can be cut, see `graph.read_graph`.
    ValueError
        If there is no such operator, or one in the head needs one that is not.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    import onnx

    network = read_graph(model)
    head = checked_head(network, head)
    names = crossing_tensors(network, head)
    proto = onnx.shape_inference.infer_shapes(read_proto(model))
    first, second = [], []
    for n, operator in enumerate(network.operators):
        (first if n in head else second).append(operator)

    def part(operators: list[Vertex], inputs: tuple[str, ...]) -> bytes | None:
        if not operators:
            return None
        written = {name for operator in operators for name in operator.writes}
        outputs = [name for name in (*names, *network.outputs) if name in written]
        return _part(proto, written, inputs, tuple(dict.fromkeys(outputs)))

    read = {name for operator in first for name in operator.reads}
    used = tuple(name for name in network.inputs if name in read)
    return Parts(part(first, used), part(second, names), names)


def _part(
    proto: onnx.ModelProto, written: set[str], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> bytes:
    """Return the operators that write these tensors, with their weights, as a model."""
    import onnx

    graph = proto.graph
    constant = constants(graph)
    kept, needed = [], set(outputs)
    for node in reversed(graph.node):  # what a node needs stands before it
        wanted = written if node.output[0] not in constant else needed
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            needed.update(node.input)
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    made.ClearField("graph")
    made.graph.name = graph.name
    made.graph.node.extend(reversed(kept))
    made.graph.input.extend(values[name] for name in inputs)
    made.graph.output.extend(values[name] for name in outputs)
    made.graph.initializer.extend(w for w in graph.initializer if w.name in needed)
    if proto.ir_version < 4:  # then weights are listed among the inputs, too
        made.graph.input.extend(values[w.name] for w in made.graph.initializer)
    made.graph.sparse_initializer.extend(
        w for w in graph.sparse_initializer if w.values.name in needed
    )
    notes = [n for n in graph.quantization_annotation if n.tensor_name in needed | written]
    made.graph.quantization_annotation.extend(notes)
    try:
        onnx.checker.check_model(made, full_check=True)
    except Exception as error:
        raise ModelError(f"a part of this model is no valid model: {error}") from error
    return made.SerializeToString()
