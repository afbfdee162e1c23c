"""Operators that only move codes to other places."""

from __future__ import annotations

import numpy as np

from edge_course.integer_inference.step import Step
from edge_course.integer_inference.table import (
    computes,
    must_be_constant,
    not_the_batch,
    same_codes,
    settings,
)
from edge_course.runtimes.tflite_file import Operator


def _rank(operator: Operator) -> int:
    return len(operator.outputs[0].shape)


def _joins_each_input(operator: Operator) -> str:
    return not_the_batch(operator.options.axis, _rank(operator))


@computes("CONCATENATION", settings, same_codes, _joins_each_input)
def _concatenation(step: Step) -> np.ndarray:
    """Return the inputs one behind the other."""
    return np.concatenate(_all_codes(step), axis=step.options.axis)


@computes("PACK", settings, same_codes, _joins_each_input)
def _pack(step: Step) -> np.ndarray:
    """Return the inputs beside each other along a new axis."""
    return np.stack(_all_codes(step), axis=step.options.axis)


def _all_codes(step: Step) -> list[np.ndarray]:
    return [step.codes(i) for i in range(len(step.operator.inputs))]


def _border_of_each_input(operator: Operator) -> str:
    return must_be_constant(operator, 1) or not_the_batch(
        np.flatnonzero(operator.inputs[1].values.any(axis=1)), _rank(operator)
    )


@computes("PAD", same_codes, _border_of_each_input)
def _pad(step: Step) -> np.ndarray:
    """Return the input with a border of the code of 0.0."""
    return np.pad(step.codes(0), step.codes(1), constant_values=step.output.zero_points[0])


def _has_rows(operator: Operator) -> str:
    return "" if _rank(operator) else "its output is a single number"


@computes("RESHAPE", same_codes, _has_rows)
def _same_in_another_shape(step: Step) -> np.ndarray:
    """Return the same codes in the shape that the file gives, with more rows for more inputs."""
    return step.codes(0).reshape(-1, *step.output.shape[1:])


def _axis_inside(operator: Operator) -> str:
    return must_be_constant(operator, 1) or not_the_batch(
        operator.inputs[1].values, _rank(operator)
    )


@computes("EXPAND_DIMS", same_codes, _axis_inside)
def _expand_dims(step: Step) -> np.ndarray:
    """Return the same codes with one more axis, of length 1."""
    return _same_in_another_shape(step)


def _drops_no_batch(operator: Operator) -> str:
    axes = operator.options.squeezeDims
    if axes is None or not len(axes):
        return not_the_batch(np.flatnonzero(np.equal(operator.inputs[0].shape, 1)), 100)
    return not_the_batch(axes, len(operator.inputs[0].shape))


@computes("SQUEEZE", settings, same_codes, _drops_no_batch)
def _squeeze(step: Step) -> np.ndarray:
    """Return the same codes without some axes of length 1."""
    return _same_in_another_shape(step)


def _batch_stays_first(operator: Operator) -> str:
    order = operator.inputs[1].values
    if (reason := must_be_constant(operator, 1)) or order[0] % _rank(operator) == 0:
        return reason
    return "it moves the first axis, along which different inputs lie"


@computes("TRANSPOSE", same_codes, _batch_stays_first)
def _transpose(step: Step) -> np.ndarray:
    """Return the codes with their axes in another order."""
    return step.codes(0).transpose(np.ravel(step.codes(1)))


def _gathers_inside(operator: Operator) -> str:
    data, indices = operator.inputs
    if reason := must_be_constant(operator, 1) or not_the_batch(
        operator.options.axis, len(data.shape)
    ):
        return reason
    if operator.options.batchDims:
        return "its setting batchDims is not 0"
    size = data.shape[operator.options.axis]
    if not np.all((indices.values >= 0) & (indices.values < size)):
        return f"an index is not from 0 to {size - 1}"
    return ""


