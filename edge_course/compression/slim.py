"""A ``.tflite`` file without what the runtime does not need; it computes the same bytes.

In a file of a few thousand weights, half of the bytes are something else: names of tensors,
ranges that the converter noted, the same list of zero points again and again, operators that
work out a shape which the file states anyway.
"""

from __future__ import annotations

import os
from typing import Any

import flatbuffers
import numpy as np

from edge_course.runtimes import model_files, tflite_file


def slim_file(model: bytes | str | os.PathLike) -> bytes:
    """Return a smaller file of the same network, with the same inputs, outputs and results.

    What goes: the names of tensors and of the signature, the descriptions, metadata, ranges
    that quantization has used up, equal vectors stored more than once, and a flattening in
    front of a dense layer, which flattens by itself. Weights, scales and zero points stay.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.

    Returns
    -------
    bytes
        Without signature: run it by `litert.Runner` or any interpreter, not by name.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no TFLite model with one graph.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    from ai_edge_litert import schema_py_generated as schema

    tflite_file.read_tflite(model)  # the runtime verifies what the schema's module takes on trust
    file = schema.ModelT.InitFromPackedBuf(model_files.content(model), 0)
    graph = file.subgraphs[0]
    _flatten_in_the_dense_layer(file, graph)
    _drop_notes(file, graph)
    _drop_unused_tensors(graph)
    _drop_unused_operator_codes(file, graph)
    _share_buffers(file, graph)
    _vectors_as_arrays(file, graph)
    builder = _SharingBuilder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once: in a FlatBuffer any number of tables may point to one."""

    def __init__(self, size: int):
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 (the name is given)
        """Return the offset of the vector, which may be there already."""
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def _flatten_in_the_dense_layer(file: Any, graph: Any) -> None:
    """Let a dense layer read what was reshaped for it; what made the new shape goes as well."""
    makers = {o.outputs[0]: o for o in graph.operators}
    readers = [i for o in graph.operators for i in o.inputs]
    for dense in [o for o in graph.operators if _name(file, o) == "FULLY_CONNECTED"]:
        reshape = makers.get(dense.inputs[0])
        if reshape is None or _name(file, reshape) != "RESHAPE" or dense.inputs[0] in graph.outputs:
            continue
        before, after = (graph.tensors[i].shape for i in (reshape.inputs[0], dense.inputs[0]))
        one_each = len(before) > 2 and before[0] == after[0] == 1 and len(after) == 2
        if not one_each or np.prod(before) != np.prod(after):
            continue
        if readers.count(dense.inputs[0]) == 1 and not dense.builtinOptions.keepNumDims:
            dense.inputs = [reshape.inputs[0], *dense.inputs[1:]]
    while dead := [o for o in graph.operators if not _is_read(o, graph)]:
        graph.operators = [o for o in graph.operators if o not in dead]


def _is_read(operator: Any, graph: Any) -> bool:
    read = {int(i) for o in graph.operators for i in o.inputs} | set(map(int, graph.outputs))
    return bool(read & set(map(int, operator.outputs)))


def _name(file: Any, operator: Any) -> str:
    return tflite_file.operator_name(file, operator)


def _drop_notes(file: Any, graph: Any) -> None:
    """Empty what is there to be read by people, or by tools before the file was made."""
    file.description = file.metadata = file.metadataBuffer = file.signatureDefs = None
    graph.name = None
    for tensor in graph.tensors:
        tensor.name = None
        if tensor.shapeSignature is not None and -1 not in tensor.shapeSignature:
            tensor.shapeSignature = None
        if (codes := tensor.quantization) is not None:
            codes.min = codes.max = None
            if codes.scale is None or not len(codes.scale):
                tensor.quantization = None


def _drop_unused_tensors(graph: Any) -> None:
    ends = [*graph.inputs, *graph.outputs]
    used = {int(i) for o in graph.operators for i in (*o.inputs, *o.outputs)} | set(map(int, ends))
    kept = sorted(used - {-1})  # -1 stands for an input left out
    new = {old: i for i, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]
    for part in (graph, *graph.operators):
        part.inputs = [new[int(i)] for i in part.inputs]
        part.outputs = [new[int(i)] for i in part.outputs]


def _drop_unused_operator_codes(file: Any, graph: Any) -> None:
    kept = sorted({o.opcodeIndex for o in graph.operators})
    file.operatorCodes = [file.operatorCodes[i] for i in kept]
    for operator in graph.operators:
        operator.opcodeIndex = kept.index(operator.opcodeIndex)


def _share_buffers(file: Any, graph: Any) -> None:
    """Keep one buffer of each content. Buffer 0 is empty by definition."""
    contents: list[bytes | None] = [None]
    for tensor in graph.tensors:
        data = file.buffers[tensor.buffer].data
        content = None if data is None or not len(data) else bytes(data)
        if content not in contents:
            contents.append(content)
        tensor.buffer = contents.index(content)
    file.buffers = [_buffer(content) for content in contents]


def _buffer(content: bytes | None) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = None if content is None else np.frombuffer(content, np.uint8)
    return buffer


def _vectors_as_arrays(file: Any, graph: Any) -> None:
    """Turn lists into arrays, which the builder can compare."""
    for part in (graph, *graph.operators):
        part.inputs = np.array(part.inputs, np.int32)
        part.outputs = np.array(part.outputs, np.int32)
    for tensor in graph.tensors:
        for name in ("shape", "shapeSignature"):
            if getattr(tensor, name) is not None:
                setattr(tensor, name, np.array(getattr(tensor, name), np.int32))
        if (codes := tensor.quantization) is not None:
            codes.scale = np.array(codes.scale, np.float32)
            codes.zeroPoint = np.array(codes.zeroPoint, np.int64)
