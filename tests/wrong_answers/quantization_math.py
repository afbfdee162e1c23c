"""Wrong answers to the exercises of notebook 07, each a mistake of its own."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

# asymmetric


def leaves_zero_out_of_the_range(low, high, bits):
    scale = (high - low) / (2**bits - 1) or 1.0
    return scale, round(-(2 ** (bits - 1)) - low / scale)


def counts_codes_instead_of_steps(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / 2**bits
    return scale, round(-(2 ** (bits - 1)) - low / scale)


def does_not_round_the_zero_point(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    return scale, -(2 ** (bits - 1)) - low / scale


def rounds_the_zero_point_down(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    return scale, int(np.floor(-(2 ** (bits - 1)) - low / scale))


def has_an_unsigned_zero_point(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    return scale, round(-low / scale)


def adds_the_lower_end(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    return scale, round(-(2 ** (bits - 1)) + low / scale)


def always_has_eight_bits(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / 255
    return scale, round(-128 - low / scale)


def extends_only_downwards(low, high, bits):
    low = min(low, 0)
    scale = (high - low) / (2**bits - 1) or 1.0
    return scale, round(-(2 ** (bits - 1)) - low / scale)


def is_symmetric(low, high, bits):
    return max(-low, high) / (2 ** (bits - 1) - 1), 0


def returns_the_zero_point_first(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    return round(-(2 ** (bits - 1)) - low / scale), scale


# quantize_bits


def always_clips_to_eight_bits(x, scale, zero_point, bits, narrow):
    return np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)


def is_never_narrow(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.round(x / scale) + zero_point, -half, half - 1).astype(np.int8)


def is_always_narrow(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.round(x / scale) + zero_point, 1 - half, half - 1).astype(np.int8)


def leaves_out_the_highest(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.round(x / scale) + zero_point, -half, half - 1 - narrow).astype(np.int8)


def has_a_code_too_many(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    codes = np.clip(np.round(x / scale) + zero_point, -half + narrow, half)
    return codes.astype(np.int64).astype(np.int8)


def clips_before_the_zero_point(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return (np.clip(np.round(x / scale), -half + narrow, half - 1) + zero_point).astype(np.int8)


def rounds_down(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.floor(x / scale) + zero_point, -half + narrow, half - 1).astype(np.int8)


def multiplies_by_the_scale(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.round(x * scale) + zero_point, -half + narrow, half - 1).astype(np.int8)


def rounds_after_the_zero_point(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.round(x / scale + zero_point), -half + narrow, half - 1).astype(np.int8)


def returns_floats(x, scale, zero_point, bits, narrow):
    half = 2 ** (bits - 1)
    return np.clip(np.round(x / scale) + zero_point, -half + narrow, half - 1)


# minimum_maximum


def reduces_the_channels(x, axis):
    return x.min(axis=axis, keepdims=True), x.max(axis=axis, keepdims=True)


def has_one_range_for_all(x, axis):
    return x.min(), x.max()


def drops_the_dimensions(x, axis):
    others = tuple(i for i in range(x.ndim) if i != axis)
    return x.min(axis=others), x.max(axis=others)


def thinks_the_first_axis_counts_the_channels(x, axis):
    others = tuple(range(1, x.ndim))
    return x.min(axis=others, keepdims=True), x.max(axis=others, keepdims=True)


def swaps_the_two(x, axis):
    others = tuple(i for i in range(x.ndim) if i != axis)
    return x.max(axis=others, keepdims=True), x.min(axis=others, keepdims=True)


def is_symmetric_around_zero(x, axis):
    others = tuple(i for i in range(x.ndim) if i != axis)
    largest = np.abs(x).max(axis=others, keepdims=True)
    return -largest, largest


def always_contains_zero(x, axis):
    others = tuple(i for i in range(x.ndim) if i != axis)
    low, high = x.min(axis=others, keepdims=True), x.max(axis=others, keepdims=True)
    return np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))


def returns_float64(x, axis):
    others = tuple(i for i in range(x.ndim) if i != axis)
    x = x.astype(np.float64)
    return x.min(axis=others, keepdims=True), x.max(axis=others, keepdims=True)


# tensor_range


def _detail(model, index):
    return Interpreter(model_content=model).get_tensor_details()[index]


def _codes(model, index):
    codes = _detail(model, index)["quantization_parameters"]
    return np.float64(codes["scales"]), np.float64(codes["zero_points"])


def _limits(model, index):
    dtype = np.int8 if not len(_codes(model, index)[0]) else _detail(model, index)["dtype"]
    return np.iinfo(dtype)


def takes_all_for_int8(model, index):
    scales, zero_points = _codes(model, index)
    return scales * (-128 - zero_points), scales * (127 - zero_points)


def takes_the_one_scale(model, index):
    scale, zero_point = _detail(model, index)["quantization"]
    limits = _limits(model, index)
    return np.array([scale * (limits.min - zero_point)]), np.array(
        [scale * (limits.max - zero_point)]
    )


def adds_the_zero_point(model, index):
    (scales, zero_points), limits = _codes(model, index), _limits(model, index)
    return scales * (limits.min + zero_points), scales * (limits.max + zero_points)


def forgets_the_zero_point(model, index):
    (scales, _), limits = _codes(model, index), _limits(model, index)
    return scales * limits.min, scales * limits.max


def leaves_the_lowest_code_out(model, index):
    (scales, zero_points), limits = _codes(model, index), _limits(model, index)
    return scales * (limits.min + 1 - zero_points), scales * (limits.max - zero_points)


def returns_one_number(model, index):
    (scales, zero_points), limits = _codes(model, index), _limits(model, index)
    low, high = scales * (limits.min - zero_points), scales * (limits.max - zero_points)
    return low.min(initial=0), high.max(initial=0)


def returns_codes(model, index):
    (scales, _), limits = _codes(model, index), _limits(model, index)
    return np.full(len(scales), float(limits.min)), np.full(len(scales), float(limits.max))


# pack


def _even(codes):
    return np.append(codes, np.zeros(len(codes) % 2, np.int8))


def puts_the_first_on_top(codes):
    fields = _even(codes).astype(np.uint8) & 15
    return fields[0::2] << 4 | fields[1::2]


def does_not_mask_the_sign(codes):
    codes = _even(codes)
    return (codes[0::2] | codes[1::2] << 4).astype(np.uint8)


def adds_eight(codes):
    fields = (_even(codes) + 8).astype(np.uint8)
    return fields[0::2] | fields[1::2] << 4


def drops_the_last_of_an_odd_number(codes):
    fields = codes[: len(codes) // 2 * 2].astype(np.uint8) & 15
    return fields[0::2] | fields[1::2] << 4


def repeats_the_last_of_an_odd_number(codes):
    fields = np.append(codes, codes[len(codes) // 2 * 2 :]).astype(np.uint8) & 15
    return fields[0::2] | fields[1::2] << 4


def halves_instead_of_neighbours(codes):
    fields = _even(codes).astype(np.uint8) & 15
    half = len(fields) // 2
    return fields[:half] | fields[half:] << 4


def leaves_one_code_a_byte(codes):
    return codes.astype(np.uint8) & 15


def returns_int8(codes):
    fields = _even(codes).astype(np.uint8) & 15
    return (fields[0::2] | fields[1::2] << 4).astype(np.int8)


WRONG = {
    "asymmetric": [
        leaves_zero_out_of_the_range, counts_codes_instead_of_steps,
        does_not_round_the_zero_point, rounds_the_zero_point_down, has_an_unsigned_zero_point,
        adds_the_lower_end, always_has_eight_bits, extends_only_downwards, is_symmetric,
        returns_the_zero_point_first,
    ],
    "quantize_bits": [
        always_clips_to_eight_bits, is_never_narrow, is_always_narrow, leaves_out_the_highest,
        has_a_code_too_many, clips_before_the_zero_point, rounds_down, multiplies_by_the_scale,
        rounds_after_the_zero_point, returns_floats,
    ],
    "minimum_maximum": [
        reduces_the_channels, has_one_range_for_all, drops_the_dimensions,
        thinks_the_first_axis_counts_the_channels, swaps_the_two, is_symmetric_around_zero,
        always_contains_zero, returns_float64,
    ],
    "tensor_range": [
        takes_all_for_int8, takes_the_one_scale, adds_the_zero_point, forgets_the_zero_point,
        leaves_the_lowest_code_out, returns_one_number, returns_codes,
    ],
    "pack": [
        puts_the_first_on_top, does_not_mask_the_sign, adds_eight,
        drops_the_last_of_an_odd_number, repeats_the_last_of_an_odd_number,
        halves_instead_of_neighbours, leaves_one_code_a_byte, returns_int8,
    ],
}  # fmt: skip