@computes("GATHER", settings, same_codes, _gathers_inside)
def _gather(step: Step) -> np.ndarray:
    """Return chosen slices along an axis."""
    return np.take(step.codes(0), step.codes(1), axis=step.options.axis)


def _slices(operator: Operator, shape: tuple[int, ...]) -> tuple[slice | int, ...]:
    """Return what a STRIDED_SLICE takes along each axis; a bit in a mask is an axis."""
    o, slices = operator.options, []
    settings = zip(*(t.values.tolist() for t in operator.inputs[1:]), strict=True)
    for axis, (begin, end, stride) in enumerate(settings):
        bit = 1 << axis
        if o.shrinkAxisMask & bit:
            slices.append(begin)
        else:
            first = None if o.beginMask & bit else begin
            slices.append(slice(first, None if o.endMask & bit else end, stride))
    return tuple(slices)


def _slices_each_input(operator: Operator) -> str:
    o = operator.options
    reasons = [must_be_constant(operator, i) for i in (1, 2, 3)]
    if any(reasons):
        return max(reasons)
    if o.ellipsisMask or o.newAxisMask or o.offset:
        return "its setting ellipsisMask, newAxisMask or offset is not 0"
    rows = operator.inputs[0].shape[0]
    first = _slices(operator, operator.inputs[0].shape)[0]
    if not isinstance(first, slice) or first.indices(rows) != (0, rows, 1):
        return not_the_batch(0, 1)
    return ""


@computes("STRIDED_SLICE", settings, same_codes, _slices_each_input)
def _strided_slice(step: Step) -> np.ndarray:
    """Return every so-manieth code along some axes."""
    return step.codes(0)[(slice(None), *_slices(step.operator, step.codes(0).shape)[1:])]


def _blocks_are_constant(operator: Operator) -> str:
    return must_be_constant(operator, 1) or must_be_constant(operator, 2)


@computes("SPACE_TO_BATCH_ND", same_codes, _blocks_are_constant)
def _space_to_batch(step: Step) -> np.ndarray:
    """Return every b-th place of a picture as a picture of its own, for each of b beginnings.

    So a plain convolution of the small pictures is a dilated one of the large picture.
    """
    blocks, border = step.codes(1).tolist(), step.codes(2).tolist()
    x, m = step.codes(0), len(blocks)
    inside = [(0, 0)] * (x.ndim - 1 - m)
    x = np.pad(x, [(0, 0), *border, *inside], constant_values=step.output.zero_points[0])
    sizes = [size // b for size, b in zip(x.shape[1:], blocks, strict=False)]
    pairs = [n for pair in zip(sizes, blocks, strict=True) for n in pair]
    rest = x.shape[1 + m :]
    x = x.reshape(len(x), *pairs, *rest)  # (n, h, b, w, b, …)
    order = [*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m, 2), *range(2 * m + 1, x.ndim)]
    x = x.transpose(order)  # (b, b, n, h, w, …)
    return x.reshape(-1, *sizes, *rest)


@computes("BATCH_TO_SPACE_ND", same_codes, _blocks_are_constant)
def _batch_to_space(step: Step) -> np.ndarray:
    """Return the large pictures of which SPACE_TO_BATCH_ND has made small ones, cropped."""
    blocks, crops = step.codes(1).tolist(), step.codes(2).tolist()
    x, m = step.codes(0), len(blocks)
    sizes, rest = x.shape[1 : 1 + m], x.shape[1 + m :]
    x = x.reshape(*blocks, -1, *sizes, *rest)  # (b, b, n, h, w, …)
    pairs = [axis for i in range(m) for axis in (m + 1 + i, i)]
    x = x.transpose(m, *pairs, *range(2 * m + 1, x.ndim))  # (n, h, b, w, b, …)
    large = [size * b for size, b in zip(sizes, blocks, strict=True)]
    x = x.reshape(-1, *large, *rest)
    inside = [slice(a, size - b) for size, (a, b) in zip(large, crops, strict=True)]
    return x[(slice(None), *inside)]
