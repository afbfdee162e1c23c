"""Wrong answers to the exercises of notebook 09, each a mistake of its own."""

import itertools

import numpy as np

# straight_through


def _codes(x, scale, zero_point):
    return np.rint(x / np.float32(scale)) + zero_point


def lets_everything_through(x, gradient, scale, zero_point, bits):
    return gradient.copy()


def gives_the_true_gradient(x, gradient, scale, zero_point, bits):
    return np.zeros_like(gradient)


def forgets_the_zero_point(x, gradient, scale, zero_point, bits):
    q = _codes(x, scale, 0)
    return gradient * ((q >= -(2 ** (bits - 1))) & (q <= 2 ** (bits - 1) - 1))


def always_eight_bits(x, gradient, scale, zero_point, bits):
    q = _codes(x, scale, zero_point)
    return gradient * ((q >= -128) & (q <= 127))


def leaves_out_the_last_codes(x, gradient, scale, zero_point, bits):
    q = _codes(x, scale, zero_point)
    return gradient * ((q > -(2 ** (bits - 1))) & (q < 2 ** (bits - 1) - 1))


def does_not_round_before_it_compares(x, gradient, scale, zero_point, bits):
    q = x / np.float32(scale) + zero_point
    return gradient * ((q >= -(2 ** (bits - 1))) & (q <= 2 ** (bits - 1) - 1))


def returns_the_mask(x, gradient, scale, zero_point, bits):
    q = _codes(x, scale, zero_point)
    return ((q >= -(2 ** (bits - 1))) & (q <= 2 ** (bits - 1) - 1)).astype(np.float32)


def divides_by_the_scale(x, gradient, scale, zero_point, bits):
    q = _codes(x, scale, zero_point)
    inside = (q >= -(2 ** (bits - 1))) & (q <= 2 ** (bits - 1) - 1)
    return (gradient * inside / scale).astype(np.float32)


# moving_average_range


def mixes_them_up(low, high, x, momentum):
    if np.isnan(low):
        return float(x.min()), float(x.max())
    return (
        (1 - momentum) * low + momentum * float(x.min()),
        (1 - momentum) * high + momentum * float(x.max()),
    )


def keeps_the_widest(low, high, x, momentum):
    if np.isnan(low):
        return float(x.min()), float(x.max())
    return min(low, float(x.min())), max(high, float(x.max()))


def forgets_the_first_batch(low, high, x, momentum):
    return (
        momentum * low + (1 - momentum) * float(x.min()),
        momentum * high + (1 - momentum) * float(x.max()),
    )


def takes_the_last_batch(low, high, x, momentum):
    return float(x.min()), float(x.max())


def widens_only(low, high, x, momentum):
    if np.isnan(low):
        return float(x.min()), float(x.max())
    low = min(low, momentum * low + (1 - momentum) * float(x.min()))
    return low, max(high, momentum * high + (1 - momentum) * float(x.max()))


def looks_at_the_first_row(low, high, x, momentum):
    if np.isnan(low):
        return float(x[0].min()), float(x[0].max())
    return (
        momentum * low + (1 - momentum) * float(x[0].min()),
        momentum * high + (1 - momentum) * float(x[0].max()),
    )


def takes_the_largest_magnitude(low, high, x, momentum):
    largest = float(np.abs(x).max())
    if np.isnan(low):
        return -largest, largest
    return (
        momentum * low - (1 - momentum) * largest,
        momentum * high + (1 - momentum) * largest,
    )


# quantize_bias


def takes_the_weights_scale(bias, input_scale, weight_scales):
    return np.rint(bias / weight_scales).astype(np.int32)


def takes_the_inputs_scale(bias, input_scale, weight_scales):
    return np.rint(bias / input_scale).astype(np.int32)


def clips_to_eight_bits(bias, input_scale, weight_scales):
    return np.clip(np.rint(bias / (input_scale * weight_scales)), -128, 127).astype(np.int32)


def cuts_instead_of_rounding(bias, input_scale, weight_scales):
    return (bias / (input_scale * weight_scales)).astype(np.int32)


def takes_one_scale_for_all(bias, input_scale, weight_scales):
    return np.rint(bias / (input_scale * weight_scales.max())).astype(np.int32)


def multiplies(bias, input_scale, weight_scales):
    return np.rint(bias * input_scale * weight_scales).astype(np.int32)


def returns_floats(bias, input_scale, weight_scales):
    return np.rint(bias / (input_scale * weight_scales))


# choose_bits


def _best(losses, counts, choices, fits):
    best, least = None, np.inf
    for columns in itertools.product(range(len(choices)), repeat=len(counts)):
        bits = [choices[c] for c in columns]
        loss = sum(losses[i, c] for i, c in enumerate(columns))
        if loss < least and fits(counts, bits):
            best, least = tuple(bits), loss
    return best


