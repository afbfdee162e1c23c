"""From an ONNX graph to a Keras model, and from there to LiteRT.

A converter is a table of operator translations (`onnx_operators`), a rule for where the
channels go (`layout`), and a loop over the nodes. This one stops at what it does not know,
and compares what it made with ONNX Runtime before it returns it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from edge_course.frameworks.onnx_operators import TRANSLATIONS
from edge_course.networks import layout
from edge_course.runtimes import ort

if TYPE_CHECKING:
    import keras

__all__ = ["TRANSLATIONS", "TranslationError", "translate", "verify"]

OLDEST_OPSET = 13  # before it, Softmax and Clip were something else
# Standard deviation of random inputs, inside bounds and beyond → how far outputs may differ,
# relative to the largest. A softmax makes the rounding errors of large numbers larger still.
TOLERANCES = {1.0: 1e-5, 0.1: 1e-5, 10.0: 1e-4}


class TranslationError(ValueError):
    """An ONNX graph has something that cannot be carried over, or was carried over wrongly."""


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
    with _explained("the weights of this graph cannot be read"):
        values: dict[str, Any] = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    given = _only([i for i in graph.input if i.name not in values], "input")
    values[given.name] = source = keras.Input(batch_shape=_input_shape(given), name="input")
    flattened: dict[str, Any] = {}
    nodes = [Node(node, index, values, flattened) for index, node in enumerate(graph.node)]
    for node in nodes:
        values[node.output] = node.translated()
    computed = {n: values[n.output] for n in nodes if not isinstance(values[n.output], np.ndarray)}
    wanted = _only(graph.output, "output").name
    if wanted not in [node.output for node in computed]:
        raise TranslationError(f"output {wanted!r} is computed by no node")
    verify(proto, source, computed)
    return keras.Model(source, values[wanted])


class Node:
    """One node of an ONNX graph, whose inputs are translated already.

    It knows what was read of it. An attribute or an input that its translation did not
    look at means something that the Keras model would not do: that is refused.

    Parameters
    ----------
    proto : the node in the ONNX file.
    index : its place in the graph; names Keras' layers, and the node if it has no name.
    values : name → constant (an array) or Keras tensor, of all that stands before it.
    flattened : name of a flattened tensor → the 4-D Keras tensor that it was.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """

    def __init__(self, proto: onnx.NodeProto, index: int, values: dict, flattened: dict):
        self.operator = ort.operator_name(proto)
        self.name = proto.name or f"{proto.op_type}_{index}"
        self.output = next(iter(proto.output), "")
        self.flattened = flattened
        self.input_names = list(proto.input)
        self.index = index
        self._values = values
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        self._unread = {f"attribute {name}" for name in self._attributes}
        self._unread |= {f"input {i}" for i, name in enumerate(proto.input) if name}
        self._unread |= {f"output {name}" for name in proto.output[1:] if name}

    def translated(self) -> Any:
        """Return its output: what the table says, if that looked at everything."""
        if self.operator not in TRANSLATIONS:
            raise self.refusal(f"unknown operator; known are {', '.join(sorted(TRANSLATIONS))}")
        with _explained(f"node {self.name!r}, operator {self.operator}"):
            y = TRANSLATIONS[self.operator](self)
        if self._unread:
            raise self.refusal(f"cannot carry its {', '.join(sorted(self._unread))}")
        return y

    def refusal(self, why: str) -> TranslationError:
        """Return the error that says why this node stops the translation."""
        return TranslationError(f"node {self.name!r}, operator {self.operator}: {why}")

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value: a number, a list, a text or a tensor."""
        self._unread.discard(f"attribute {name}")
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def only(self, name: str, value: Any) -> None:
        """Refuse every value of an attribute but this one, which is its default."""
        if (found := self.attribute(name, value)) != value:
            raise self.refusal(f"attribute {name} is {found}, only {value} can be carried")

    def value(self, i: int) -> Any:
        """Return an input, a constant or a Keras tensor; None if it is left out."""
        self._unread.discard(f"input {i}")
        name = self.input_names[i] if i < len(self.input_names) else ""
        if name and name not in self._values:
            raise self.refusal(f"its input {name!r} is computed by no node before it")
        return self._values[name] if name else None

    def constant(self, i: int) -> np.ndarray | None:
        """Return an input that has to be a constant; None if it is left out."""
        value = self.value(i)
        if not isinstance(value, np.ndarray | None):
            raise self.refusal(f"its input {self.input_names[i]!r} is computed, not a constant")
        return value

    def tensor(self, i: int, *dimensions: int) -> Any:
        """Return an input that has to be computed and to have so many dimensions."""
        value = self.value(i)
        if value is None or isinstance(value, np.ndarray):
            raise self.refusal(f"its input {i} is a constant or left out, not computed")
        if dimensions and value.ndim not in dimensions:
            raise self.refusal(f"its input {i} has {value.ndim} dimensions, not {dimensions}")
        return value

    def layer(self, kind: str, x: Any, *weights: np.ndarray, **settings: Any) -> Any:
        """Return the output of a new layer of this kind with these weights."""
        import keras

        settings.setdefault("name", f"{kind.lower()}_{self.index}")
        layer = getattr(keras.layers, kind)(**settings)
        y = layer(x)
        layer.set_weights(weights)
        return y

    def operation(self, kind: str, *inputs: Any, **settings: Any) -> Any:
        """Return the output of the function of this name in `keras.ops`."""
        import keras

        return getattr(keras.ops, kind)(*inputs, **settings)


def verify(
    proto: onnx.ModelProto, source: keras.KerasTensor, computed: dict[Node, keras.KerasTensor]
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

    Taught in: notebooks/05_crossing_frameworks.ipynb
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
        with _explained("this graph cannot be run"):
            expected = session.run(None, {given.name: x})
            found = translated(layout.channels_last(x), training=False)
        found = found if isinstance(found, list) else [found]  # Keras unpacks a list of one
        for node, a, b in zip(computed, found, expected, strict=True):
            _check_close(node, np.asarray(a), layout.channels_last(b), tolerance)


def _check_close(node: Node, found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise node.refusal(f"translated wrongly: its shape is {found.shape}, not {expected.shape}")
    largest, difference = np.abs(expected).max(), np.abs(found - expected).max()
    if not difference <= tolerance * largest < np.inf:  # NaN is neither smaller nor larger
        raise node.refusal(
            f"translated wrongly: on random inputs Keras and ONNX Runtime differ by up to "
            f"{difference:.3g}, where the largest output is {largest:.3g}"
        )


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever is raised by Keras, NumPy or ONNX Runtime into a TranslationError."""
    try:
        yield
    except TranslationError:
        raise
    except Exception as error:  # their errors have no common base
        raise TranslationError(f"{what}: {error}") from error


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
