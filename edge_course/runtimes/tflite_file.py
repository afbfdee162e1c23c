"""What a ``.tflite`` file holds: tensors and operators. Reading them, and writing others."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from edge_course.quantization import packing
from edge_course.runtimes import litert, model_files
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_schema import builtin_name, from_schema, to_schema

# The schema's types that NumPy has too.
NUMPY_TYPES = (
    "float64", "float32", "float16", "complex64", "bool",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
)  # fmt: skip
_explained = partial(
    model_files.explained, runtime="LiteRT's schema", errors=(ValueError, LookupError)
)


class Tensor(NamedTuple):
    """One tensor in a file.

    Attributes
    ----------
    index : its number in the file.
    name : as in the file.
    shape : sizes, with the file's own batch size.
    dtype : as NumPy calls it; 4-bit codes, which the file packs, are int8 here.
    scales, zero_points : float32 and int64, one for each channel or one for all; of length 0
        if the tensor holds no codes.
    values : the weights, of that dtype; None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scales: np.ndarray
    zero_points: np.ndarray
    values: np.ndarray | None

    def __str__(self) -> str:
        kind = "" if self.values is None else "constant "
        return f"{kind}{self.dtype} {'×'.join(map(str, self.shape)) or 'number'}"


class Operator(NamedTuple):
    """One operator in a file with the tensors it reads and writes.

    Attributes
    ----------
    name : as in the schema, such as "CONV_2D".
    inputs : None stands for one left out before others; those left out at the end have no place.
    outputs : as in the file.
    options : the settings under the schema's names, such as ``options.strideH``.
    """

    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any

    def __str__(self) -> str:
        read, written = (", ".join(map(str, side)) for side in (self.given, self.outputs))
        return f"{self.name:<15} {read} → {written}"

    @property
    def given(self) -> tuple[Tensor, ...]:
        """The inputs that are not left out."""
        return tuple(t for t in self.inputs if t is not None)


class Graph(NamedTuple):
    """The tensors and operators of a file, and which tensors are given and wanted.

    Operators come in the order in which they run.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_tflite(model: bytes | str | os.PathLike) -> Graph:
    """Return the graph of a ``.tflite`` file.

    Parameters
    ----------
    model : the content of the file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is not a TFLite model that the runtime loads, has more than one graph, or holds
        a tensor in a form that is not read here (its name is in the message).

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    litert.interpreter(model)  # the runtime verifies what the schema's module takes on trust
    name, file = model_files.name(model), to_schema(model_files.content(model))
    if len(file.subgraphs) != 1:
        raise ModelError(f"{name}: expected one graph, got {len(file.subgraphs)}")
    graph = file.subgraphs[0]
    with _explained(name, "read"):
        tensors = tuple(_tensor(i, t, file.buffers, name) for i, t in enumerate(graph.tensors))

        def chosen(indices: Sequence[int] | None) -> tuple[Tensor | None, ...]:
            return tuple(None if i < 0 else tensors[i] for i in _no_trailing(indices))

        operators = tuple(
            Operator(builtin_name(file, o), chosen(o.inputs), chosen(o.outputs), o.builtinOptions)
            for o in graph.operators or ()
        )
        return Graph(tensors, operators, chosen(graph.inputs), chosen(graph.outputs))


def shape_tensors(operators: Iterable[Operator]) -> set[int]:
    """Return the indices of the tensors that are worked out from shapes alone.

    What SHAPE returns, and what any operator makes of such tensors and of constants. In a file
    for any batch, that is the new shape for a RESHAPE; no input's numbers take part.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    known: set[int] = set()
    for operator in operators:
        read = [t.index for t in operator.given if t.values is None]
        if operator.name == "SHAPE" or (read and known.issuperset(read)):
            known |= {t.index for t in operator.outputs}
    return known


def with_all_outputs(model: bytes | str | os.PathLike) -> bytes:
    """Return the same file with every activation as an output, in the order of the operators.

    The default kernels keep what is computed inside a network to themselves; an output they
    have to hand over. What only works out shapes (`shape_tensors`) is left out.

    Parameters
    ----------
    model : the content of the file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        As `read_tflite`.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    operators = read_tflite(model).operators
    shapes = shape_tensors(operators)
    file = to_schema(model_files.content(model))
    file.subgraphs[0].outputs = [
        t.index for o in operators for t in o.outputs if t.index not in shapes
    ]
    file.signatureDefs = None  # it names the old outputs
    return from_schema(file)


