"""One node of an ONNX graph on its way to Keras: what a translation asks it, and its refusals."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx

from edge_course.networks import layout
from edge_course.runtimes import ort

TRANSLATIONS: dict[str, Callable[[OnnxNode], Any]] = {}


def translates(*operators: str) -> Callable:
    """Enter the decorated function into the table as the translation of these operators."""

    def enter(function: Callable[[OnnxNode], Any]) -> Callable[[OnnxNode], Any]:
        TRANSLATIONS.update(dict.fromkeys(operators, function))
        return function

    return enter


class TranslationError(ValueError):
    """An ONNX graph has something that cannot be carried over, or was carried over wrongly."""


@contextlib.contextmanager
def explained_translation(what: str) -> Iterator[None]:
    """Turn whatever is raised by Keras, NumPy or ONNX Runtime into a TranslationError."""
    try:
        yield
    except TranslationError:
        raise
    except Exception as error:  # their errors have no common base
        raise TranslationError(f"{what}: {error}") from error


class OnnxNode:
    """One node of an ONNX graph, whose inputs are translated already.

    It knows what was read of it. An attribute or an input that its translation did not
    look at means something that the Keras model would not do: that is refused.

    Parameters
    ----------
    proto : the node in the ONNX file.
    index : its place in the graph; names Keras' layers, and the node if it has no name.
    values : name → constant (an array) or Keras tensor, of all that stands before it.
    flattened : name of a flattened tensor → the 4-D Keras tensor that it was.
    """

    def __init__(self, proto: onnx.NodeProto, index: int, values: dict, flattened: dict):
        self.proto = proto
        self.operator = ort.node_operator(proto)
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
        with explained_translation(f"node {self.name!r}, operator {self.operator}"):
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
        if (given := self.attribute(name, value)) != value:
            raise self.refusal(f"attribute {name} is {given}, only {value} can be carried")

    def ignore_further_outputs(self) -> None:
        """Leave out all outputs but the first; a node that reads one is refused."""
        self._unread = {what for what in self._unread if not what.startswith("output")}

    def reads_only_constants(self) -> bool:
        """Tell whether its output does not depend on the graph's input, though on others."""
        names = [name for name in self.input_names if name]
        return bool(names) and all(isinstance(self._values.get(n), np.ndarray) for n in names)

    def constants(self) -> dict[str, np.ndarray]:
        """Return its inputs by name, if it `reads_only_constants`."""
        return {name: self._values[name] for name in self.input_names if name}

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
        """Return the output of the function of this name in `keras.ops`, such as "image.resize"."""
        import keras

        return operator.attrgetter(kind)(keras.ops)(*inputs, **settings)


def batch_stays(node: OnnxNode, axis: int, dimensions: int) -> int:
    """Return an ONNX axis as Keras' one; refuse that of the batch."""
    axis = layout.channels_last_axis(axis, dimensions)
    if axis == 0:
        raise node.refusal("attribute axis is that of the batch, which has to stay as it is")
    return axis
