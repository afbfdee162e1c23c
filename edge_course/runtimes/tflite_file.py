"""What a ``.tflite`` file says: tensors, operators and their settings, as the schema has them.

The format is a FlatBuffer; its schema (``schema.fbs`` in LiteRT's repository) comes with the
runtime as a Python module.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from edge_course.quantization import packing
from edge_course.runtimes import litert, model_files

# Whole numbers that only work out the shape for RESHAPE; the file says that shape too.
SHAPE_ARITHMETIC = {"SHAPE", "STRIDED_SLICE", "PACK"}
DTYPES = ("float32", "float16", "int8", "int16", "int32", "int64", "uint8", "bool")


class Tensor(NamedTuple):
    """One tensor in a file.

    Attributes
    ----------
    name : as in the file.
    shape : sizes, for a batch of one.
    dtype : as NumPy calls it; 4-bit codes, which the file packs, are int8 here.
    scales, zero_points : float32 and int64, one for each channel or one for all; of length 0
        if the tensor holds no codes.
    values : the weights; None for an activation.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scales: np.ndarray
    zero_points: np.ndarray
    values: np.ndarray | None


class Operator(NamedTuple):
    """One operator in a file.

    Attributes
    ----------
    name : as in the schema, such as "CONV_2D".
    inputs, outputs : the indices of the tensors; −1 stands for an input left out.
    options : the settings under the schema's names, such as ``options.strideH``.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


class Graph(NamedTuple):
    """The tensors and operators of a file, and which tensors are given and wanted."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(model: bytes | str | os.PathLike) -> Graph:
    """Return the graph of a ``.tflite`` file.

    Parameters
    ----------
    model : the content of the file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is not a TFLite model, or has more than one graph.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    from ai_edge_litert import schema_py_generated as schema

    litert.interpreter(model)  # the runtime verifies what the schema's module takes on trust
    file = schema.ModelT.InitFromPackedBuf(model_files.content(model), 0)
    if len(file.subgraphs) != 1:
        raise model_files.ModelError(
            f"{model_files.name(model)}: expected one graph, got {len(file.subgraphs)}"
        )
    dtypes = {getattr(schema.TensorType, d.upper()): np.dtype(d) for d in DTYPES}
    graph = file.subgraphs[0]
    tensors = tuple(_tensor(t, file.buffers, dtypes) for t in graph.tensors)
    operators = tuple(
        Operator(
            operator_name(file, o),
            tuple(map(int, o.inputs)),
            tuple(map(int, o.outputs)),
            o.builtinOptions,
        )
        for o in graph.operators
    )
    return Graph(tensors, operators, tuple(map(int, graph.inputs)), tuple(map(int, graph.outputs)))


def with_all_outputs(model: bytes | str | os.PathLike) -> bytes:
    """Return the same file with every activation as an output, in the order of the operators.

    The default kernels keep what is computed inside a network to themselves; an output they
    have to hand over. What only works out shapes (`SHAPE_ARITHMETIC`) is left out.

    Parameters
    ----------
    model : the content of the file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        As `read_tflite`.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    read_tflite(model)
    file = schema.ModelT.InitFromPackedBuf(model_files.content(model), 0)
    graph = file.subgraphs[0]
    graph.outputs = [
        operator.outputs[0]
        for operator in graph.operators
        if operator_name(file, operator) not in SHAPE_ARITHMETIC
    ]
    file.signatureDefs = None  # it names the old outputs
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operator_name(file: Any, operator: Any) -> str:
    """Return what the schema calls an operator of a file, both as the schema's own objects."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {code: name for name, code in vars(BuiltinOperator).items()}
    return names[file.operatorCodes[operator.opcodeIndex].builtinCode]


def _tensor(tensor: Any, buffers: list, dtypes: dict[int, np.dtype]) -> Tensor:
    from ai_edge_litert import schema_py_generated as schema

    dtype = dtypes.get(tensor.type, np.dtype("V"))
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    scales, zero_points = np.zeros(0, np.float32), np.zeros(0, np.int64)
    if tensor.quantization is not None and tensor.quantization.scale is not None:
        scales = np.array(tensor.quantization.scale, np.float32)
        zero_points = np.array(tensor.quantization.zeroPoint, np.int64)
    data = buffers[tensor.buffer].data
    if tensor.type == schema.TensorType.INT4:
        dtype = np.dtype("int8")
        values = None if data is None else packing.unpack(np.frombuffer(bytes(data), "u1"), shape)
    else:
        values = None if data is None else np.frombuffer(bytes(data), dtype).reshape(shape)
    return Tensor((tensor.name or b"").decode(), shape, dtype, scales, zero_points, values)
