"""Wrong answers to the exercises of notebook 06, each a mistake of its own."""

import hashlib
import zlib

import numpy as np
import onnx

# is_full_int8


def looks_at_the_ends_only(dtypes):
    return dtypes[0] == dtypes[-1] == "int8"


def looks_inside_only(dtypes):
    return not any(d.startswith("float") for d in dtypes[1:-1])


def no_float_is_enough(dtypes):
    return not any(d.startswith("float") for d in dtypes)


def one_int8_is_enough(dtypes):
    return "int8" in dtypes


def refuses_the_biases(dtypes):
    return set(dtypes) == {"int8"}


def any_integer_of_8_bits(dtypes):
    return all("int8" in d or d == "int32" for d in dtypes)


def half_precision_is_no_float(dtypes):
    return dtypes[0] == dtypes[-1] == "int8" and "float32" not in dtypes


# dark_background


def decides_for_the_whole_batch(x):
    return 1 - x if x[:, 0].mean() > 0.5 else x


def looks_at_the_whole_picture(x):
    return np.where(x.mean(axis=(1, 2), keepdims=True) > 0.5, 1 - x, x)


def decides_pixel_by_pixel(x):
    return np.where(x > 0.5, 1 - x, x)


def turns_the_dark_ones(x):
    return np.where(x[:, :1].mean(axis=(1, 2), keepdims=True) > 0.5, x, 1 - x)


def looks_at_the_left_column(x):
    return np.where(x[:, :, :1].mean(axis=(1, 2), keepdims=True) > 0.5, 1 - x, x)


def half_is_bright(x):
    return np.where(x[:, :1].mean(axis=(1, 2), keepdims=True) >= 0.5, 1 - x, x)


def changes_the_sign_instead(x):
    return np.where(x[:, :1].mean(axis=(1, 2), keepdims=True) > 0.5, -x, x)


# normalise


def uses_the_batch(x, mean, variance, gamma, beta, epsilon=1e-5):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + epsilon) + beta


def divides_by_the_variance(x, mean, variance, gamma, beta, epsilon=1e-5):
    return gamma * (x - mean) / (variance + epsilon) + beta


def forgets_epsilon(x, mean, variance, gamma, beta, epsilon=1e-5):
    return gamma * (x - mean) / np.sqrt(np.maximum(variance, 1e-9)) + beta


def adds_epsilon_after_the_root(x, mean, variance, gamma, beta, epsilon=1e-5):
    return gamma * (x - mean) / (np.sqrt(variance) + epsilon) + beta


def swaps_gamma_and_beta(x, mean, variance, gamma, beta, epsilon=1e-5):
    return beta * (x - mean) / np.sqrt(variance + epsilon) + gamma


def forgets_to_subtract_the_mean(x, mean, variance, gamma, beta, epsilon=1e-5):
    return gamma * x / np.sqrt(variance + epsilon) + beta


def scales_beta_too(x, mean, variance, gamma, beta, epsilon=1e-5):
    return gamma * ((x - mean) / np.sqrt(variance + epsilon) + beta)


# pad_to_batch


