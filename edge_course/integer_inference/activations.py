"""Functions of one code, looked up in a table of the 256, and softmax."""

from __future__ import annotations

import numpy as np

from edge_course.integer_inference.step import Step
from edge_course.integer_inference.table import computes, not_the_batch, settings
from edge_course.quantization.accumulator import HIGHEST, LOWEST
from edge_course.quantization.fixed_point import divide_by_power_of_two, quantize_multiplier
from edge_course.quantization.rounding import rounded
from edge_course.runtimes.tflite_file import Operator


def _probabilities(operator: Operator) -> str:
    output = operator.outputs[0]
    if (output.scales, output.zero_points) != (np.float32(1 / 256), LOWEST):
        return "its output's scale is not 1/256, or its zero point not -128"
    return ""


def _each_input_by_itself(operator: Operator) -> str:
    return not_the_batch(-1, len(operator.inputs[0].shape))


@computes("SOFTMAX", settings, _probabilities, _each_input_by_itself)
def _softmax(step: Step) -> np.ndarray:
    """Return softmax from a table of 256 exponentials, as whole numbers of 2⁻³⁰.

    Both families of kernels use such a table, in float32.
    """
    x = step.codes(0).astype(np.int64)
    below = x.max(axis=-1, keepdims=True) - x  # from 0 to 255
    step_size = float(step.tensor(0).scales[0]) * step.options.beta
    table = np.rint(2.0**30 * np.exp(-step_size * np.arange(256))).astype(np.int64)
    e = table[below]
    total = e.sum(axis=-1, keepdims=True)
    return np.clip((256 * e + total // 2) // total + LOWEST, LOWEST, HIGHEST).astype(np.int8)


def _looked_up(step: Step, table: np.ndarray) -> np.ndarray:
    """Return what stands in a table at each code; its first entry is that of code −128."""
    codes = np.clip(table + step.output.zero_points[0], LOWEST, HIGHEST).astype(np.int8)
    return codes[step.codes(0).astype(np.int64) - LOWEST]


def _centred_codes(step: Step) -> np.ndarray:
    """Return all 256 codes less the input's zero point, int64, (256,)."""
    return np.arange(LOWEST, HIGHEST + 1) - step.tensor(0).zero_points[0]


def _real_codes(step: Step) -> np.ndarray:
    """Return the numbers that all 256 codes stand for, rounded to float32, as float64."""
    x = step.tensor(0).scales[0] * _centred_codes(step).astype(np.float32)
    return x.astype(np.float64)


def _whole(step: Step, y: np.ndarray) -> np.ndarray:
    """Return float32 numbers in steps of the output, the table's two ways of rounding halves."""
    halves = "away" if step.fixed_point else "even"
    return rounded(y / step.output.scales[0], halves).astype(np.int64)


@computes("LOGISTIC", _probabilities)
def _logistic(step: Step) -> np.ndarray:
    """Return 1 / (1 + e⁻ˣ); the reference kernels round e⁻ˣ to float32 as well."""
    power = np.exp(-_real_codes(step))
    if step.fixed_point:
        with np.errstate(over="ignore"):  # infinity gives 0, as it should
            power = power.astype(np.float32)
    return _looked_up(step, _whole(step, (1 / (1 + power)).astype(np.float32)))


@computes("TANH")
def _tanh(step: Step) -> np.ndarray:
    """Return tanh(x), rounded to float32.

    LiteRT takes it from the C library, whose last bit is not always right: of a million entries
    of tables with random scales, one lies so near a half that it differs.
    """
    return _looked_up(step, _whole(step, np.tanh(_real_codes(step)).astype(np.float32)))


@computes("HARD_SWISH")
def _hard_swish(step: Step) -> np.ndarray:
    """Return x · min(max(x + 3, 0), 6) / 6 in fixed-point numbers of 16 bits."""
    x = _centred_codes(step) << 7  # within 16 bits
    fine = float(step.tensor(0).scales[0]) / 128  # the scale of x
    multiplier, shift = _multiplier_of_16_bits(fine / float(step.output.scales[0]))
    scaled = _high_multiply_16(x, multiplier)
    # x as a fraction of 3, from −1 to 1 in 15 bits behind the point.
    gate_multiplier, gate_shift = _multiplier_of_16_bits(fine * 2**15 / 3)
    gate = _saturated(x << (gate_shift - 1)) if gate_shift > 0 else x
    gate = _high_multiply_16(gate, gate_multiplier)
    gate = _saturated(gate << 1) if gate_shift > 0 else gate
    gate = divide_by_power_of_two(gate, max(-gate_shift, 0))
    gate = (gate + 2**15) >> 1  # (x + 3) / 6, from 0 to 1
    product = np.fix(gate * scaled / 2**15).astype(np.int64)
    return _looked_up(step, divide_by_power_of_two(product, -shift))


def _multiplier_of_16_bits(real: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + 2**15) >> 16, 2**15 - 1), shift


def _high_multiply_16(x: np.ndarray, multiplier: int) -> np.ndarray:
    return (x * multiplier + 2**14) >> 15


def _saturated(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -(2**15), 2**15 - 1)
