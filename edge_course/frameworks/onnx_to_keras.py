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

from edge_course.frameworks import onnx_translations  # noqa: F401 (it fills the table)
from edge_course.frameworks.onnx_node import OnnxNode, TranslationError, explained_translation
from edge_course.networks import layout
from edge_course.runtimes import ort

if TYPE_CHECKING:
    import keras

OLDEST_OPSET = 13  # that of the table; before it, Softmax and Clip were something else
RUN_OPSET = 7  # the oldest one that ONNX Runtime promises to run
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
    shape = _input_shape(_given(proto.graph))
    proto = _lifted(proto)
    graph = proto.graph
    with explained_translation("the weights of this graph cannot be read"):
        values: dict[str, Any] = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    values[_given(graph).name] = source = keras.Input(batch_shape=shape, name="input")
    flattened: dict[str, Any] = {}
    nodes = [OnnxNode(node, index, values, flattened) for index, node in enumerate(graph.node)]
    for node in nodes:
        if node.reads_only_constants():
            values |= _folded(node, proto)
        else:
            values[node.output] = node.translated()
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
    for seed, (spread, tolerance) in enumerate(TOLERANCES.items()):
        inputs = _random_inputs(session, seed, spread)
        (x,) = inputs.values()
        with explained_translation("this graph cannot be run"):
            expected = session.run(None, inputs)
            actual = translated(layout.channels_last(x))  # as everybody calls it
        actual = actual if isinstance(actual, list) else [actual]  # Keras unpacks a list of one
        rounding = 0.0  # of the numbers that were added up: a sum can be much smaller
        for node, a, b in zip(computed, actual, expected, strict=True):
            rounding = max(rounding, 8 * np.finfo(np.float32).eps * np.abs(b).max())
            _check_close(node, np.asarray(a), layout.channels_last(b), tolerance, rounding)


def _check_close(
    node: OnnxNode, actual: np.ndarray, expected: np.ndarray, tolerance: float, rounding: float
) -> None:
    if actual.shape != expected.shape:
        raise node.refusal(f"translated wrongly: its shape is {actual.shape}, not {expected.shape}")
    # Where both are yes or no, a no is 0 and a yes is 1.
    difference = np.abs(np.subtract(actual, expected, dtype=np.float32)).max()
    largest = np.abs(expected).max()
    if (
        not difference <= max(tolerance * largest, rounding) < np.inf
    ):  # NaN is neither smaller nor larger
        raise node.refusal(
            f"translated wrongly: on random inputs Keras and ONNX Runtime differ by up to "
            f"{difference:.3g}, where the largest output is {largest:.3g}"
        )


def _lifted(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of an older operator set in the oldest one that the table is about."""
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset >= OLDEST_OPSET:
        return proto
    what = (
        f"operator set {opset} is older than {OLDEST_OPSET}, and ONNX' version converter cannot "
        f"lift it; export the model again with operator set {OLDEST_OPSET} or newer"
    )
    with explained_translation(what):
        if opset < RUN_OPSET:  # attributes only: broadcasting and "is_test" were said in words
            proto = onnx.version_converter.convert_version(proto, RUN_OPSET)
        lifted = onnx.version_converter.convert_version(proto, OLDEST_OPSET)
        lifted.ir_version = max(proto.ir_version, 4)  # weights need not be inputs any more
        _check_lifted(proto, lifted)
    return lifted


def _check_lifted(proto: onnx.ModelProto, lifted: onnx.ModelProto) -> None:
    """Raise a TranslationError if two ONNX models differ on random inputs."""
    before, after = (ort.session(p.SerializeToString(), level="none") for p in (proto, lifted))
    for seed, spread in enumerate(TOLERANCES):
        inputs = _random_inputs(before, seed, spread)
        for expected, actual in zip(before.run(None, inputs), after.run(None, inputs), strict=True):
            if not np.allclose(actual, expected, rtol=1e-5, atol=1e-6, equal_nan=True):
                raise TranslationError(
                    "ONNX' version converter has changed what the model computes"
                )


def _random_inputs(session: Any, seed: int, spread: float) -> dict[str, np.ndarray]:
    """Return normally distributed numbers for a session's one input, another batch each time."""
    (given,) = session.get_inputs()
    batch, *shape = given.shape
    n = batch if isinstance(batch, int) else seed + 1
    x = np.random.default_rng(seed).normal(0, spread, (n, *shape)).astype(np.float32)
    return {given.name: x}


def _folded(node: OnnxNode, proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return the outputs of a node that reads only constants, as ONNX Runtime computes them."""
    weights = [onnx.numpy_helper.from_array(a, name) for name, a in node.constants().items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.proto.output if name]
    graph = onnx.helper.make_graph([node.proto], "constants", [], outputs, weights)
    made = onnx.helper.make_model(
        graph, opset_imports=proto.opset_import, ir_version=proto.ir_version
    )
    with explained_translation(f"node {node.name!r}, operator {node.operator}: of constants"):
        arrays = ort.session(made.SerializeToString(), level="none").run(None, {})
    return dict(zip((output.name for output in outputs), arrays, strict=True))


def _given(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    """Return the graph's one input; older files list the weights among the inputs, too."""
    weights = {weight.name for weight in graph.initializer}
    return _only([value for value in graph.input if value.name not in weights], "input")


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
