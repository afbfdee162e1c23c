"""Layers that add up what they see: convolutions, dense layers, pools and means."""

from __future__ import annotations

import math

import numpy as np

from edge_course.integer_inference.step import Step
from edge_course.integer_inference.table import (
    computes,
    must_be_constant,
    not_the_batch,
    same_codes,
    settings,
)
from edge_course.networks import layout
from edge_course.quantization.accumulator import LOWEST
from edge_course.quantization.fixed_point import quantize_multiplier, rescale_once, rescale_twice
from edge_course.runtimes.tflite_file import Operator


def _windows(
    x: np.ndarray,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    same: bool,
    padding: int = 0,
) -> np.ndarray:
    """Return what each position of a window sees, a view (n, h, w, channels, *kernel)."""
    if same:
        axes = zip(x.shape[1:3], kernel, strides, dilations, strict=True)
        pads = [(0, 0), *(layout.same_pads(*axis) for axis in axes), (0, 0)]
        x = np.pad(x, pads, constant_values=padding)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    return seen[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]


def _conv_windows(step: Step) -> np.ndarray:
    o = step.options
    return _windows(
        step.centred(0),
        step.tensor(1).shape[1:3],
        (o.strideH, o.strideW),
        (o.dilationHFactor, o.dilationWFactor),
        same=o.padding == 0,
    )


def sums(step: Step) -> np.ndarray:
    """Return what a layer with weights adds up, before it is rescaled: Σ (x − z) · w + bias.

    Parameters
    ----------
    step : a CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.

    Returns
    -------
    np.ndarray
        int32, the shape of the layer's output.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    products = {
        "CONV_2D": _conv_products,
        "DEPTHWISE_CONV_2D": _depthwise_products,
        "FULLY_CONNECTED": _dense_products,
    }
    return products[step.operator.name](step) + step.bias()


def _conv_products(step: Step) -> np.ndarray:
    windows, kernel = _conv_windows(step), step.codes(1).astype(np.int32)
    n, h, w, channels = windows.shape[:4]
    filters, *_, size = kernel.shape  # (filters, height, width, channels of a group)
    groups = channels // size
    seen = windows.reshape(n * h * w, groups, -1)  # (places, groups, size · height · width)
    kernel = kernel.transpose(0, 3, 1, 2)  # (filters, size, height, width)
    kernel = kernel.reshape(groups, filters // groups, -1)
    total = np.einsum("pgk,gfk->pgf", seen, kernel)  # (places, groups, filters of a group)
    return total.reshape(n, h, w, filters)


def _depthwise_products(step: Step) -> np.ndarray:
    windows, kernel = _conv_windows(step), step.codes(1).astype(np.int32)
    # From (1, height, width, filters) to (height, width, channels, filters of a channel).
    kernel = kernel.reshape(*kernel.shape[1:3], windows.shape[3], -1)
    total = np.einsum("nhwcij,ijcm->nhwcm", windows, kernel)
    return total.reshape(*windows.shape[:3], -1)  # (n, h, w, filters)


def _dense_products(step: Step) -> np.ndarray:
    kernel = step.codes(1).astype(np.int32)  # (units, inputs)
    x = step.centred(0)
    total = np.einsum("nk,uk->nu", x.reshape(-1, kernel.shape[1]), kernel)
    # One row for each place, as many as there are; or the places stay where they were.
    return total.reshape(*x.shape[:-1], -1) if step.options.keepNumDims else total


def _weights(operator: Operator) -> str:
    """Refuse weights that are computed, or centred somewhere else than at 0."""
    reasons = [must_be_constant(operator, i) for i in range(1, len(operator.inputs))]
    if any(reasons):
        return max(reasons)
    if operator.inputs[1].zero_points.any():
        return "its weights have a zero point that is not 0"
    if len(operator.inputs) > 2 and operator.inputs[2].dtype != np.int32:
        return f"its bias is {operator.inputs[2].dtype}, expected int32"
    return ""


@computes("CONV_2D", settings, _weights)
def conv_2d(step: Step) -> np.ndarray:
    """Return a convolution; its kernel is (filters, height, width, channels of a group)."""
    return step.rescaled(sums(step), step.product_scale(), rescale_twice)


@computes("DEPTHWISE_CONV_2D", settings, _weights)
def depthwise_conv_2d(step: Step) -> np.ndarray:
    """Return a convolution of each channel by itself; its kernel is (1, height, width, filters)."""
    return step.rescaled(sums(step), step.product_scale(), rescale_twice)


@computes("FULLY_CONNECTED", settings, _weights)
def fully_connected(step: Step) -> np.ndarray:
    """Return a dense layer; its kernel is (units, inputs)."""
    rescale = rescale_twice if step.kernels == "micro" else rescale_once
    return step.rescaled(sums(step), step.product_scale(), rescale)


def _pool_windows(step: Step, x: np.ndarray, padding: int) -> np.ndarray:
    o = step.options
    kernel, strides = (o.filterHeight, o.filterWidth), (o.strideH, o.strideW)
    return _windows(x, kernel, strides, (1, 1), o.padding == 0, padding)


@computes("MAX_POOL_2D", settings, same_codes)
def _max_pool_2d(step: Step) -> np.ndarray:
    """Return the largest code in each window: the order of codes is that of the numbers."""
    largest = _pool_windows(step, step.codes(0).astype(np.int32), LOWEST).max(axis=(4, 5))
    return step.clipped(largest - step.output.zero_points[0])


@computes("AVERAGE_POOL_2D", settings, same_codes)
def _average_pool_2d(step: Step) -> np.ndarray:
    """Return the mean of the codes in each window, halves away from zero; padding is left out."""
    x = step.codes(0).astype(np.int32)
    total = _pool_windows(step, x, 0).sum(axis=(4, 5))
    inside = np.ones((1, *x.shape[1:3], 1), np.int32)
    count = _pool_windows(step, inside, 0).sum(axis=(4, 5))
    mean = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return step.clipped(mean - step.output.zero_points[0])


def _mean_of_one(operator: Operator) -> str:
    axes, rank = operator.inputs[1].values, len(operator.inputs[0].shape)
    return must_be_constant(operator, 1) or not_the_batch(axes, rank)


@computes("MEAN", settings, _mean_of_one)
def _mean(step: Step) -> np.ndarray:
    """Return the mean along axes; the division by the count is part of the rescaling."""
    x = step.centred(0)
    axes = tuple({int(axis) % x.ndim for axis in np.ravel(step.codes(1))})
    total = x.sum(axis=axes, keepdims=step.options.keepDims)
    count = math.prod(x.shape[axis] for axis in axes)
    real = step.ratio()
    if not step.fixed_point:
        return step.rescaled(total, real / np.float32(count), rescale_twice)
    multiplier, shift = quantize_multiplier(float(real[0]))
    # As many bits as the count has are made room for before the whole multiplier is divided.
    room = min(count.bit_length() - 1, 32, 31 + shift)
    return step.clipped(rescale_twice(total, (multiplier << room) // count, shift - room))
