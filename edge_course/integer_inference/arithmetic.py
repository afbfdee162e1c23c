"""Operators that work number by number: sums, products, ReLU, a change of scale."""

from __future__ import annotations

import math

import numpy as np

from edge_course.integer_inference.step import Step
from edge_course.integer_inference.table import computes, settings, spreads
from edge_course.quantization import quant
from edge_course.quantization.fixed_point import (
    divide_by_power_of_two,
    high_multiply,
    quantize_multiplier,
    rescale_twice,
)
from edge_course.runtimes.tflite_file import Operator

MOST_STEPS = 2**8  # steps of an output in one step of an input of ADD, SUB and MUL


def _small_steps(operator: Operator) -> str:
    """Refuse scales with which LiteRT's default kernels compute wrong signs (32 bits overflow)."""
    inputs, output = [t.scales[0] for t in operator.inputs], operator.outputs[0].scales[0]
    ratios = [np.prod(inputs) / output] if operator.name == "MUL" else inputs / output
    if max(ratios) < MOST_STEPS:
        return ""
    return f"one step of an input is {max(ratios):.0f} steps of the output, {MOST_STEPS} or more"


@computes("ADD", spreads, _small_steps)
def _add(step: Step) -> np.ndarray:
    """Return a sum: both inputs are first brought to a common scale."""
    return _sum(step, sign=1)


@computes("SUB", spreads, _small_steps)
def _sub(step: Step) -> np.ndarray:
    """Return a difference, as ADD with the second input's multiplier negative."""
    return _sum(step, sign=-1)


def _sum(step: Step, sign: int) -> np.ndarray:
    a, b = (step.centred(i).astype(np.int64) for i in (0, 1))
    ratios = np.array([step.tensor(i).scales[0] / step.output.scales[0] for i in (0, 1)])
    step = step.within(ratios, 2**-10, MOST_STEPS)
    if not step.fixed_point:
        return step.clipped(_sum_by_default(a, sign * b, ratios))
    first, second = (float(step.tensor(i).scales[0]) for i in (0, 1))
    common = 2 * max(first, second)
    # 20 bits behind the point of the smaller input are kept.
    total = _rescaled_down(a << 20, first / common) + _rescaled_down(b << 20, second / common, sign)
    return step.clipped(_rescaled_down(total, common / (2**20 * float(step.output.scales[0]))))


def _rescaled_down(x: np.ndarray, real: float, sign: int = 1) -> np.ndarray:
    multiplier, shift = quantize_multiplier(real)
    return divide_by_power_of_two(high_multiply(x, sign * multiplier), -shift)


def _sum_by_default(a: np.ndarray, b: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """Both scales as whole multiples of one power of two, 21 bits for the larger."""
    shift = 21 - math.frexp(max(ratios))[1]
    first, second = (round(math.ldexp(ratio, shift)) for ratio in ratios)
    return (a * first + b * second + (1 << (shift - 1))) >> shift


@computes("MUL", spreads, _small_steps)
def _mul(step: Step) -> np.ndarray:
    """Return a product; its multiplier comes from scales in float32 in both families."""
    real = step.tensor(0).scales * step.tensor(1).scales / step.output.scales
    step = step.within(real, 2**-16, MOST_STEPS)
    return step.rescaled(step.centred(0) * step.centred(1), real, rescale_twice)


@computes("QUANTIZE")
def _quantize_again(step: Step) -> np.ndarray:
    """Return the codes of real numbers, or of codes with another scale."""
    if step.tensor(0).dtype == np.float32:
        return quant.quantize(step.codes(0), step.output.scales[0], int(step.output.zero_points[0]))
    step = step.within(step.ratio(), 2**-8, 2**7)
    rescale = _rescaled_twice if step.fixed_point else _eight_bits
    return step.clipped(rescale(step.centred(0), step.ratio()[0]))


def _eight_bits(x: np.ndarray, real: float) -> np.ndarray:
    """Return x · real with a multiplier of eight bits behind the point, halves up."""
    return (x.astype(np.int64) * round(256 * float(real)) + 128) >> 8


def _rescaled_twice(x: np.ndarray, real: float) -> np.ndarray:
    """Return x · real as the reference kernels do, for a negative multiplier too."""
    multiplier, shift = quantize_multiplier(abs(float(real)))
    return rescale_twice(x if real >= 0 else -x, multiplier, shift)


@computes("DEQUANTIZE")
def _real_numbers(step: Step) -> np.ndarray:
    """Return the real numbers that codes stand for."""
    given = step.tensor(0)
    return quant.dequantize(step.codes(0), given.scales[0], int(given.zero_points[0]))


@computes("RELU")
def _relu(step: Step) -> np.ndarray:
    """Return max(x, 0) with a scale of its own; both families compute the same.

    `Step.clipped` does the clipping.
    """
    return step.clipped(_rescaled_twice(step.centred(0), step.ratio()[0]))


@computes("RELU6")
def _relu6(step: Step) -> np.ndarray:
    """Return min(max(x, 0), 6) with a scale of its own."""
    return _relu(step)


@computes("LEAKY_RELU", settings)
def _leaky_relu(step: Step) -> np.ndarray:
    """Return x, or α · x where x is negative."""
    x, up = step.centred(0), step.ratio()[0]
    scale = step.tensor(0).scales[0]  # float32, in which LiteRT multiplies first
    down = scale * scale.dtype.type(step.options.alpha) / step.output.scales[0]
    step = step.within(np.array([up, down]), 2**-8, 2**7)
    rescale = _rescaled_twice if step.fixed_point else _eight_bits
    return step.clipped(np.where(x >= 0, rescale(x, up), rescale(x, down)))