def cuts_the_rest_off(x, n):
    return x[: len(x) // n * n].reshape(-1, n, *x.shape[1:])


def always_adds_a_batch(x, n):
    missing = np.zeros((n - len(x) % n, *x.shape[1:]), x.dtype)
    return np.concatenate([x, missing]).reshape(-1, n, *x.shape[1:])


def repeats_the_last(x, n):
    return np.concatenate([x, np.repeat(x[-1:], -len(x) % n, 0)]).reshape(-1, n, *x.shape[1:])


def pads_in_front(x, n):
    missing = np.zeros((-len(x) % n, *x.shape[1:]), x.dtype)
    return np.concatenate([missing, x]).reshape(-1, n, *x.shape[1:])


def makes_n_batches(x, n):
    missing = np.zeros((-len(x) % n, *x.shape[1:]), x.dtype)
    return np.concatenate([x, missing]).reshape(n, -1, *x.shape[1:])


def one_batch_only(x, n):
    y = np.zeros((1, n, *x.shape[1:]), x.dtype)
    y[0, : len(x)] = x[:n]
    return y


def turns_into_float64(x, n):
    missing = np.zeros((-len(x) % n, *x.shape[1:]))
    return np.concatenate([x, missing]).reshape(-1, n, *x.shape[1:])


# erf

_A = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def _tail(x):
    t = 1 / (1 + 0.3275911 * x)
    return sum(a * t ** (k + 1) for k, a in enumerate(_A)) * np.exp(-x * x)


def forgets_negative_numbers(x, ops=np):
    with np.errstate(all="ignore"):
        return 1 - _tail(x)


def the_complement(x, ops=np):
    return ops.sign(x) * _tail(ops.abs(x))


def always_positive(x, ops=np):
    return 1 - _tail(ops.abs(x))


def tanh_is_about_the_same(x, ops=np):
    return np.tanh(1.1283792 * x)


def starts_with_t_to_the_0(x, ops=np):
    positive = ops.abs(x)
    t = 1 / (1 + 0.3275911 * positive)
    sum_ = sum(a * t**k for k, a in enumerate(_A))
    return ops.sign(x) * (1 - sum_ * ops.exp(-positive * positive))


def coefficients_in_the_wrong_order(x, ops=np):
    positive = ops.abs(x)
    t = 1 / (1 + 0.3275911 * positive)
    sum_ = sum(a * t ** (k + 1) for k, a in enumerate(_A[::-1]))
    return ops.sign(x) * (1 - sum_ * ops.exp(-positive * positive))


def forgets_the_square(x, ops=np):
    positive = ops.abs(x)
    t = 1 / (1 + 0.3275911 * positive)
    sum_ = sum(a * t ** (k + 1) for k, a in enumerate(_A))
    return ops.sign(x) * (1 - sum_ * ops.exp(-positive))


# first_supported_opset


def _needed(model):
    proto = onnx.load_from_string(model)
    version = proto.opset_import[0].version
    names = {node.op_type for node in proto.graph.node}
    return [onnx.defs.get_schema(name, version, "").since_version for name in names]


def the_newest_that_runs(model, supported):
    return min(supported) if max(_needed(model)) <= min(supported) else 0


def the_best_runtime_counts(model, supported):
    return max(_needed(model)) if max(_needed(model)) <= max(supported) else 0


def the_oldest_operator_counts(model, supported):
    return min(_needed(model)) if min(_needed(model)) <= min(supported) else 0


def never_says_no(model, supported):
    return max(_needed(model))


def believes_the_stamp(model, supported):
    stamped = onnx.load_from_string(model).opset_import[0].version
    return stamped if stamped <= min(supported) else 0


def takes_the_newest_definition(model, supported):
    names = {node.op_type for node in onnx.load_from_string(model).graph.node}
    needed = max(onnx.defs.get_schema(name).since_version for name in names)
    return needed if needed <= min(supported) else 0


def must_be_newer(model, supported):
    return max(_needed(model)) if max(_needed(model)) < min(supported) else 0


# first_difference


def _stages(expected, found):
    return enumerate(zip(expected, found, strict=True))


def nan_is_no_difference(expected, found, tolerance):
    for i, (a, b) in _stages(expected, found):
        if a.shape != b.shape or np.any(np.abs(a - b) > tolerance * np.abs(a).max()):
            return i
    return -1


def shape_does_not_matter(expected, found, tolerance):
    for i, (a, b) in _stages(expected, found):
        if not np.all(np.abs(a.ravel() - b.ravel()) <= tolerance * np.abs(a).max()):
            return i
    return -1


def takes_the_last(expected, found, tolerance):
    last = -1
    for i, (a, b) in _stages(expected, found):
        if a.shape != b.shape or not np.all(np.abs(a - b) <= tolerance * np.abs(a).max()):
            last = i
    return last


def tolerance_is_absolute(expected, found, tolerance):
    for i, (a, b) in _stages(expected, found):
        if a.shape != b.shape or not np.all(np.abs(a - b) <= tolerance):
            return i
    return -1


def forgets_that_numbers_are_negative(expected, found, tolerance):
    for i, (a, b) in _stages(expected, found):
        if a.shape != b.shape or not np.all(np.abs(a - b) <= tolerance * a.max()):
            return i
    return -1


def counts_from_one(expected, found, tolerance):
    for i, (a, b) in _stages(expected, found):
        if a.shape != b.shape or not np.all(np.abs(a - b) <= tolerance * np.abs(a).max()):
            return i + 1
    return -1


def nothing_differs(expected, found, tolerance):
    return -1


# fit_input


def _codes(picture, scale, zero_point, divisor=255):
    x = picture.astype(np.float32) / np.float32(divisor)
    return np.clip(np.round(x / np.float32(scale)) + zero_point, -128, 127)


def casts_the_pixels(picture, scale, zero_point):
    return picture[np.newaxis, ..., np.newaxis].astype(np.int8)


def forgets_to_divide_by_255(picture, scale, zero_point):
    return _codes(picture, scale, zero_point, 1)[np.newaxis, ..., np.newaxis].astype(np.int8)


def forgets_the_zero_point(picture, scale, zero_point):
    return _codes(picture, scale, 0)[np.newaxis, ..., np.newaxis].astype(np.int8)


def forgets_the_batch(picture, scale, zero_point):
    return _codes(picture, scale, zero_point)[..., np.newaxis].astype(np.int8)


def channels_first(picture, scale, zero_point):
    return _codes(picture, scale, zero_point)[np.newaxis, np.newaxis].astype(np.int8)


def forgets_to_clip(picture, scale, zero_point):
    q = np.round(picture.astype(np.float32) / 255 / np.float32(scale)) + zero_point
    return q[np.newaxis, ..., np.newaxis].astype(np.int64).astype(np.int8)


def returns_floats(picture, scale, zero_point):
    return _codes(picture, scale, zero_point)[np.newaxis, ..., np.newaxis]


def only_subtracts_128(picture, scale, zero_point):
    return (picture[np.newaxis, ..., np.newaxis].astype(int) - 128).astype(np.int8)


# file_state


def looks_at_the_size_only(content, size, sha256):
    return "truncated" if len(content) < size else "too long" if len(content) > size else "intact"


def looks_at_the_hash_only(content, size, sha256):
    return "intact" if hashlib.sha256(content).hexdigest() == sha256 else "altered"


def an_empty_file_is_intact(content, size, sha256):
    if not content:
        return "intact"
    if len(content) != size:
        return "truncated" if len(content) < size else "too long"
    return looks_at_the_hash_only(content, size, sha256)


def ignores_what_is_too_much(content, size, sha256):
    if len(content) < size:
        return "truncated"
    return looks_at_the_hash_only(content[:size], size, sha256)


def uses_another_checksum(content, size, sha256):
    if len(content) != size:
        return "truncated" if len(content) < size else "too long"
    return "intact" if f"{zlib.crc32(content):x}" == sha256 else "altered"


def says_shorter_for_longer(content, size, sha256):
    if len(content) != size:
        return "truncated" if len(content) > size else "too long"
    return looks_at_the_hash_only(content, size, sha256)


def compares_the_hash_of_the_text(content, size, sha256):
    return looks_at_the_hash_only(content.strip().lower(), size, sha256)


# times_as_long


def ratio_of_the_medians(seconds, reference):
    ratio = float(np.median(seconds) / np.median(reference))
    return ratio, ratio, ratio


def upside_down(seconds, reference):
    low, median, high = np.percentile(reference / seconds, [25, 50, 75])
    return float(median), float(low), float(high)


def mean_and_deviation(seconds, reference):
    r = seconds / reference
    return float(r.mean()), float(r.mean() - r.std()), float(r.mean() + r.std())


def least_and_greatest(seconds, reference):
    r = seconds / reference
    return float(np.median(r)), float(r.min()), float(r.max())


def in_ascending_order(seconds, reference):
    low, median, high = np.percentile(seconds / reference, [25, 50, 75])
    return float(low), float(median), float(high)


def differences(seconds, reference):
    low, median, high = np.percentile(seconds - reference, [25, 50, 75])
    return float(median), float(low), float(high)


def sorts_before_dividing(seconds, reference):
    low, median, high = np.percentile(np.sort(seconds) / np.sort(reference), [25, 50, 75])
    return float(median), float(low), float(high)


WRONG = {
    "is_full_int8": [
        looks_at_the_ends_only, looks_inside_only, no_float_is_enough, one_int8_is_enough,
        refuses_the_biases, any_integer_of_8_bits, half_precision_is_no_float,
    ],
    "dark_background": [
        decides_for_the_whole_batch, looks_at_the_whole_picture, decides_pixel_by_pixel,
        turns_the_dark_ones, looks_at_the_left_column, half_is_bright, changes_the_sign_instead,
    ],
    "normalise": [
        uses_the_batch, divides_by_the_variance, forgets_epsilon, adds_epsilon_after_the_root,
        swaps_gamma_and_beta, forgets_to_subtract_the_mean, scales_beta_too,
    ],
    "pad_to_batch": [
        cuts_the_rest_off, always_adds_a_batch, repeats_the_last, pads_in_front, makes_n_batches,
        one_batch_only, turns_into_float64,
    ],
    "erf": [
        forgets_negative_numbers, the_complement, always_positive, tanh_is_about_the_same,
        starts_with_t_to_the_0, coefficients_in_the_wrong_order, forgets_the_square,
    ],
    "first_supported_opset": [
        the_newest_that_runs, the_best_runtime_counts, the_oldest_operator_counts, never_says_no,
        believes_the_stamp, takes_the_newest_definition, must_be_newer,
    ],
    "first_difference": [
        nan_is_no_difference, shape_does_not_matter, takes_the_last, tolerance_is_absolute,
        forgets_that_numbers_are_negative, counts_from_one, nothing_differs,
    ],
    "fit_input": [
        casts_the_pixels, forgets_to_divide_by_255, forgets_the_zero_point, forgets_the_batch,
        channels_first, forgets_to_clip, returns_floats, only_subtracts_128,
    ],
    "file_state": [
        looks_at_the_size_only, looks_at_the_hash_only, an_empty_file_is_intact,
        ignores_what_is_too_much, uses_another_checksum, says_shorter_for_longer,
        compares_the_hash_of_the_text,
    ],
    "times_as_long": [
        ratio_of_the_medians, upside_down, mean_and_deviation, least_and_greatest,
        in_ascending_order, differences, sorts_before_dividing,
    ],
}  # fmt: skip
