"""A ``.tflite`` file without what the runtime does not need; it computes the same bytes.

In a file of a few thousand weights, half of the bytes are something else: names of tensors,
ranges that the converter noted, the same list of zero points again and again, operators that
work out a shape which the file states anyway.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np

from edge_course.runtimes import litert, model_files, tflite_file
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_schema import builtin_name, from_schema, to_schema

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

RUNS = 3  # random inputs on which the new file is compared with the old one


def slim_file(model: bytes | str | os.PathLike) -> bytes:
    """Return a smaller file of the same network, with the same inputs, outputs and results.

    What goes: the names of tensors and of the signature, the descriptions, metadata, ranges
    that quantization has used up, equal vectors stored more than once, and a flattening in
    front of a dense layer, which flattens by itself. Weights, scales and zero points stay.
    Before the new file is returned, it is loaded, and both are run on random inputs.

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
        If it is no TFLite model with one graph and at most one signature, its operators name
        other graphs, or the new file does not load or compute the same bytes.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    content = model_files.content(model)
    tflite_file.read_tflite(model)  # the runtime verifies what the schema's module takes on trust
    file = to_schema(content)
    graph = file.subgraphs[0]
    _check_signatures(file, model_files.name(model))
    _flatten_in_the_dense_layer(file, graph)
    _drop_notes(file, graph)
    _drop_unused_tensors(graph)
    _drop_unused_operator_codes(file, graph)
    _share_buffers(file, graph)
    _vectors_as_arrays(file, graph)
    slim = from_schema(file, _SharingBuilder(1024))
    _check_same_results(content, slim, model_files.name(model))
    return slim


def _check_signatures(file: Any, name: str) -> None:
    """Refuse a file that is called by more than one name."""
    names = [s.signatureKey.decode() for s in file.signatureDefs or ()]
    if len(names) > 1:
        raise ModelError(f"{name}: expected one signature, got {', '.join(names)}")


def _check_same_results(before: bytes, after: bytes, name: str) -> None:
    """Refuse a file that does not load, or gives other bytes than the one it was made from.

    Runs twice in a row, so that what an operator keeps for the next run counts too.
    """
    for kernels in litert.KERNELS:
        try:
            made = [litert.interpreter(content, kernels=kernels) for content in (before, after)]
            same = all(_same_outputs(*made, np.random.default_rng(seed)) for seed in range(RUNS))
        except (ModelError, RuntimeError, ValueError) as error:
            raise ModelError(f"{name}: cannot be made slim: {error}") from None
        if not same:
            raise ModelError(f"{name}: cannot be made slim: it would compute other bytes")


def _same_outputs(before: Interpreter, after: Interpreter, random: np.random.Generator) -> bool:
    """Return whether two interpreters compute the same bytes from one random input."""
    given = [made.get_input_details() for made in (before, after)]
    for one, other in zip(*given, strict=True):
        x = _random_input(one, random)
        before.set_tensor(one["index"], x)
        after.set_tensor(other["index"], x)
    results = []
    for made in (before, after):
        made.invoke()
        results.append([made.get_tensor(d["index"]) for d in made.get_output_details()])
    pairs = zip(*results, strict=True)
    return all((a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs)


def _random_input(details: dict, random: np.random.Generator) -> np.ndarray:
    """Return numbers of an input's type and shape: all codes, or real numbers around 0."""
    dtype, shape = np.dtype(details["dtype"]), details["shape"]
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    if dtype.itemsize == 1 or dtype == np.int16:
        kinds = np.iinfo(dtype) if dtype.kind in "iu" else None
        low, high = (kinds.min, kinds.max) if kinds else (0, 1)
        return random.integers(low, high, shape, endpoint=True).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)  # they may be indices of a small table


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
    makers = {i: o for o in graph.operators for i in _indices(o, "outputs")}
    readers = [i for o in graph.operators for i in _indices(o, "inputs")]
    for dense in [o for o in graph.operators if builtin_name(file, o) == "FULLY_CONNECTED"]:
        reshape = makers.get(dense.inputs[0])
        if reshape is None or builtin_name(file, reshape) != "RESHAPE":
            continue
        before, after = (graph.tensors[i].shape for i in (reshape.inputs[0], dense.inputs[0]))
        one_each = len(before) > 2 and before[0] == after[0] == 1 and len(after) == 2
        if not one_each or np.prod(before) != np.prod(after):
            continue
        read_once = readers.count(dense.inputs[0]) == 1 and dense.inputs[0] not in graph.outputs
        if read_once and not dense.builtinOptions.keepNumDims:
            dense.inputs = [reshape.inputs[0], *dense.inputs[1:]]
    while dead := [o for o in graph.operators if not _is_read(o, graph)]:
        graph.operators = [o for o in graph.operators if o not in dead]


def _is_read(operator: Any, graph: Any) -> bool:
    """Return whether anything needs an operator: what it returns, or what it does without."""
    read = {int(i) for o in graph.operators for i in _indices(o, "inputs")}
    written = set(map(int, _indices(operator, "outputs")))
    return not written or bool(written & (read | set(map(int, graph.outputs))))


def _drop_notes(file: Any, graph: Any) -> None:
    """Empty what is there to be read by people, or by tools before the file was made."""
    file.description = file.metadata = file.metadataBuffer = file.signatureDefs = None
    graph.name = None
    for part in (graph, *graph.operators):
        part.debugMetadataIndex = -1
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
    used = {int(i) for o in graph.operators for name in _INDICES for i in _indices(o, name)}
    kept = sorted((used | set(map(int, ends))) - {-1})  # -1 stands for an input left out
    new = {old: i for i, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]
    for part in (graph, *graph.operators):
        for name in _INDICES:
            if len(_indices(part, name)):
                setattr(part, name, [new[int(i)] for i in _indices(part, name)])


_INDICES = ("inputs", "outputs", "intermediates")  # where tensors are named by their numbers


def _indices(part: Any, name: str) -> Sequence[int]:
    indices = getattr(part, name, None)  # a graph has no intermediates
    return () if indices is None else indices


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
        for name in _INDICES:
            if len(_indices(part, name)):
                setattr(part, name, np.array(_indices(part, name), np.int32))
    for tensor in graph.tensors:
        for name in ("shape", "shapeSignature"):
            if getattr(tensor, name) is not None:
                setattr(tensor, name, np.array(getattr(tensor, name), np.int32))
        if (codes := tensor.quantization) is not None:
            codes.scale = np.array(codes.scale, np.float32)
            codes.zeroPoint = np.array(codes.zeroPoint, np.int64)
