"""What each ONNX operator is in Keras: a table of translations.

A translation takes an `OnnxNode` and returns the output as a Keras tensor, float32. Every 4-D
tensor is NCHW in ONNX and NHWC in Keras (see `layout`); every 2-D one is (n, features) in both.
What the node asks for and the Keras model would not do raises a `TranslationError` that names
the node. What each operator means is defined on onnx.ai/onnx/operators.

Taught in: notebooks/05_crossing_frameworks.ipynb
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx

from edge_course.networks import layout

if TYPE_CHECKING:
    from edge_course.frameworks.onnx_node import OnnxNode

TRANSLATIONS: dict[str, Callable[[OnnxNode], Any]] = {}


def translates(*operators: str) -> Callable:
    """Enter the decorated function into the table as the translation of these operators."""

    def enter(function: Callable[[OnnxNode], Any]) -> Callable[[OnnxNode], Any]:
        TRANSLATIONS.update(dict.fromkeys(operators, function))
        return function

    return enter


@translates("Constant")
def constant(node: OnnxNode) -> np.ndarray:
    """Return the array; it becomes a weight, a shape or a bound of a node that reads it."""
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64,
             "value_ints": np.int64}  # fmt: skip
    for name, dtype in kinds.items():
        if (value := node.attribute(name)) is not None:
            return np.array(value, dtype)
    if (value := node.attribute("value")) is None:
        raise node.refusal("its attribute is neither numbers nor an array")
    return onnx.numpy_helper.to_array(value)


@translates("Identity")
def identity(node: OnnxNode) -> Any:
    """Return the input, computed or constant."""
    return node.value(0)


@translates("Relu", "Sigmoid")
def activation(node: OnnxNode) -> Any:
    """Return an activation that has no settings."""
    return node.layer("Activation", node.tensor(0), activation=node.operator.lower())


@translates("Clip")
def clip(node: OnnxNode) -> Any:
    """Return the input between two bounds, of which either may be left out."""
    x = node.tensor(0)
    for bound, operation in ((node.constant(1), "maximum"), (node.constant(2), "minimum")):
        if bound is not None:
            x = node.operation(operation, x, bound.reshape(()))
    return x


@translates("Softmax")
def softmax(node: OnnxNode) -> Any:
    """Return the softmax along an axis."""
    x = node.tensor(0)
    return node.layer("Softmax", x, axis=_axis(node, x.ndim, -1))


@translates("Concat")
def concat(node: OnnxNode) -> Any:
    """Return the inputs one behind the other along an axis."""
    parts = [node.tensor(i) for i in range(len(node.input_names))]
    return node.operation("concatenate", parts, axis=_axis(node, parts[0].ndim))


def _axis(node: OnnxNode, dimensions: int, default: int | None = None) -> int:
    axis = layout.channels_last_axis(node.attribute("axis", default), dimensions)
    if axis == 0:
        raise node.refusal("attribute axis is that of the batch, which has to stay as it is")
    return axis


@translates("Add", "Mul")
def elementwise(node: OnnxNode) -> Any:
    """Return the sum or the product of two tensors, or of one and a constant."""
    values = [node.value(0), node.value(1)]
    dimensions = [v.ndim for v in values if not isinstance(v, np.ndarray)]
    if len(set(dimensions)) != 1:
        raise node.refusal(f"expected inputs of 2 or of 4 dimensions, got {dimensions}")
    a, b = (_beside(node, v, dimensions[0]) for v in values)
    return node.operation({"Add": "add", "Mul": "multiply"}[node.operator], a, b)


def _beside(node: OnnxNode, value: Any, dimensions: int) -> Any:
    """Return an operand, if it is a constant with the axes of a tensor of so many dimensions."""
    if not isinstance(value, np.ndarray):
        return value
    # ONNX matches shapes from the last axis on: (channels, 1, 1) goes with (n, channels, h, w).
    value = value.reshape((1,) * (dimensions - value.ndim) + value.shape)
    if value.ndim != dimensions or value.shape[0] != 1:
        raise node.refusal(f"a constant of shape {value.shape} would change the batch or the axes")
    return layout.channels_last(value)


@translates("BatchNormalization")
def batch_normalization(node: OnnxNode) -> Any:
    """Return γ · (x − mean) / √(variance + ε) + β for each channel."""
    node.only("training_mode", 0)
    node.attribute("momentum")  # of the training
    x, weights = node.tensor(0), [node.constant(i) for i in range(1, 5)]
    return node.layer("BatchNormalization", x, *weights, epsilon=node.attribute("epsilon", 1e-5))


@translates("Gemm")
def gemm(node: OnnxNode) -> Any:
    """Return alpha · x · kernel + beta · bias, as one dense layer."""
    node.only("transA", 0)
    kernel = np.float32(node.attribute("alpha", 1.0)) * node.constant(1)
    kernel = kernel.T if node.attribute("transB", 0) else kernel
    bias, beta = node.constant(2), np.float32(node.attribute("beta", 1.0))
    if bias is None:
        return _dense(node, kernel)
    return _dense(node, kernel, np.broadcast_to(beta * bias, (1, kernel.shape[1]))[0])


@translates("MatMul")
def matmul(node: OnnxNode) -> Any:
    """Return x · kernel."""
    return _dense(node, node.constant(1))


def _dense(node: OnnxNode, kernel: np.ndarray, *bias: np.ndarray) -> Any:
    x = node.tensor(0, 2)
    picture = node.flattened.get(node.input_names[0])
    if picture is not None:  # put the kernel in the order of NHWC, rather than the activations
        height, width, channels = picture.shape[1:]
        kernel = layout.dense_kernel(kernel, (channels, height, width))
        x = node.layer("Flatten", picture)
    settings = {"units": kernel.shape[1], "use_bias": bool(bias)}
    return node.layer("Dense", x, kernel, *bias, **settings)


@translates("Flatten")
def flatten(node: OnnxNode) -> Any:
    """Return everything of one picture in a row, in the order of ONNX."""
    x = node.tensor(0)
    if node.attribute("axis", 1) not in (1, 1 - x.ndim):
        raise node.refusal("attribute axis is not 1: that would join the batch with others")
    return _reshape(node, x, [math.prod(x.shape[1:])])


@translates("Reshape")
def reshape(node: OnnxNode) -> Any:
    """Return the numbers of each picture in another shape, in the order of ONNX."""
    x, shape = node.tensor(0), node.constant(1).tolist()
    before = [x.shape[i] for i in ((0, 3, 1, 2) if x.ndim == 4 else (0, 1))]
    if not node.attribute("allowzero", 0):
        shape = [before[i] if size == 0 else size for i, size in enumerate(shape)]
    if -1 in shape[1:]:
        shape[shape.index(-1, 1)] = math.prod(before[1:]) // -math.prod(shape[1:])
    # -1 for the batch is right if all else is spoken for.
    if shape[0] not in (before[0], -1) or math.prod(shape[1:]) != math.prod(before[1:]):
        raise node.refusal(f"the shape {shape} does not keep the batch of {before}")
    return _reshape(node, x, shape[1:])


def _reshape(node: OnnxNode, x: Any, shape: list[int]) -> Any:
    if len(shape) not in (1, 3):
        raise node.refusal(f"expected 2 or 4 dimensions, got {len(shape) + 1}")
    y = node.layer("Permute", x, dims=(3, 1, 2)) if x.ndim == 4 else x
    y = node.layer("Reshape", y, target_shape=shape)
    if len(shape) == 3:
        return node.layer("Permute", y, dims=(2, 3, 1), name=f"permute_{node.index}_back")
    if x.ndim == 4:
        node.flattened[node.output] = x
    return y


@translates("GlobalAveragePool")
def global_average_pool(node: OnnxNode) -> Any:
    """Return the mean of each channel, (n, channels, 1, 1) in ONNX."""
    return node.layer("GlobalAveragePooling2D", node.tensor(0, 4), keepdims=True)


@translates("ReduceMean")
def reduce_mean(node: OnnxNode) -> Any:
    """Return the mean of each channel: PyTorch's exporter writes global pooling so."""
    x, axes = node.tensor(0, 4), node.constant(1)
    node.only("noop_with_empty_axes", 0)
    axes = node.attribute("axes", []) if axes is None else axes.tolist()  # since opset 18 an input
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise node.refusal(f"axes are {axes}, only height and width (2 and 3) can be carried")
    keep = bool(node.attribute("keepdims", 1))
    return node.layer("GlobalAveragePooling2D", x, keepdims=keep)


