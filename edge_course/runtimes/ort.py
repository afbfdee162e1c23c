"""ONNX Runtime: exporting to ONNX, quantizing, optimising the graph and running it."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_conversion import export
from edge_course.runtimes.onnx_files import onnx_errors_explained, read_proto
from edge_course.runtimes.onnx_quantization import QUANTIZATION_MODES, quantize_model
from edge_course.runtimes.ort_session import LEVELS, Runner, session

if TYPE_CHECKING:
    import onnx

__all__ = [
    "LEVELS", "QUANTIZATION_MODES", "ModelError", "OnnxOperator", "OnnxTensor", "Runner",
    "check_loads", "export", "node_operator", "operators", "optimize_model", "quantize_model",
    "read_proto", "session",
]  # fmt: skip

_explained = partial(onnx_errors_explained, runtime="ONNX Runtime")


def optimize_model(model: bytes | str | os.PathLike, level: str) -> bytes:
    """Return the graph that ONNX Runtime really runs, as the content of an ``.onnx`` file.

    With "all" it can suit only the kind of processor that it was made on.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.
    level : "none", "basic", "extended" or "all", see `session`.

    Raises
    ------
    ModelError
        If it is not an ONNX model that this runtime can read.
    ValueError
        If there is no such level.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "optimized.onnx")
        session(model, level=level, save_as=path)
        return path.read_bytes()


class OnnxTensor(NamedTuple):
    """One tensor in an ONNX graph.

    Attributes
    ----------
    name : as in the file.
    dtype : as NumPy calls it; empty if unknown.
    shape : sizes, "n" or another name for one that is open; None if unknown.
    values : the weights; None for an activation.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    values: np.ndarray | None

    def __str__(self) -> str:
        kind = "" if self.values is None else "constant "
        if self.shape is None:
            return f"{kind}{self.dtype} of unknown shape".strip()
        return f"{kind}{self.dtype} {'×'.join(map(str, self.shape)) or 'number'}"


class OnnxOperator(NamedTuple):
    """One operator in an ONNX graph with the tensors it reads and writes.

    Attributes
    ----------
    name : as in the standard; what only ONNX Runtime has begins with "com.microsoft.".
    inputs, outputs : the tensors, without inputs that are left out.
    """

    name: str
    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]

    def __str__(self) -> str:
        inputs, outputs = (", ".join(map(str, side)) for side in (self.inputs, self.outputs))
        return f"{self.name:<23} {inputs} → {outputs}"


def operators(model: bytes | str | os.PathLike) -> list[OnnxOperator]:
    """Return the operators of an ONNX graph in the order in which they stand in the file.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.

    Raises
    ------
    ModelError
        If it is not an ONNX model that this runtime can read.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    import onnx

    proto = read_proto(model)
    check_loads(model)
    with _explained(model_files.name(model), "list"):
        graph = onnx.shape_inference.infer_shapes(proto).graph
        tensors = {t.name: t for t in map(_activation, [*graph.input, *graph.value_info])}
        tensors |= {t.name: t for t in map(_activation, graph.output)}
        tensors |= {t.name: t for t in map(_weight, graph.initializer)}

        def known(names: list[str]) -> tuple[OnnxTensor, ...]:
            # No name stands for an input left out.
            return tuple(tensors.get(n, OnnxTensor(n, "", None, None)) for n in names if n)

        return [OnnxOperator(node_operator(n), known(n.input), known(n.output)) for n in graph.node]


def check_loads(model: bytes | str | os.PathLike) -> None:
    """Raise a ModelError if ONNX Runtime cannot load a model: it checks more than the parser."""
    session(model, level="none")


def node_operator(node: onnx.NodeProto) -> str:
    """Return a node's operator, with its domain if it is not one of ONNX itself."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _activation(value: onnx.ValueInfoProto) -> OnnxTensor:
    import onnx

    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else ""
    if not tensor.HasField("shape"):
        return OnnxTensor(value.name, dtype, None, None)
    shape = (
        d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim
    )
    return OnnxTensor(value.name, dtype, tuple(shape), None)


def _weight(weight: onnx.TensorProto) -> OnnxTensor:
    import onnx

    values = onnx.numpy_helper.to_array(weight)
    return OnnxTensor(weight.name, values.dtype.name, values.shape, values)
