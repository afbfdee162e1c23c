"""Wrong answers to the exercises of notebook 08, each a mistake of its own."""

import math

import numpy as np

from edge_course.quantization.fixed_point import quantize_multiplier

# sum_bounds


def _flat(kernel):
    return kernel.reshape(len(kernel), -1).astype(np.int64)


def forgets_the_bias(kernel, bias, zero_point):
    a, b = (-128 - zero_point) * _flat(kernel), (127 - zero_point) * _flat(kernel)
    return np.minimum(a, b).sum(axis=1), np.maximum(a, b).sum(axis=1)


def forgets_the_zero_point_of_the_input(kernel, bias, zero_point):
    a, b = -128 * _flat(kernel), 127 * _flat(kernel)
    return np.minimum(a, b).sum(axis=1) + bias, np.maximum(a, b).sum(axis=1) + bias


def tries_two_inputs_only(kernel, bias, zero_point):
    total = _flat(kernel).sum(axis=1)
    a, b = (-128 - zero_point) * total + bias, (127 - zero_point) * total + bias
    return np.minimum(a, b), np.maximum(a, b)


def takes_the_absolute_weights(kernel, bias, zero_point):
    most = 127 * np.abs(_flat(kernel)).sum(axis=1)
    return bias - most, bias + most


def multiplies_in_int8(kernel, bias, zero_point):
    w = kernel.reshape(len(kernel), -1)
    a, b = w * np.int8(-128), w * np.int8(127)
    low, high = np.minimum(a, b).sum(axis=1), np.maximum(a, b).sum(axis=1)
    return low + bias.astype(np.int64), high + bias.astype(np.int64)


def bounds_in_the_wrong_order(kernel, bias, zero_point):
    a, b = (-128 - zero_point) * _flat(kernel), (127 - zero_point) * _flat(kernel)
    return np.maximum(a, b).sum(axis=1) + bias, np.minimum(a, b).sum(axis=1) + bias


def one_bound_for_all_units(kernel, bias, zero_point):
    a, b = (-128 - zero_point) * _flat(kernel), (127 - zero_point) * _flat(kernel)
    return (np.minimum(a, b).sum() + bias.sum()), (np.maximum(a, b).sum() + bias.sum())


# folded_bias


def adds_the_zero_point(bias, kernel, zero_point):
    return (bias + zero_point * _flat(kernel).sum(axis=1)).astype(np.int32)


def subtracts_the_zero_point_once(bias, kernel, zero_point):
    return (bias - zero_point).astype(np.int32)


def sums_all_weights_of_the_layer(bias, kernel, zero_point):
    return (bias - zero_point * _flat(kernel).sum()).astype(np.int32)


def sums_over_the_units(bias, kernel, zero_point):
    return (bias - zero_point * _flat(kernel).sum(axis=0)).astype(np.int32)


def sums_in_int8(bias, kernel, zero_point):
    w = kernel.reshape(len(kernel), -1).sum(axis=1, dtype=np.int8)
    return (bias - zero_point * w.astype(np.int32)).astype(np.int32)


