"""An ONNX network as a graph: its operators, and the tensors between them with their bytes."""

from __future__ import annotations

import os
from functools import partial
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_course.runtimes import model_files, ort
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_files import draws_random_numbers, onnx_errors_explained, read_proto

if TYPE_CHECKING:
    import onnx

# Bytes of a number on the wire. Only floating-point numbers are converted.
WIRE_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_explained = partial(onnx_errors_explained, runtime="ONNX")


class Activation(NamedTuple):
    """What one operator hands to others, or the network's input.

    Attributes
    ----------
    name : as in the file.
    dtype : as NumPy calls it.
    shape : of one input: a batch of any size counts as 1.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers are in it."""
        return prod(self.shape)

    def wire_bytes(self, dtype: str = "float32") -> int:
        """Return its bytes if floating-point numbers are sent as "float32", "float16" or "int8".

        Raises
        ------
        ValueError
            If the dtype is another one.
        """
        if dtype not in WIRE_BYTES:
            raise ValueError(f"expected one of {', '.join(WIRE_BYTES)}, got {dtype!r}")
        own = np.dtype(self.dtype)
        return self.numbers * (WIRE_BYTES[dtype] if own.kind == "f" else own.itemsize)


class Vertex(NamedTuple):
    """One operator that computes something from the input.

    Attributes
    ----------
    name : the node's name, or its first output's if it has none.
    kind : what it computes: "Conv", "Relu", …
    reads, writes : the names of the tensors, without weights.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


class Network(NamedTuple):
    """The operators of a network with the tensors between them.

    Attributes
    ----------
    operators : in the order in which they can run; called by their numbers from 0.
    tensors : name → tensor, of the inputs and of all that operators write.
    inputs, outputs : the names of the network's own.
    """

    operators: tuple[Vertex, ...]
    tensors: dict[str, Activation]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def writer(self, tensor: str) -> int | None:
        """Return the number of the operator that writes a tensor; None for an input."""
        return next((n for n, o in enumerate(self.operators) if tensor in o.writes), None)

    def readers(self, tensor: str) -> frozenset[int]:
        """Return the numbers of the operators that read a tensor."""
        return frozenset(n for n, o in enumerate(self.operators) if tensor in o.reads)

    def before(self) -> tuple[frozenset[int], ...]:
        """Return for each operator the numbers of those whose tensors it reads."""
        writers = {t: n for n, operator in enumerate(self.operators) for t in operator.writes}
        return tuple(
            frozenset(writers[t] for t in operator.reads if t in writers)
            for operator in self.operators
        )


def read_graph(model: bytes | str | os.PathLike) -> Network:
    """Return an ONNX model as a graph of operators and the tensors between them.

    Operators that read only weights count as weights; those that no output needs are left
    out. Shapes are those of ONNX' own shape inference.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.

    Raises
    ------
    ModelError
        If it is not a valid ONNX model, a shape is not known beside the batch, or it has
        branches and loops (If, Loop, Scan), whose insides cannot be cut.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    import onnx

    name = model_files.name(model)
    proto = read_proto(model)
    with _explained(name, "check"):
        onnx.checker.check_model(proto)
        graph = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    constant = constants(graph)
    operators = []
    for node in graph.node:
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ModelError(
                f"{name}: has the operator {node.op_type}, inside which nobody can cut"
            )
        if node.output[0] not in constant:
            reads = dict.fromkeys(t for t in node.input if t and t not in constant)
            writes = tuple(t for t in node.output if t)
            kind = ort.node_operator(node)
            operators.append(Vertex(node.name or writes[0], kind, tuple(reads), writes))
    inputs = tuple(value.name for value in graph.input if value.name not in constant)
    outputs = tuple(value.name for value in graph.output)
    written = {t for operator in operators for t in operator.writes}
    if unmade := [t for t in outputs if t not in written]:
        raise ModelError(f"{name}: no operator computes the output {unmade[0]} from the input")
    operators = _needed(operators, outputs)
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    named = dict.fromkeys([*inputs, *(t for o in operators for t in o.writes)])
    tensors = {t: _tensor(name, t, values.get(t)) for t in named}
    return Network(tuple(operators), tensors, inputs, outputs)


def _needed(operators: list[Vertex], outputs: tuple[str, ...]) -> list[Vertex]:
    """Return the operators without those that no output needs."""
    kept, needed = [], set(outputs)
    for operator in reversed(operators):
        if not needed.isdisjoint(operator.writes):
            kept.append(operator)
            needed.update(operator.reads)
    return kept[::-1]


def constants(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all tensors that do not depend on the input: weights and their kin."""
    names = {weight.name for weight in graph.initializer}
    names |= {weight.values.name for weight in graph.sparse_initializer}
    for node in graph.node:
        read = {t for t in node.input if t}
        if read <= names and not draws_random_numbers(node):
            names |= {t for t in node.output if t}
    return names


def _tensor(model: str, name: str, value: onnx.ValueInfoProto | None) -> Activation:
    import onnx

    kind = value.type.tensor_type if value is not None else None
    if kind is None or not kind.elem_type or not kind.HasField("shape"):
        raise ModelError(f"{model}: the shape of {name} is not known; export the model with shapes")
    sizes = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim]
    if sizes and isinstance(sizes[0], str):
        sizes[0] = 1  # the batch
    if any(isinstance(size, str) for size in sizes):
        raise ModelError(
            f"{model}: {name} has the shape {tuple(sizes)}; expected one of which only the "
            "batch, the first size, is open: export the model with fixed sizes"
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return Activation(name, dtype, tuple(sizes))
