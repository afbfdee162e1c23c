"""Change what a ``.tflite`` file holds: weights, scales and zero points; never its operators."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

import numpy as np

from edge_course.quantization import packing
from edge_course.runtimes import model_files, tflite_file


def rewrite(
    model: bytes | str | os.PathLike,
    tensors: Mapping[int, tflite_file.Tensor],
    *,
    packed: Collection[int] = (),
) -> bytes:
    """Return a file with other numbers in some of its tensors.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.
    tensors : index of a tensor in the file → the tensor to put there. Shape and dtype must be
        those of the file, as must be the number of scales and zero points.
    packed : indices of those int8 weights to store in half the bytes, as INT4 tensors; their
        codes must lie between −8 and 7.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is not a TFLite model with one graph.
    ValueError
        If a tensor does not fit the one in the file, or codes to be packed need more bits.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = tflite_file.read_tflite(model)
    file = schema.ModelT.InitFromPackedBuf(model_files.content(model), 0)
    for index, new in tensors.items():
        _check_fit(graph.tensors[index], new)
        there = file.subgraphs[0].tensors[index]
        if len(new.scales):
            there.quantization.scale = np.asarray(new.scales, np.float32)
            there.quantization.zeroPoint = np.asarray(new.zero_points, np.int64)
            there.quantization.min = there.quantization.max = None  # of the old range
        if new.values is not None:
            content = new.values
            if new.dtype == np.int8:
                there.type = schema.TensorType.INT4 if index in packed else schema.TensorType.INT8
                content = packing.pack(content) if index in packed else content
            # A buffer of its own: the file may share one between tensors of equal content.
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(content).tobytes(), np.uint8)
            if sum(t.buffer == there.buffer for t in file.subgraphs[0].tensors) > 1:
                file.buffers.append(buffer)
                there.buffer = len(file.buffers) - 1
            else:
                file.buffers[there.buffer] = buffer
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _check_fit(old: tflite_file.Tensor, new: tflite_file.Tensor) -> None:
    """Refuse a tensor that would change more than numbers."""
    for what in ("shape", "dtype"):
        if getattr(old, what) != getattr(new, what):
            raise ValueError(
                f"{old.name}: expected the {what} {getattr(old, what)}, got {getattr(new, what)}"
            )
    if (old.values is None) != (new.values is None):
        raise ValueError(f"{old.name}: expected an activation for an activation, or weights")
    if old.values is not None and (new.values.shape, new.values.dtype) != (old.shape, old.dtype):
        raise ValueError(
            f"{old.name}: expected values {old.dtype} {old.shape}, "
            f"got {new.values.dtype} {new.values.shape}"
        )
    if len(old.scales) != len(new.scales) or len(old.zero_points) != len(new.zero_points):
        raise ValueError(
            f"{old.name}: expected {len(old.scales)} scales and zero points, "
            f"got {len(new.scales)} and {len(new.zero_points)}"
        )