def counts_the_weights(bias, kernel, zero_point):
    return (bias - zero_point * (kernel.size // len(kernel))).astype(np.int32)


def returns_wide_integers(bias, kernel, zero_point):
    return bias - zero_point * _flat(kernel).sum(axis=1)


def sums_the_last_axis_only(bias, kernel, zero_point):
    return (bias - zero_point * kernel.astype(np.int32).sum(axis=-1)).astype(np.int32)


# quantize_multiplier


def _pair(real):
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    m = math.floor(fraction * 2**31 + 0.5)
    return (m // 2, shift + 1) if m == 2**31 else (m, shift)


def the_shift_with_its_sign_turned(real):
    return _pair(real)[0], -_pair(real)[1]


def the_shift_first(real):
    return _pair(real)[::-1]


def a_fraction_from_one_to_two(real):
    m, shift = _pair(real)
    return (0, 0) if m == 0 else (m * 2, shift - 1)


def only_fifteen_bits(real):
    fraction, shift = math.frexp(real)
    return math.floor(fraction * 2**15 + 0.5), shift


def thirty_two_bits(real):
    fraction, shift = math.frexp(real)
    return math.floor(fraction * 2**32 + 0.5), shift


def does_not_catch_a_fraction_of_one(real):
    if real < 2.0**-32:
        return 0, 0
    fraction, shift = math.frexp(real)
    return math.floor(fraction * 2**31 + 0.5), shift


def without_a_shift(real):
    return math.floor(real * 2**31 + 0.5), 0


def fails_at_zero(real):
    shift = math.floor(math.log2(real)) + 1
    return round(real / 2.0**shift * 2**31), shift


# divide_by_power_of_two


def only_shifts(x, exponent):
    return x >> exponent


def cuts_towards_zero(x, exponent):
    return np.sign(x) * (np.abs(x) >> exponent)


def halves_up(x, exponent):
    return (x + ((1 << exponent) >> 1)) >> exponent


def halves_to_even(x, exponent):
    return np.rint(x / 2.0**exponent).astype(np.int64)


def in_float32(x, exponent):
    y = x.astype(np.float32) / np.float32(2**exponent)
    return (np.sign(y) * np.floor(np.abs(y) + np.float32(0.5))).astype(np.int64)


def returns_reals(x, exponent):
    y = x / 2.0**exponent
    return np.sign(y) * np.floor(np.abs(y) + 0.5)


def fails_without_a_shift(x, exponent):
    half = 1 << (exponent - 1)
    return np.sign(x) * ((np.abs(x) + half) >> exponent)


def half_of_the_wrong_power(x, exponent):
    return np.sign(x) * ((np.abs(x) + (1 << exponent)) >> exponent)


# rescale_once


def rounds_twice(x, multiplier, shift):
    high = (x * multiplier + (1 << 30)) >> 31
    half = (1 << -shift) >> 1
    return np.sign(high) * ((np.abs(high) + half) >> -shift)


def rounds_down(x, multiplier, shift):
    return (x * multiplier) >> (31 - shift)


def shifts_the_sum_first(x, multiplier, shift):
    return ((x >> -shift) * multiplier + (1 << 30)) >> 31


def shifts_the_other_way(x, multiplier, shift):
    return (x * multiplier + (1 << (30 + shift))) >> (31 + shift)


def adds_half_of_thirty_one_bits(x, multiplier, shift):
    return (x * multiplier + (1 << 30)) >> (31 - shift)


def rounds_halves_away(x, multiplier, shift):
    bits = 31 - shift
    product = x * multiplier
    return np.sign(product) * ((np.abs(product) + (1 << (bits - 1))) >> bits)


def multiplies_in_int32(x, multiplier, shift):
    product = x.astype(np.int32) * np.int32(multiplier)
    bits = 31 - shift
    return (product.astype(np.int64) + (1 << (bits - 1))) >> bits


def in_real_numbers(x, multiplier, shift):
    return np.rint(x * (multiplier / 2**31) * 2.0**shift).astype(np.int64)


# layer_multipliers


def _pairs(real):
    return [quantize_multiplier(float(r)) for r in np.atleast_1d(real)]


def divides_by_the_input_scale(input_scale, kernel_scales, output_scale):
    m, shift = np.array(_pairs(output_scale * kernel_scales / input_scale)).T
    return m, shift


def forgets_the_output_scale(input_scale, kernel_scales, output_scale):
    m, shift = np.array(_pairs(input_scale * kernel_scales)).T
    return m, shift


def one_multiplier_for_all_channels(input_scale, kernel_scales, output_scale):
    m, shift = np.array(_pairs(input_scale * kernel_scales.max() / output_scale)).T
    return m, shift


def pairs_instead_of_two_arrays(input_scale, kernel_scales, output_scale):
    return np.array(_pairs(input_scale * kernel_scales / output_scale))


def shifts_first(input_scale, kernel_scales, output_scale):
    m, shift = np.array(_pairs(input_scale * kernel_scales / output_scale)).T
    return shift, m


def the_real_multipliers(input_scale, kernel_scales, output_scale):
    real = input_scale * kernel_scales / output_scale
    return real, np.zeros(len(real), np.int64)


WRONG = {
    "sum_bounds": [
        forgets_the_bias, forgets_the_zero_point_of_the_input, tries_two_inputs_only,
        takes_the_absolute_weights, multiplies_in_int8, bounds_in_the_wrong_order,
        one_bound_for_all_units,
    ],
    "folded_bias": [
        adds_the_zero_point, subtracts_the_zero_point_once, sums_all_weights_of_the_layer,
        sums_over_the_units, sums_in_int8, counts_the_weights, returns_wide_integers,
        sums_the_last_axis_only,
    ],
    "quantize_multiplier": [
        the_shift_with_its_sign_turned, the_shift_first, a_fraction_from_one_to_two,
        only_fifteen_bits, thirty_two_bits, does_not_catch_a_fraction_of_one, without_a_shift,
        fails_at_zero,
    ],
    "divide_by_power_of_two": [
        only_shifts, cuts_towards_zero, halves_up, halves_to_even, in_float32, returns_reals,
        fails_without_a_shift, half_of_the_wrong_power,
    ],
    "rescale_once": [
        rounds_twice, rounds_down, shifts_the_sum_first, shifts_the_other_way,
        adds_half_of_thirty_one_bits, rounds_halves_away, multiplies_in_int32, in_real_numbers,
    ],
    "layer_multipliers": [
        divides_by_the_input_scale, forgets_the_output_scale, one_multiplier_for_all_channels,
        pairs_instead_of_two_arrays, shifts_first, the_real_multipliers,
    ],
}  # fmt: skip
