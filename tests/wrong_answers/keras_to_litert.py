"""Wrong answers to the exercises of notebook 03, each a mistake of its own."""

import numpy as np

# quantize


def cuts_instead_of_rounding(x, scale, zero_point):
    return np.clip(np.trunc(x / scale) + zero_point, -128, 127).astype(np.int8)


def always_rounds_down(x, scale, zero_point):
    return np.clip(np.floor(x / scale) + zero_point, -128, 127).astype(np.int8)


def forgets_the_zero_point(x, scale, zero_point):
    return np.clip(np.round(x / scale), -128, 127).astype(np.int8)


def subtracts_the_zero_point(x, scale, zero_point):
    return np.clip(np.round(x / scale) - zero_point, -128, 127).astype(np.int8)


def multiplies_by_the_scale(x, scale, zero_point):
    return np.clip(np.round(x * scale) + zero_point, -128, 127).astype(np.int8)


def does_not_clip(x, scale, zero_point):
    return (np.round(x / scale) + zero_point).astype(np.int64).astype(np.int8)


def clips_before_the_zero_point(x, scale, zero_point):
    return (np.clip(np.round(x / scale), -128, 127) + zero_point).astype(np.int64).astype(np.int8)


def clips_to_unsigned(x, scale, zero_point):
    return np.clip(np.round(x / scale) + zero_point, 0, 255).astype(np.uint8)


def clips_symmetrically(x, scale, zero_point):
    return np.clip(np.round(x / scale) + zero_point, -127, 127).astype(np.int8)


def adds_the_zero_point_to_the_real_number(x, scale, zero_point):
    return np.clip(np.round((x + zero_point) / scale), -128, 127).astype(np.int8)


def returns_floats(x, scale, zero_point):
    return np.clip(np.round(x / scale) + zero_point, -128, 127)


# dequantize


def overflows(q, scale, zero_point):
    return (np.float32(scale) * (q - np.int8(zero_point))).astype(np.float32)


def ignores_the_zero_point(q, scale, zero_point):
    return np.float32(scale) * q.astype(np.float32)


def adds_the_zero_point(q, scale, zero_point):
    return np.float32(scale) * (q.astype(np.float32) + zero_point)


def scales_before_subtracting(q, scale, zero_point):
    return np.float32(scale) * q.astype(np.float32) - np.float32(zero_point)


def divides_by_the_scale(q, scale, zero_point):
    return (q.astype(np.float32) - zero_point) / np.float32(scale)


def returns_float64(q, scale, zero_point):
    return scale * (q.astype(np.float64) - zero_point)


# agreement


def counts(first, second):
    return int(np.sum(first == second))


def in_percent(first, second):
    return 100 * float(np.mean(first == second))


def disagreement(first, second):
    return float(np.mean(first != second))


def sorts_first(first, second):
    return float(np.mean(np.sort(first) == np.sort(second)))


def compares_the_classes_that_occur(first, second):
    return len(set(first) & set(second)) / len(set(first) | set(second))


def all_or_nothing(first, second):
    return float(np.array_equal(first, second))


def divides_by_the_number_of_classes(first, second):
    return float(np.sum(first == second) / 10)


# first_of_each_class


def takes_the_first_examples_of_all(labels, count):
    return np.arange(count * len(np.unique(labels)))


def stays_in_the_order_of_classes(labels, count):
    return np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)])


def takes_the_last(labels, count):
    return np.sort(
        np.concatenate([np.flatnonzero(labels == c)[-count:] for c in np.unique(labels)])
    )


def returns_the_labels(labels, count):
    kept = [np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]
    return labels[np.sort(np.concatenate(kept))]


def leaves_out_the_last_class(labels, count):
    kept = [np.flatnonzero(labels == c)[:count] for c in range(labels.max())]
    return np.sort(np.concatenate([np.array([], np.int64), *kept]))


def returns_a_mask(labels, count):
    mask = np.zeros(len(labels), bool)
    for c in np.unique(labels):
        mask[np.flatnonzero(labels == c)[:count]] = True
    return mask


def one_of_each(labels, count):
    return np.sort(np.unique(labels, return_index=True)[1])


# representative_dataset


def _prepared(images):
    return images[..., np.newaxis].astype(np.float32) / 255


def leaves_the_pixels_as_they_are(images):
    return [[x[np.newaxis]] for x in images[..., np.newaxis].astype(np.float32)]


def forgets_the_batch_axis(images):
    return [[x] for x in _prepared(images)]


def forgets_the_channel(images):
    return [[x[np.newaxis]] for x in images.astype(np.float32) / 255]


def all_in_one_batch(images):
    return [[_prepared(images)]]


def forgets_the_list_of_inputs(images):
    return [x[np.newaxis] for x in _prepared(images)]


def stays_in_double_precision(images):
    return [[x[np.newaxis]] for x in images[..., np.newaxis] / 255]


def only_the_first_picture(images):
    return [[_prepared(images)[:1]]]


WRONG = {
    "quantize": [
        cuts_instead_of_rounding, always_rounds_down, forgets_the_zero_point,
        subtracts_the_zero_point, multiplies_by_the_scale, does_not_clip,
        clips_before_the_zero_point, clips_to_unsigned, clips_symmetrically,
        adds_the_zero_point_to_the_real_number, returns_floats,
    ],
    "dequantize": [
        overflows, ignores_the_zero_point, adds_the_zero_point, scales_before_subtracting,
        divides_by_the_scale, returns_float64,
    ],
    "agreement": [
        counts, in_percent, disagreement, sorts_first, compares_the_classes_that_occur,
        all_or_nothing, divides_by_the_number_of_classes,
    ],
    "first_of_each_class": [
        takes_the_first_examples_of_all, stays_in_the_order_of_classes, takes_the_last,
        returns_the_labels, leaves_out_the_last_class, returns_a_mask, one_of_each,
    ],
    "representative_dataset": [
        leaves_the_pixels_as_they_are, forgets_the_batch_axis, forgets_the_channel,
        all_in_one_batch, forgets_the_list_of_inputs, stays_in_double_precision,
        only_the_first_picture,
    ],
}  # fmt: skip
