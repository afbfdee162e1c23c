"""Any network of the class that can be divided by channels, read from an ONNX file."""

from __future__ import annotations

import os
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from edge_course.networks.batch_norm import fold_batch_norm
from edge_course.runtimes import ort
from edge_course.split_channels.layers import Layer, output_shapes
from edge_course.split_channels.program import together

if TYPE_CHECKING:
    import onnx


def read_layers(model: bytes | str | os.PathLike) -> tuple[tuple[Layer, ...], tuple[int, ...]]:
    """Return an ONNX network as layers that can be divided by channels, and its input's shape.

    PyTorch networks come here by ``torch.onnx.export``. The class: a chain of Conv (plain or
    depthwise, the same stride and padding on all sides), Gemm or MatMul, MaxPool of 2×2 and
    GlobalAveragePool or ReduceMean over height and width; BatchNormalization, a constant Add, Relu
    and Clip from 0 to 6 behind them; an earlier output that is added before the activation;
    Flatten, Reshape and Squeeze in front of a dense layer, Identity and Dropout anywhere.
    What was read is compared with ONNX Runtime on random inputs.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path; one float32 input (n, channels, height,
        width), of which only n may be open.

    Returns
    -------
    layers : tuple of Layer
    shape : of one input, (channels, height, width).

    Raises
    ------
    ModelError
        If it is not a valid ONNX model, or not of the class; the message names the node.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    runner = ort.Runner(model)
    shape = tuple(runner.input_shape)
    if len(shape) != 3:
        raise ort.ModelError(f"expected an input (n, channels, height, width), got (n, *{shape})")
    chain = _Chain(ort.read_proto(model), shape)
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    ours, theirs = together(chain.layers, ["whole"] * len(chain.layers), 1, x).output, runner.run(x)
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-4 * np.abs(theirs).max():
        raise ort.ModelError("the layers do not compute what ONNX Runtime does with this model")
    return tuple(chain.layers), shape


class _Chain:
    """The layers so far, and for each tensor of the graph the layer whose output it is."""

    def __init__(self, proto: onnx.ModelProto, shape: tuple[int, ...]):
        import onnx

        self.shape = shape
        self.layers: list[Layer] = []
        self.made = {}  # tensor → name of the layer that has made it, or "input"
        self.arrays = {w.name: onnx.numpy_helper.to_array(w) for w in proto.graph.initializer}
        [given] = [i.name for i in proto.graph.input if i.name not in self.arrays]
        self.last, self.made[given] = given, "input"
        for node in proto.graph.node:
            self.node = node
            self.settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            self._take()

    def _take(self) -> None:
        node = self.node
        if node.op_type == "Constant":
            from onnx.reference import ReferenceEvaluator

            [self.arrays[node.output[0]]] = ReferenceEvaluator(node).run(None, {})
            return
        self.inputs = [self.arrays.get(name) for name in node.input]  # None: it is computed
        if node.op_type not in _TAKES:
            raise self._refusal("this operator is not of the class")
        computed = [name for name in node.input if name in self.made]
        if self.last not in computed:
            raise self._refusal(f"it reads {', '.join(node.input)}, not the output before it")
        _TAKES[node.op_type](self)
        self.last = node.output[0]
        self.made[self.last] = self.layers[-1].name if self.layers else "input"

    def _refusal(self, why: str) -> ort.ModelError:
        name = self.node.name or self.node.output[0]
        return ort.ModelError(
            f"node {name!r}, operator {self.node.op_type}: {why}; a network that can be divided by "
            f"channels is a chain of {', '.join(_TAKES)}"
        )

    def _only(self, **expected: object) -> None:
        """Refuse settings that differ from these; one that is not there is as expected."""
        for name, value in expected.items():
            if self.settings.get(name, value) != value:
                raise self._refusal(f"{name} is {self.settings[name]}, expected {value}")

    def _same(self, name: str, default: int) -> int:
        """Return the one number that a setting has for all sides."""
        numbers = set(self.settings.get(name, [default]))
        if len(numbers) > 1:
            raise self._refusal(f"{name} is {self.settings[name]}, expected one number throughout")
        return numbers.pop()

    def _append(self, kind: str, *arrays: np.ndarray | None, **settings: int) -> None:
        self.layers.append(Layer(self.node.output[0], kind, *arrays, **settings))

    def _change(self, **changes: object) -> None:
        """Change the last layer, which must not have its activation yet."""
        if not self.layers or self.layers[-1].activation:
            raise self._refusal("there is no layer without an activation before it")
        self.layers[-1] = replace(self.layers[-1], name=self.node.output[0], **changes)

    def _conv(self) -> None:
        w, bias = (*self.inputs[1:], None)[:2]
        if w is None or w.ndim != 4:
            raise self._refusal("expected a constant weight (out, in, rows, columns)")
        self._only(dilations=[1, 1], auto_pad=b"NOTSET")
        group, channels = self.settings.get("group", 1), self._shape()[0]
        if group not in (1, channels) or (group > 1 and len(w) != channels):
            raise self._refusal(f"group is {group}, expected 1 or one for each of {channels}")
        depthwise = group > 1
        kind, w = ("depthwise", w[:, 0]) if depthwise else ("conv", w)
        self._append(kind, w, bias, stride=self._same("strides", 1), padding=self._same("pads", 0))

    def _shape(self) -> tuple[int, ...]:
        """Return the shape of the last output, without the batch."""
        shapes = output_shapes(self.layers, (1, *self.shape))
        return shapes[self.layers[-1].name if self.layers else "input"][1:]

    def _gemm(self) -> None:
        self._only(alpha=1.0, beta=1.0, transA=0)
        w, bias = (*self.inputs[1:], None)[:2]
        if w is None:
            raise self._refusal("expected a constant weight")
        self._dense(w if self.settings.get("transB") else w.T, bias)

    def _matmul(self) -> None:
        if (w := self.inputs[1]) is None or w.ndim != 2:
            raise self._refusal("expected a constant weight (in, out)")
        self._dense(w.T, None)

    def _dense(self, w: np.ndarray, bias: np.ndarray | None) -> None:
        if w.shape[1] != prod(shape := self._shape()):
            raise self._refusal(f"a weight for {w.shape[1]} inputs does not fit {shape}")
        # (out, in) → (out, channels, height, width) behind a picture
        self._append("dense", np.ascontiguousarray(w).reshape(len(w), *shape), bias)

    def _add(self) -> None:
        constant = [a for a in self.inputs if a is not None]
        if constant:
            before = self.layers[-1].bias if self.layers else None
            bias = constant[0].reshape(-1) + (0 if before is None else before)
            self._change(bias=bias)
            return
        other = [name for name in self.node.input if name != self.last]
        if not other or self.layers[-1].add:
            raise self._refusal("expected the last output and one earlier one")
        self._change(add=self.made[other[0]])

    def _norm(self) -> None:
        self._only(training_mode=0)
        layer = self.layers[-1] if self.layers else None
        if layer is None or layer.weight is None or layer.add:
            raise self._refusal("expected a convolution or dense layer before it")
        bias = np.zeros(len(layer.weight)) if layer.bias is None else layer.bias
        epsilon = self.settings.get("epsilon", 1e-5)
        weight, bias = fold_batch_norm(layer.weight, bias, *self.inputs[1:5], epsilon)
        self._change(weight=weight.astype(np.float32), bias=bias.astype(np.float32))

    def _relu(self) -> None:
        self._change(activation="relu")

    def _clip(self) -> None:
        low, high = (*self.inputs[1:], None, None)[:2]
        if low is None or high is None or (float(low), float(high)) != (0.0, 6.0):
            raise self._refusal(f"expected bounds of 0 and 6, got {low} and {high}")
        self._change(activation="relu6")

    def _max_pool(self) -> None:
        self._only(dilations=[1, 1], pads=[0, 0, 0, 0], ceil_mode=0, auto_pad=b"NOTSET")
        if [self.settings.get(n) for n in ("kernel_shape", "strides")] != [[2, 2], [2, 2]]:
            raise self._refusal("expected a kernel and strides of [2, 2]")
        self._append("max_pool")

    def _mean(self) -> None:
        self._append("mean")

    def _reduce_mean(self) -> None:
        axes = self.settings.get("axes") if len(self.inputs) < 2 else self.inputs[1]
        if axes is None or sorted(a % 4 for a in axes) != [2, 3]:
            raise self._refusal(f"expected a mean over height and width, got axes {axes}")
        self._append("mean")

    def _flatten(self) -> None:
        self._only(axis=1)

    def _pass(self) -> None:
        """Do nothing: what does more than flatten shows in the comparison at the end."""


_TAKES = {
    "Conv": _Chain._conv, "Gemm": _Chain._gemm, "MatMul": _Chain._matmul,
    "BatchNormalization": _Chain._norm, "Add": _Chain._add, "Relu": _Chain._relu,
    "Clip": _Chain._clip, "MaxPool": _Chain._max_pool, "GlobalAveragePool": _Chain._mean,
    "ReduceMean": _Chain._reduce_mean, "Flatten": _Chain._flatten, "Reshape": _Chain._pass,
    "Squeeze": _Chain._pass, "Identity": _Chain._pass, "Dropout": _Chain._pass,
}  # fmt: skip
