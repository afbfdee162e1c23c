"""ONNX operators that hand numbers on in another shape, order or size, in Keras."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from edge_course.frameworks.onnx_node import OnnxNode, batch_stays, translates
from edge_course.networks import layout

# What Keras' resizing does exactly, if it makes pictures larger by whole numbers: mode → pairs of
# coordinate_transformation_mode and nearest_mode.
_NEAREST = {
    ("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"), ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}  # fmt: skip
_LINEAR = ("half_pixel", "pytorch_half_pixel")


@translates("Constant")
def _constant(node: OnnxNode) -> np.ndarray:
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
def _identity(node: OnnxNode) -> Any:
    """Return the input, computed or constant."""
    return node.value(0)


@translates("Dropout")
def _dropout(node: OnnxNode) -> Any:
    """Return the input: in use, nothing is dropped."""
    for setting in ("ratio", "seed"):
        node.attribute(setting)
    node.constant(1)  # the ratio since operator set 12
    if (training := node.constant(2)) is not None and training.any():
        raise node.refusal("input training_mode is true: it would draw random numbers")
    node.ignore_further_outputs()  # which numbers were kept: all
    return node.tensor(0)


@translates("Shape")
def _shape(node: OnnxNode) -> np.ndarray:
    """Return the shape as an array; an open batch is −1, as `Reshape` writes it."""
    sizes = [-1 if size is None else size for size in _onnx_sizes(node.tensor(0))]
    return np.array(sizes[node.attribute("start", 0) : node.attribute("end")], np.int64)


def _onnx_sizes(x: Any) -> list[int | None]:
    """Return the sizes of a Keras tensor in the order of ONNX."""
    return [x.shape[layout.channels_last_axis(axis, x.ndim)] for axis in range(x.ndim)]


@translates("Concat")
def _concat(node: OnnxNode) -> Any:
    """Return the inputs one behind the other along an axis."""
    parts = [node.tensor(i) for i in range(len(node.input_names))]
    axis = batch_stays(node, node.attribute("axis"), parts[0].ndim)
    return node.operation("concatenate", parts, axis=axis)


@translates("Flatten")
def _flatten(node: OnnxNode) -> Any:
    """Return everything of one picture in a row, in the order of ONNX."""
    x = node.tensor(0)
    if node.attribute("axis", 1) not in (1, 1 - x.ndim):
        raise node.refusal("attribute axis is not 1: that would join the batch with others")
    return _reshaped(node, x, [math.prod(x.shape[1:])])


@translates("Reshape")
def _reshape(node: OnnxNode) -> Any:
    """Return the numbers of each picture in another shape, in the order of ONNX."""
    x, shape = node.tensor(0), node.constant(1).tolist()
    before = _onnx_sizes(x)
    if not node.attribute("allowzero", 0):
        shape = [before[i] if size == 0 else size for i, size in enumerate(shape)]
    if -1 in shape[1:]:
        shape[shape.index(-1, 1)] = math.prod(before[1:]) // -math.prod(shape[1:])
    # -1 for the batch is right if all else is spoken for.
    if shape[0] not in (before[0], -1) or math.prod(shape[1:]) != math.prod(before[1:]):
        raise node.refusal(f"the shape {shape} does not keep the batch of {before}")
    return _reshaped(node, x, shape[1:])


def _reshaped(node: OnnxNode, x: Any, shape: list[int]) -> Any:
    if not shape:
        raise node.refusal("expected at least 2 dimensions, got 1")
    y = node.layer("Permute", x, dims=(3, 1, 2)) if x.ndim == 4 else x  # NHWC → NCHW
    y = node.layer("Reshape", y, target_shape=shape)
    if len(shape) == 3:  # NCHW → NHWC
        return node.layer("Permute", y, dims=(2, 3, 1), name=f"permute_{node.index}_back")
    if len(shape) == 1 and x.ndim == 4:
        node.flattened[node.output] = x
    return y


@translates("Squeeze", "Unsqueeze")
def _axes_of_size_one(node: OnnxNode) -> Any:
    """Return the input without some axes of size one, or with some more."""
    x, axes = node.tensor(0), node.constant(1)
    if axes is None:
        raise node.refusal("it does not say which axes: a batch of one would be one of them")
    sizes = _onnx_sizes(x)
    dimensions = x.ndim + axes.size * (node.operator == "Unsqueeze")
    axes = sorted(int(axis) % dimensions for axis in axes)
    if axes[0] == 0:
        raise node.refusal("its axes have that of the batch, which has to stay as it is")
    if node.operator == "Unsqueeze":
        for axis in axes:
            sizes.insert(axis, 1)
        return _reshaped(node, x, sizes[1:])
    if any(sizes[axis] != 1 for axis in axes):
        raise node.refusal(f"its axes {axes} of {sizes} do not all have the size 1")
    return _reshaped(node, x, [s for axis, s in enumerate(sizes) if axis not in axes][1:])


@translates("Transpose")
def _transpose(node: OnnxNode) -> Any:
    """Return the axes of each picture in another order."""
    x = node.tensor(0)
    order = node.attribute("perm", list(range(x.ndim))[::-1])
    if order[0] != 0:
        raise node.refusal(f"attribute perm is {order}: the batch has to stay as it is")
    taken = [layout.channels_last_axis(axis, x.ndim) for axis in order]
    if x.ndim == 4:  # the output's axes, too: NCHW → NHWC
        taken = [taken[axis] for axis in (0, 2, 3, 1)]
    return node.layer("Permute", x, dims=taken[1:])


@translates("Pad")
def _pad(node: OnnxNode) -> Any:
    """Return the input with a border of one number, or of its mirror image."""
    x, pads = node.tensor(0), node.constant(1)
    border, axes = node.constant(2), node.constant(3)
    mode = node.attribute("mode", "constant")
    if mode not in ("constant", "reflect"):
        raise node.refusal(f"attribute mode is {mode!r}, only constant and reflect can be carried")
    axes = range(x.ndim) if axes is None else axes
    widths = [(0, 0)] * x.ndim
    for axis, (before, after) in zip(axes, pads.reshape(2, -1).T.tolist(), strict=True):
        widths[layout.channels_last_axis(int(axis), x.ndim)] = (before, after)
    if widths[0] != (0, 0) or min(map(min, widths)) < 0:
        raise node.refusal(f"pads are {pads.tolist()}: only what is added to pictures is carried")
    if mode == "reflect":
        return node.operation("pad", x, widths, mode=mode)
    value = 0.0 if border is None else float(border.reshape(()))
    if x.ndim == 4 and value == 0 and widths[3] == (0, 0):  # as every converter knows it
        return node.layer("ZeroPadding2D", x, padding=widths[1:3])
    return node.operation("pad", x, widths, mode=mode, constant_values=value)


@translates("Resize")
def _resize(node: OnnxNode) -> Any:
    """Return larger pictures, by the nearest pixel or between the pixels; see `_NEAREST`."""
    x = node.tensor(0, 4)
    node.constant(1)  # the region of a mode that is refused below
    for setting, only in (("antialias", 0), ("exclude_outside", 0), ("extrapolation_value", 0.0),
                          ("keep_aspect_ratio_policy", "stretch")):  # fmt: skip
        node.only(setting, only)
    if node.attribute("axes") is not None:
        raise node.refusal("attribute axes is given, only all four axes can be carried")
    node.attribute("cubic_coeff_a")  # of a mode that is refused below
    scales, sizes = node.constant(2), node.constant(3)
    height, width = before = x.shape[1:3]
    if sizes is not None and sizes.size:
        size = sizes[2:].tolist()
        if sizes[0] not in (-1, x.shape[0]) or sizes[1] != x.shape[3]:
            raise node.refusal(f"sizes are {sizes.tolist()}, only height and width can change")
    else:
        size = np.floor(np.multiply(before, scales[2:])).astype(int).tolist()
        if scales[:2].tolist() != [1, 1] or np.any(np.multiply(before, scales[2:]) != size):
            raise node.refusal(f"scales are {scales.tolist()}, only whole sizes can be carried")
    mode = node.attribute("mode", "nearest")
    where = node.attribute("coordinate_transformation_mode", "half_pixel")
    nearest = node.attribute("nearest_mode", "round_prefer_floor")
    whole = size[0] % height == 0 == size[1] % width
    exact = whole and (where, nearest) in _NEAREST if mode == "nearest" else where in _LINEAR
    if mode not in ("nearest", "linear") or not exact:
        raise node.refusal(
            f"mode {mode!r}, coordinate_transformation_mode {where!r}, nearest_mode {nearest!r} "
            f"from {list(before)} to {size}: Keras has no such resizing"
        )
    kind = {"nearest": "nearest", "linear": "bilinear"}[mode]
    return node.operation("image.resize", x, tuple(size), interpolation=kind)
