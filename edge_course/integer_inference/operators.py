"""What each operator of an int8 network computes, in whole numbers.

LiteRT has two families of kernels. The *reference* kernels rescale their int32 sums with a
fixed-point multiplier (see `fixed_point`). The *default* ones (XNNPACK's) rescale with one
float32 multiplication; where they do something else again, the function here says so.
Both were found by comparing bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edge_course.integer_inference.step import HIGHEST, LOWEST, Step
from edge_course.networks import layout
from edge_course.quantization import quant
from edge_course.quantization.fixed_point import (
    divide_by_power_of_two,
    high_multiply,
    quantize_multiplier,
    rescale_once,
    rescale_twice,
)
from edge_course.runtimes.tflite_file import Tensor

COMPUTATIONS: dict[str, Callable[[Step], np.ndarray]] = {}


def computes(name: str) -> Callable:
    """Enter the decorated function into the table of computations."""

    def enter(function: Callable[[Step], np.ndarray]) -> Callable[[Step], np.ndarray]:
        COMPUTATIONS[name] = function
        return function

    return enter


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
    filters, *_, size = kernel.shape
    groups = channels // size
    seen = windows.reshape(n * h * w, groups, -1)
    kernel = kernel.transpose(0, 3, 1, 2).reshape(groups, filters // groups, -1)
    return np.einsum("pgk,gfk->pgf", seen, kernel).reshape(n, h, w, filters)


def _depthwise_products(step: Step) -> np.ndarray:
    windows, kernel = _conv_windows(step), step.codes(1).astype(np.int32)
    kernel = kernel.reshape(*kernel.shape[1:3], windows.shape[3], -1)
    total = np.einsum("nhwcij,ijcm->nhwcm", windows, kernel)
    return total.reshape(*windows.shape[:3], -1)


def _dense_products(step: Step) -> np.ndarray:
    kernel = step.codes(1).astype(np.int32)
    x = step.centred(0)
    return np.einsum("nk,uk->nu", x.reshape(len(x), -1), kernel)


@computes("CONV_2D")
def conv_2d(step: Step) -> np.ndarray:
    """Return a convolution; its kernel is (filters, height, width, channels of a group)."""
    return step.rescaled(sums(step), step.product_scale(), rescale_twice)


@computes("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(step: Step) -> np.ndarray:
    """Return a convolution of each channel by itself; its kernel is (1, height, width, filters)."""
    return step.rescaled(sums(step), step.product_scale(), rescale_twice)


@computes("FULLY_CONNECTED")
def fully_connected(step: Step) -> np.ndarray:
    """Return a dense layer; its kernel is (units, inputs)."""
    return step.rescaled(sums(step), step.product_scale(), rescale_once)


def _pool_windows(step: Step, padding: int) -> np.ndarray:
    o = step.options
    kernel, strides = (o.filterHeight, o.filterWidth), (o.strideH, o.strideW)
    x = step.codes(0).astype(np.int32)
    return _windows(x, kernel, strides, (1, 1), o.padding == 0, padding)


@computes("MAX_POOL_2D")
def max_pool_2d(step: Step) -> np.ndarray:
    """Return the largest code in each window: the order of codes is that of the numbers."""
    largest = _pool_windows(step, LOWEST).max(axis=(4, 5))
    return step.clipped(largest - step.output.zero_points[0])


@computes("AVERAGE_POOL_2D")
def average_pool_2d(step: Step) -> np.ndarray:
    """Return the mean of the codes in each window, halves away from zero; padding is left out."""
    total = _pool_windows(step, 0).sum(axis=(4, 5))
    o = step.options
    inside = np.ones((1, *step.codes(0).shape[1:3], 1), np.int32)
    kernel, strides = (o.filterHeight, o.filterWidth), (o.strideH, o.strideW)
    count = _windows(inside, kernel, strides, (1, 1), o.padding == 0).sum(axis=(4, 5))
    mean = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return step.clipped(mean - step.output.zero_points[0])


@computes("MEAN")
def mean(step: Step) -> np.ndarray:
    """Return the mean along axes; the division by the count is part of the rescaling."""
    x, axes = step.centred(0), tuple(np.ravel(step.codes(1)).tolist())
    total = x.sum(axis=axes, keepdims=step.options.keepDims)
    count = math.prod(x.shape[axis] for axis in axes)
    real = step.scale(step.tensor(0)) / step.scale(step.output)
    if step.kernels == "default":
        return step.rescaled(total, real / np.float32(count), rescale_twice)
    multiplier, shift = quantize_multiplier(float(real[0]))
    # As many bits as the count has are made room for before the whole multiplier is divided.
    room = min(count.bit_length() - 1, 32, 31 + shift)
    return step.clipped(rescale_twice(total, (multiplier << room) // count, shift - room))


@computes("ADD")
def add(step: Step) -> np.ndarray:
    """Return a sum: both inputs are first brought to a common scale."""
    a, b = step.centred(0), step.centred(1)
    if step.kernels == "default":
        return _add_by_default(step, a, b)
    scales = [float(step.tensor(i).scales[0]) for i in (0, 1)]
    common = 2 * max(scales)
    # 20 bits behind the point of the smaller input are kept.
    a, b = (
        _rescaled_down((x.astype(np.int64) << 20), scale / common)
        for x, scale in zip((a, b), scales, strict=True)
    )
    return step.clipped(_rescaled_down(a + b, common / (2**20 * float(step.output.scales[0]))))


def _rescaled_down(x: np.ndarray, real: float) -> np.ndarray:
    multiplier, shift = quantize_multiplier(real)
    return divide_by_power_of_two(high_multiply(x, multiplier), -shift)


def _add_by_default(step: Step, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Both scales as whole multiples of one power of two, 21 bits for the larger."""
    ratios = [step.tensor(i).scales[0] / step.output.scales[0] for i in (0, 1)]
    shift = 21 - math.frexp(max(ratios))[1]
    first, second = (round(math.ldexp(ratio, shift)) for ratio in ratios)
    total = a.astype(np.int64) * first + b.astype(np.int64) * second
    return step.clipped((total + (1 << (shift - 1))) >> shift)