class Window(NamedTuple):
    """Where a convolution or a pooling looks: each along height and along width."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)
    padding: str  # Keras' word for these pads: "valid", "same" or, if it has none, ""


def _window(node: OnnxNode, kernel: list[int]) -> Window:
    sizes = node.tensor(0, 4).shape[1:3]
    strides, dilations = node.attribute("strides", [1, 1]), node.attribute("dilations", [1, 1])
    axes = zip(sizes, kernel, strides, dilations, strict=True)
    same = tuple(layout.same_pads(*axis) for axis in axes)
    top, left, bottom, right = given = node.attribute("pads", [0, 0, 0, 0])
    auto = node.attribute("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.refusal(f"attribute auto_pad is {auto!r}, which is unknown")
    if auto != "NOTSET" and any(given):
        raise node.refusal("attributes auto_pad and pads contradict each other")
    pads = ((top, bottom), (left, right))
    if auto.startswith("SAME"):
        pads = same if auto == "SAME_UPPER" else tuple(axis[::-1] for axis in same)
    padding = "valid" if not np.any(pads) else "same" if pads == same else ""
    return Window(tuple(kernel), tuple(strides), tuple(dilations), pads, padding)


@translates("Conv")
def conv(node: OnnxNode) -> Any:
    """Return a convolution: across all channels, across groups, or within each (depthwise)."""
    x, kernel, bias = node.tensor(0, 4), node.constant(1), node.constant(2)
    node.only("kernel_shape", list(kernel.shape[2:]))
    window = _window(node, kernel.shape[2:])
    if not window.padding:
        x = node.layer("ZeroPadding2D", x, padding=window.pads)
    settings = {
        "kernel_size": window.kernel,
        "strides": window.strides,
        "dilation_rate": window.dilations,
        "padding": window.padding or "valid",
        "use_bias": bias is not None,
    }
    bias = [] if bias is None else [bias]
    groups, channels = node.attribute("group", 1), x.shape[-1]
    if groups == channels > 1:
        kernel = layout.depthwise_kernel(kernel, channels)
        settings["depth_multiplier"] = kernel.shape[-1]
        return node.layer("DepthwiseConv2D", x, kernel, *bias, **settings)
    settings |= {"filters": len(kernel), "groups": groups}
    return node.layer("Conv2D", x, layout.conv_kernel(kernel), *bias, **settings)


@translates("MaxPool")
def max_pool(node: OnnxNode) -> Any:
    """Return the largest number in each window; padding never is the largest."""
    node.only("storage_order", 0)  # of a second output, which is not carried
    x, window = node.tensor(0, 4), _pooling_window(node)
    if not window.padding:
        # −∞ as padding would ruin the scale of an int8 model. The border's mirror image does no
        # harm if every window that sees an image sees its original too.
        for pads, kernel, size in zip(window.pads, window.kernel, x.shape[1:3], strict=True):
            if max(pads) > min(kernel // 2, size):
                raise node.refusal(f"pads {pads} are more than half of the window, {kernel}")
        x = node.operation("pad", x, ((0, 0), *window.pads, (0, 0)), mode="symmetric")
    return _pool(node, "MaxPooling2D", x, window)


@translates("AveragePool")
def average_pool(node: OnnxNode) -> Any:
    """Return the mean of each window, in which the zeros of the padding count or do not."""
    x, window = node.tensor(0, 4), _pooling_window(node)
    zeros_count = node.attribute("count_include_pad", 0)
    if window.padding == "valid" or (window.padding and not zeros_count):
        return _pool(node, "AveragePooling2D", x, window)
    padded = node.layer("ZeroPadding2D", x, padding=window.pads)
    y = _pool(node, "AveragePooling2D", padded, window._replace(padding="valid"))
    if zeros_count:
        return y
    axes = zip(x.shape[1:3], window.kernel, window.strides, window.pads, strict=True)
    rows, columns = (_share_inside(*axis) for axis in axes)
    return node.operation("divide", y, np.outer(rows, columns)[np.newaxis, ..., np.newaxis])


def _share_inside(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> np.ndarray:
    """Return which share of each window along an axis lies inside, not on the padding."""
    starts = np.arange(-pads[0], size + pads[1] - kernel + 1, stride, dtype=np.float32)
    return (np.minimum(starts + kernel, size) - np.maximum(starts, 0)) / kernel


def _pooling_window(node: OnnxNode) -> Window:
    node.only("ceil_mode", 0)
    node.only("dilations", [1, 1])
    return _window(node, node.attribute("kernel_shape"))


def _pool(node: OnnxNode, kind: str, x: Any, window: Window) -> Any:
    padding = window.padding or "valid"
    return node.layer(kind, x, pool_size=window.kernel, strides=window.strides, padding=padding)