def rewrite(
    model: bytes | str | os.PathLike,
    tensors: Iterable[Tensor],
    *,
    packed: Collection[int] = (),
) -> bytes:
    """Return a file with other numbers in some of its tensors; never other operators.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.
    tensors : the tensors to put in the place of those of the same index. Shape and dtype must be
        those of the file, as must be the number of scales and zero points.
    packed : indices of those int8 weights to store in half the bytes, as INT4 tensors; their
        codes must lie between −8 and 7.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        As `read_tflite`.
    ValueError
        If a tensor does not fit the one in the file, or codes to be packed need more bits.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph, file = read_tflite(model), to_schema(model_files.content(model))
    for new in tensors:
        _check_fit(graph.tensors[new.index], new)
        there = file.subgraphs[0].tensors[new.index]
        if len(new.scales):
            there.quantization.scale = np.asarray(new.scales, np.float32)
            there.quantization.zeroPoint = np.asarray(new.zero_points, np.int64)
            there.quantization.min = there.quantization.max = None  # of the old range
        if new.values is not None:
            content = new.values
            if new.dtype == np.int8:
                narrow = new.index in packed
                there.type = schema.TensorType.INT4 if narrow else schema.TensorType.INT8
                content = packing.pack(content) if narrow else content
            # A buffer of its own: the file may share one between tensors of equal content.
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(content).tobytes(), np.uint8)
            if sum(t.buffer == there.buffer for t in file.subgraphs[0].tensors) > 1:
                file.buffers.append(buffer)
                there.buffer = len(file.buffers) - 1
            else:
                file.buffers[there.buffer] = buffer
    return from_schema(file)


def _no_trailing(indices: Sequence[int] | None) -> list[int]:
    """Return indices without the −1 at their end, which stand for inputs left out."""
    kept = [] if indices is None else list(map(int, indices))
    while kept and kept[-1] < 0:
        kept.pop()
    return kept


def _tensor(index: int, tensor: Any, buffers: list, file_name: str) -> Tensor:
    from ai_edge_litert import schema_py_generated as schema

    name = (tensor.name or b"").decode()
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    scales, zero_points = np.zeros(0, np.float32), np.zeros(0, np.int64)
    codes, buffer = tensor.quantization, buffers[tensor.buffer]
    types = {number: kind for kind, number in vars(schema.TensorType).items()}
    kind = types[tensor.type].lower()
    unread = {
        f"is of the type {kind}": kind not in (*NUMPY_TYPES, "int4"),
        "is stored sparsely": tensor.sparsity is not None,
        "lies in another file": bool(tensor.externalBuffer),
        "has scales of blocks": codes is not None and codes.details is not None,
    }
    for what in (what for what, holds in unread.items() if holds):
        raise ModelError(f"{file_name}: the tensor {name!r} {what}, which is not read here")
    if codes is not None and codes.scale is not None:
        scales = np.array(codes.scale, np.float32)
        zero_points = np.array(codes.zeroPoint, np.int64)
    dtype = np.dtype("int8" if kind == "int4" else kind)
    if buffer.data is None:
        return Tensor(index, name, shape, dtype, scales, zero_points, None)
    content = np.asarray(buffer.data, np.uint8)
    values = packing.unpack(content, shape) if kind == "int4" else content.view(dtype)
    if values.size != math.prod(shape):
        raise ModelError(
            f"{file_name}: the tensor {name!r} of shape {shape} has {values.size} numbers"
        )
    return Tensor(index, name, shape, dtype, scales, zero_points, values.reshape(shape))


def _check_fit(old: Tensor, new: Tensor) -> None:
    """Refuse a tensor that would change more than numbers."""
    for what, expected, given in zip(_FACTS, _facts(old), _facts(new), strict=True):
        if expected != given:
            raise ValueError(f"{old.name}: expected the {what} {expected}, got {given}")


_FACTS = ("shape", "dtype", "number of scales", "number of zero points", "weights")


def _facts(tensor: Tensor) -> tuple:
    """Return what a tensor has to share with the one in whose place it comes."""
    values = tensor.values
    weights = "none" if values is None else f"{values.dtype} {values.shape}"
    return tensor.shape, tensor.dtype, len(tensor.scales), len(tensor.zero_points), weights
