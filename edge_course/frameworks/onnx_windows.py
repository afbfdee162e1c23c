"""ONNX operators that look at windows of a picture, or at all of it, in Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_course.frameworks.onnx_node import OnnxNode, translates
from edge_course.networks import layout


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
def _conv(node: OnnxNode) -> Any:
    """Return a convolution: across all channels, across groups, or within each (depthwise)."""
    x, kernel, bias = node.tensor(0, 4), node.constant(1), node.constant(2)
    node.only("kernel_shape", list(kernel.shape[2:]))
    window = _window(node, kernel.shape[2:])
    if max(window.strides) > 1 < max(window.dilations):  # Keras has one or the other
        kernel = _spread(kernel, window.dilations)
        window = window._replace(kernel=kernel.shape[2:], dilations=(1, 1))
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


@translates("ConvTranspose")
def _conv_transpose(node: OnnxNode) -> Any:
    """Return a transposed convolution: each pixel paints its multiple of the kernel."""
    x, kernel, bias = node.tensor(0, 4), node.constant(1), node.constant(2)
    node.only("group", 1)
    node.only("auto_pad", "NOTSET")
    node.only("kernel_shape", list(kernel.shape[2:]))
    strides = node.attribute("strides", [1, 1])
    kernel = _spread(kernel, node.attribute("dilations", [1, 1]))
    top, left, bottom, right = node.attribute("pads", [0, 0, 0, 0])
    more = node.attribute("output_padding", [0, 0])
    # Keras paints at least a stride for each pixel, ONNX only as far as the kernel reaches.
    short = [max(s - k, 0) for s, k in zip(strides, kernel.shape[2:], strict=True)]
    cut = [(top, bottom - more[0] + short[0]), (left, right - more[1] + short[1])]
    if min(map(min, cut)) < 0:
        raise node.refusal(f"output_padding {more} is more than the pads {[bottom, right]} take")
    y = node.layer(
        "Conv2DTranspose",
        x,
        kernel.transpose(2, 3, 1, 0),  # (in, out, height, width) → (height, width, out, in)
        *([] if bias is None else [bias]),
        filters=kernel.shape[1],
        kernel_size=kernel.shape[2:],
        strides=strides,
        use_bias=bias is not None,
    )
    return node.layer("Cropping2D", y, cropping=cut) if np.any(cut) else y


def _spread(kernel: np.ndarray, dilations: Sequence[int]) -> np.ndarray:
    """Return a dilated kernel as one that is larger, with zeros in between."""
    sizes = [(size - 1) * d + 1 for size, d in zip(kernel.shape[2:], dilations, strict=True)]
    larger = np.zeros((*kernel.shape[:2], *sizes), kernel.dtype)
    larger[:, :, :: dilations[0], :: dilations[1]] = kernel
    return larger


@translates("MaxPool")
def _max_pool(node: OnnxNode) -> Any:
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
def _average_pool(node: OnnxNode) -> Any:
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
    node.only("dilations", [1, 1])
    window = _window(node, node.attribute("kernel_shape"))
    if not node.attribute("ceil_mode", 0):
        return window
    axes = zip(node.tensor(0).shape[1:3], window.kernel, window.strides, window.pads, strict=True)
    for size, kernel, stride, pads in axes:
        if (size + sum(pads) - kernel) % stride:
            raise node.refusal(
                f"attribute ceil_mode is 1 and adds a window that is partly outside: {size} pixels "
                f"with pads {pads}, kernel {kernel}, stride {stride}"
            )
    return window


def _pool(node: OnnxNode, kind: str, x: Any, window: Window) -> Any:
    padding = window.padding or "valid"
    return node.layer(kind, x, pool_size=window.kernel, strides=window.strides, padding=padding)


@translates("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: OnnxNode) -> Any:
    """Return the mean or the largest number of each channel, (n, channels, 1, 1) in ONNX."""
    kind = "Average" if node.operator == "GlobalAveragePool" else "Max"
    return node.layer(f"Global{kind}Pooling2D", node.tensor(0, 4), keepdims=True)


@translates("ReduceMax", "ReduceMean")
def _reduce(node: OnnxNode) -> Any:
    """Return what `_global_pool` does: PyTorch's exporter writes it so."""
    x, axes = node.tensor(0, 4), node.constant(1)
    node.only("noop_with_empty_axes", 0)
    axes = node.attribute("axes", []) if axes is None else axes.tolist()  # since opset 18 an input
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise node.refusal(f"axes are {axes}, only height and width (2 and 3) can be carried")
    kind = "Average" if node.operator == "ReduceMean" else "Max"
    keep = bool(node.attribute("keepdims", 1))
    return node.layer(f"Global{kind}Pooling2D", x, keepdims=keep)
