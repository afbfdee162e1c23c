"""From an ONNX graph to a Keras model, and from there to LiteRT.

A converter is a table of operator translations (`onnx_translations`), a rule for where the
channels go (`layout`), and a loop over the nodes. This one stops at what it does not know,
and compares what it made with ONNX Runtime before it returns it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from edge_course.frameworks.onnx_node import OnnxNode, TranslationError, explained_translation
from edge_course.frameworks.onnx_translations import TRANSLATIONS
from edge_course.networks import layout
from edge_course.runtimes import ort

if TYPE_CHECKING:
    import keras

OLDEST_OPSET = 13  # before it, Softmax and Clip were something else
# Standard deviation of random inputs, inside bounds and beyond → how far outputs may differ,
# relative to the largest. A softmax makes the rounding errors of large numbers larger still.
TOLERANCES = {1.0: 1e-5, 0.1: 1e-5, 10.0: 1e-4}


def translate(model: bytes | str | os.PathLike) -> keras.Model:
    """Return an ONNX model as a Keras model, which takes and returns pictures as NHWC.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path. One input, float32
        (n, features) or (n, channels, height, width), where only n may be open; one output.

    Returns
    -------
    keras.Model
        Input float32 (n, features) or (n, height, width, channels); output likewise.

    Raises
    ------
    TranslationError
        If the graph has an operator, an attribute or a shape that cannot be carried over
        (the message names the node or the input), or if the Keras model and ONNX Runtime
        differ on random inputs.
    edge_course.runtimes.model_files.ModelError
        If it is not an ONNX model, or one that ONNX Runtime cannot load.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    import keras

    proto = ort.read_proto(model)
    graph = proto.graph
    _check_opset(proto)
    with explained_translation("the weights of this graph cannot be read"):
        values: dict[str, Any] = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    given = _only([i for i in graph.input if i.name not in values], "input")
    values[given.name] = source = keras.Input(batch_shape=_input_shape(given), name="input")
    flattened: dict[str, Any] = {}
    nodes = [OnnxNode(node, index, values, flattened) for index, node in enumerate(graph.node)]
    for node in nodes:
        values[node.output] = node.translated(TRANSLATIONS)
    computed = {n: values[n.output] for n in nodes if not isinstance(values[n.output], np.ndarray)}
    wanted = _only(graph.output, "output").name
    if wanted not in [node.output for node in computed]:
        raise TranslationError(f"output {wanted!r} is computed by no node")
    verify_translation(proto, source, computed)
    return keras.Model(source, values[wanted])


def verify_translation(
    proto: onnx.ModelProto, source: keras.KerasTensor, computed: dict[OnnxNode, keras.KerasTensor]
) -> None:
    """Compare what every node computes with ONNX Runtime, on random inputs of three magnitudes.

    Parameters
    ----------
    proto : the ONNX model.
    source : its input in Keras.
    computed : the nodes with their outputs in Keras.

    Raises
    ------
    TranslationError
        If an output has another shape, is not finite, or is further away than `TOLERANCES`
        allows. The message names the first such node.
    edge_course.runtimes.model_files.ModelError
        If ONNX Runtime cannot load the model.
    """
    import keras

    observed = onnx.ModelProto()
    observed.CopyFrom(proto)
    del observed.graph.output[:]
    observed.graph.output.extend(onnx.ValueInfoProto(name=node.output) for node in computed)
    session = ort.session(observed.SerializeToString(), level="none")  # the graph as it is written
    translated = keras.Model(source, list(computed.values()))
    given = session.get_inputs()[0]
    batch, *shape = given.shape
    for seed, (spread, tolerance) in enumerate(TOLERANCES.items()):
        n = batch if isinstance(batch, int) else seed + 1
        x = np.random.default_rng(seed).normal(0, spread, (n, *shape)).astype(np.float32)
        with explained_translation("this graph cannot be run"):
            expected = session.run(None, {given.name: x})
            found = translated(layout.channels_last(x), training=False)
        found = found if isinstance(found, list) else [found]  # Keras unpacks a list of one
        for node, a, b in zip(computed, found, expected, strict=True):
            _check_close(node, np.asarray(a), layout.channels_last(b), tolerance)


def _check_close(node: OnnxNode, found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise node.refusal(f"translated wrongly: its shape is {found.shape}, not {expected.shape}")
    largest, difference = np.abs(expected).max(), np.abs(found - expected).max()
    if not difference <= tolerance * largest < np.inf:  # NaN is neither smaller nor larger
        raise node.refusal(
            f"translated wrongly: on random inputs Keras and ONNX Runtime differ by up to "
            f"{difference:.3g}, where the largest output is {largest:.3g}"
        )


def _check_opset(proto: onnx.ModelProto) -> None:
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST_OPSET:
        raise TranslationError(
            f"operator set {opset}: expected {OLDEST_OPSET} or newer; export the model again"
        )


def _only(ends: list[onnx.ValueInfoProto], what: str) -> onnx.ValueInfoProto:
    if len(ends) != 1:
        raise TranslationError(f"expected one {what}, got {[end.name for end in ends]}")
    return ends[0]


def _input_shape(given: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """Return the input's shape as NHWC or (n, features), None for an open batch."""
    tensor = given.type.tensor_type
    sizes = [d.dim_value or d.dim_param or "?" for d in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(sizes) not in (2, 4):
        raise TranslationError(
            f"input {given.name!r}: expected float32 with 2 or 4 dimensions, got "
            f"{onnx.TensorProto.DataType.Name(tensor.elem_type)} {sizes}"
        )
    if not all(isinstance(size, int) and size > 0 for size in sizes[1:]):
        raise TranslationError(
            f"input {given.name!r}: only the batch may be open, got the shape {sizes}; "
            "export the model with a fixed size"
        )
    batch, *rest = sizes
    if len(rest) == 3:
        rest = [*rest[1:], rest[0]]
    return (batch if isinstance(batch, int) and batch > 0 else None, *rest)