def _bytes(counts, bits):
    return sum(-(-int(n) * b // 8) for n, b in zip(counts, bits, strict=True))


def ignores_the_budget(losses, counts, choices, budget):
    return _best(losses, counts, choices, lambda counts, bits: True)


def counts_bits_as_bytes(losses, counts, choices, budget):
    return _best(losses, counts, choices, lambda n, b: sum(n * np.array(b)) <= budget)


def does_not_round_up(losses, counts, choices, budget):
    return _best(losses, counts, choices, lambda n, b: sum(n * np.array(b)) // 8 <= budget)


def must_stay_below_the_budget(losses, counts, choices, budget):
    return _best(losses, counts, choices, lambda n, b: _bytes(n, b) < budget)


def gives_all_layers_the_same(losses, counts, choices, budget):
    fitting = [c for c, b in enumerate(choices) if _bytes(counts, [b] * len(counts)) <= budget]
    return (choices[min(fitting, key=lambda c: losses[:, c].sum())],) * len(counts)


def forgets_how_many_weights_a_layer_has(losses, counts, choices, budget):
    return _best(losses, counts, choices, lambda n, b: _bytes(np.ones_like(n), b) <= budget)


def is_greedy(losses, counts, choices, budget):
    """Takes bits from where a saved byte costs least, until it fits."""
    columns = [len(choices) - 1] * len(counts)
    while _bytes(counts, [choices[c] for c in columns]) > budget:

        def price(i):
            more = losses[i, columns[i] - 1] - losses[i, columns[i]]
            return more / (counts[i] * (choices[columns[i]] - choices[columns[i] - 1]))

        columns[min((i for i, c in enumerate(columns) if c), key=price)] -= 1
    return tuple(choices[c] for c in columns)


def returns_the_columns(losses, counts, choices, budget):
    bits = _best(losses, counts, choices, lambda n, b: _bytes(n, b) <= budget)
    return tuple(choices.index(b) for b in bits)


# spec_settings


def keeps_the_lowest_code(role, bits):
    if role == "activation":
        return -128, 127, "per_tensor_affine", -1
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return low, high, "per_channel_symmetric", int(role == "transposed weight")


def gives_activations_the_bits_of_weights(role, bits):
    most = 2 ** (bits - 1) - 1
    if role == "activation":
        return -most - 1, most, "per_tensor_affine", -1
    return -most, most, "per_channel_symmetric", int(role == "transposed weight")


def takes_unsigned_activations(role, bits):
    most = 2 ** (bits - 1) - 1
    if role == "activation":
        return 0, 255, "per_tensor_affine", -1
    return -most, most, "per_channel_symmetric", int(role == "transposed weight")


def scales_activations_by_channel(role, bits):
    most = 2 ** (bits - 1) - 1
    if role == "activation":
        return -128, 127, "per_channel_affine", 1
    return -most, most, "per_channel_symmetric", int(role == "transposed weight")


def forgets_the_other_axis(role, bits):
    most = 2 ** (bits - 1) - 1
    if role == "activation":
        return -128, 127, "per_tensor_affine", -1
    return -most, most, "per_channel_symmetric", 0


def one_scale_for_all_weights(role, bits):
    most = 2 ** (bits - 1) - 1
    if role == "activation":
        return -128, 127, "per_tensor_affine", -1
    return -most, most, "per_tensor_symmetric", -1


WRONG = {
    "spec_settings": [
        keeps_the_lowest_code,
        gives_activations_the_bits_of_weights,
        takes_unsigned_activations,
        scales_activations_by_channel,
        forgets_the_other_axis,
        one_scale_for_all_weights,
    ],
    "straight_through": [
        lets_everything_through,
        gives_the_true_gradient,
        forgets_the_zero_point,
        always_eight_bits,
        leaves_out_the_last_codes,
        does_not_round_before_it_compares,
        returns_the_mask,
        divides_by_the_scale,
    ],
    "moving_average_range": [
        mixes_them_up,
        keeps_the_widest,
        forgets_the_first_batch,
        takes_the_last_batch,
        widens_only,
        looks_at_the_first_row,
        takes_the_largest_magnitude,
    ],
    "quantize_bias": [
        takes_the_weights_scale,
        takes_the_inputs_scale,
        clips_to_eight_bits,
        cuts_instead_of_rounding,
        takes_one_scale_for_all,
        multiplies,
        returns_floats,
    ],
    "choose_bits": [
        ignores_the_budget,
        counts_bits_as_bytes,
        does_not_round_up,
        must_stay_below_the_budget,
        gives_all_layers_the_same,
        forgets_how_many_weights_a_layer_has,
        is_greedy,
        returns_the_columns,
    ],
}