@computes("MUL")
def mul(step: Step) -> np.ndarray:
    """Return a product."""
    return step.rescaled(step.centred(0) * step.centred(1), step.product_scale(), rescale_twice)


@computes("CONCATENATION")
def concatenation(step: Step) -> np.ndarray:
    """Return the inputs one behind the other; all have the output's scale."""
    parts = range(len(step.operator.inputs))
    for i in parts:
        _same_codes(step, step.tensor(i))
    return np.concatenate([step.codes(i) for i in parts], axis=step.options.axis)


def _same_codes(step: Step, tensor: Tensor) -> None:
    if (tensor.scales, tensor.zero_points) != (step.output.scales, step.output.zero_points):
        raise step.refusal("its input and its output have different scales or zero points")


@computes("PAD")
def pad(step: Step) -> np.ndarray:
    """Return the input with a border of the code of 0.0."""
    return np.pad(step.codes(0), step.codes(1), constant_values=step.output.zero_points[0])


@computes("RESHAPE")
def reshape(step: Step) -> np.ndarray:
    """Return the same codes in another shape, which the file gives for a batch of one."""
    x, shape = step.codes(0), step.output.shape
    if math.prod(shape[1:]) != math.prod(x.shape[1:]):
        raise step.refusal(f"from {x.shape[1:]} to {shape[1:]} it would join the batch")
    return x.reshape(len(x), *shape[1:])


@computes("SOFTMAX")
def softmax(step: Step) -> np.ndarray:
    """Return softmax from a table of 256 exponentials, as whole numbers of 2⁻³⁰.

    Both families of kernels use such a table, in float32.
    """
    _check_probabilities(step)
    x = step.codes(0).astype(np.int64)
    below = x.max(axis=-1, keepdims=True) - x  # from 0 to 255
    step_size = float(step.tensor(0).scales[0]) * step.options.beta
    table = np.rint(2.0**30 * np.exp(-step_size * np.arange(256))).astype(np.int64)
    e = table[below]
    total = e.sum(axis=-1, keepdims=True)
    return np.clip((256 * e + total // 2) // total + LOWEST, LOWEST, HIGHEST).astype(np.int8)


@computes("LOGISTIC")
def logistic(step: Step) -> np.ndarray:
    """Return 1 / (1 + e⁻ˣ) from a table of the 256 codes."""
    _check_probabilities(step)
    given = step.tensor(0)
    x = float(given.scales[0]) * (np.arange(256) + LOWEST - given.zero_points[0])
    probability = (1 + np.tanh(x / 2)) / 2  # the same, but e⁻ˣ would overflow
    table = np.clip(np.rint(256 * probability) + LOWEST, LOWEST, HIGHEST).astype(np.int8)
    return table[step.codes(0).astype(np.int64) - LOWEST]


def _check_probabilities(step: Step) -> None:
    if (step.output.scales, step.output.zero_points) != (np.float32(1 / 256), LOWEST):
        raise step.refusal("its output's scale is not 1/256, or its zero point not -128")


@computes("QUANTIZE")
def quantize(step: Step) -> np.ndarray:
    """Return the codes of real numbers, or of codes with another scale."""
    if step.tensor(0).dtype == np.float32:
        return quant.quantize(step.codes(0), step.output.scales[0], int(step.output.zero_points[0]))
    x, real = step.centred(0), step.scale(step.tensor(0)) / step.scale(step.output)
    if step.kernels == "reference":
        return step.rescaled(x, real, rescale_twice)
    # A multiplier of eight bits behind the point.
    return step.clipped((x.astype(np.int64) * round(256 * float(real[0])) + 128) >> 8)


@computes("DEQUANTIZE")
def dequantize(step: Step) -> np.ndarray:
    """Return the real numbers that codes stand for."""
    given = step.tensor(0)
    return quant.dequantize(step.codes(0), given.scales[0], int(given.zero_points[0]))
