"""Plausible wrong answers to the exercises of notebook 02, each a mistake of its own."""

from collections.abc import Callable

import numpy as np


def _conv(images, kernel, bias):
    """A right convolution with loops, which the mistakes below bend."""
    rows, columns, _, channels_out = kernel.shape
    n, height, width, _ = images.shape
    out = np.zeros((n, height - rows + 1, width - columns + 1, channels_out))
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            out[:, y, x] = np.tensordot(images[:, y : y + rows, x : x + columns], kernel, 3)
    return out + bias


def turns_the_kernel_round(images, kernel, bias):
    return _conv(images, kernel[::-1, ::-1], bias)


def forgets_the_bias(images, kernel, bias):
    return _conv(images, kernel, 0 * bias)


def swaps_rows_and_columns_of_the_kernel(images, kernel, bias):
    return _conv(images, kernel.transpose(1, 0, 2, 3), bias)


def looks_at_the_first_channel_only(images, kernel, bias):
    return _conv(images[..., :1], kernel[:, :, :1], bias)


def adds_the_bias_to_every_product(images, kernel, bias):
    return _conv(images, kernel, bias * kernel[..., 0].size)


def takes_the_mean_of_the_products(images, kernel, bias):
    return _conv(images, kernel / kernel[..., 0].size, bias)


def applies_relu_too(images, kernel, bias):
    return np.maximum(_conv(images, kernel, bias), 0)


def pads_to_the_size_of_the_image(images, kernel, bias):
    rows, columns = kernel.shape[:2]
    return _conv(np.pad(images, ((0, 0), (0, rows - 1), (0, columns - 1), (0, 0))), kernel, bias)


def leaves_out_the_last_row_and_column(images, kernel, bias):
    return _conv(images, kernel, bias)[:, :-1, :-1]


def returns_one_image_only(images, kernel, bias):
    return _conv(images, kernel, bias)[0]


def forgets_the_input_channels(output_shape, kernel_shape, channels_in, groups=1):
    return int(np.prod(output_shape) * np.prod(kernel_shape)) // groups


def forgets_the_output_channels(output_shape, kernel_shape, channels_in, groups=1):
    return int(np.prod(output_shape[:2]) * np.prod(kernel_shape)) * channels_in // groups


def forgets_the_groups(output_shape, kernel_shape, channels_in, groups=1):
    return int(np.prod(output_shape) * np.prod(kernel_shape)) * channels_in


def divides_by_the_groups_twice(output_shape, kernel_shape, channels_in, groups=1):
    return int(np.prod(output_shape) * np.prod(kernel_shape)) * channels_in // groups**2


def thinks_every_kernel_is_square(output_shape, kernel_shape, channels_in, groups=1):
    return int(np.prod(output_shape)) * kernel_shape[0] ** 2 * channels_in // groups


def counts_the_parameters(output_shape, kernel_shape, channels_in, groups=1):
    return (int(np.prod(kernel_shape)) * channels_in // groups + 1) * output_shape[2]


def counts_multiplications_and_additions(output_shape, kernel_shape, channels_in, groups=1):
    return 2 * int(np.prod(output_shape) * np.prod(kernel_shape)) * channels_in // groups


def counts_the_bias_too(output_shape, kernel_shape, channels_in, groups=1):
    return int(np.prod(output_shape)) * (int(np.prod(kernel_shape)) * channels_in // groups + 1)


def goes_uphill(X, y, theta):
    return X.T @ (y - X @ theta)


def forgets_the_half(X, y, theta):
    return 2 * X.T @ (X @ theta - y)


def takes_the_mean(X, y, theta):
    return X.T @ (X @ theta - y) / len(y)


def stops_at_the_error(X, y, theta):
    return X @ theta - y


def returns_the_loss(X, y, theta):
    return ((X @ theta - y) ** 2).sum() / 2


def forgets_to_subtract_y(X, y, theta):
    return X.T @ (X @ theta)


def multiplies_by_mean_features(X, y, theta):
    return X.mean(axis=0) * (X @ theta - y).sum()


def already_takes_the_step(X, y, theta):
    return theta - X.T @ (X @ theta - y)


def overflows(logits):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def sums_over_all_rows(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum()


def sums_over_columns(logits):
    exponentials = np.exp(logits - logits.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def subtracts_the_largest_of_all_rows(logits):
    exponentials = np.exp(logits - logits.max())
    with np.errstate(invalid="ignore"):
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


def forgets_exp(logits):
    positive = logits - logits.min(axis=-1, keepdims=True)
    return positive / np.maximum(positive.sum(axis=-1, keepdims=True), 1e-9)


def gives_all_to_the_largest(logits):
    return np.eye(logits.shape[-1])[logits.argmax(axis=-1)]


def treats_each_score_alone(logits):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def returns_the_logarithm(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _widest(shape, classes, parameters, memory, counts=None, peak=None, fits=None):
    """A right answer without Keras, which the mistakes below bend."""
    height, width, channels = shape
    fits = fits or (lambda count, most: count <= parameters and most <= memory)
    widest = (0, 0, 0)
    for filters in (2, 4, 8):
        maps, small = (height - 2) * (width - 2), ((height - 2) // 2) * ((width - 2) // 2)
        read, conv, pool = height * width * channels, filters * maps, filters * small
        count = filters * (9 * channels + 1) + (pool + 1) * classes
        steps = [(read, conv), (conv, pool), (pool, pool), (pool, classes)]
        count = counts(count, filters, classes) if counts else count
        most = peak(steps) if peak else max(i + o for i, o in steps)
        if fits(count, most):
            widest = (filters, count, most)
    return widest


def ignores_the_memory(shape, classes, parameters, memory):
    return _widest(shape, classes, parameters, memory, fits=lambda count, _: count <= parameters)


def ignores_the_parameters(shape, classes, parameters, memory):
    return _widest(shape, classes, parameters, memory, fits=lambda _, most: most <= memory)


def counts_the_output_only(shape, classes, parameters, memory):
    return _widest(shape, classes, parameters, memory, peak=lambda s: max(o for _, o in s))


def adds_up_all_layers(shape, classes, parameters, memory):
    return _widest(shape, classes, parameters, memory, peak=lambda s: sum(o for _, o in s))


def forgets_the_picture(shape, classes, parameters, memory):
    return _widest(shape, classes, parameters, memory, peak=lambda s: max(map(sum, s[1:])))


def counts_four_bytes(shape, classes, parameters, memory):
    return _widest(shape, classes, parameters, memory, peak=lambda s: 4 * max(map(sum, s)))


def counts_no_biases(shape, classes, parameters, memory):
    counts = lambda count, filters, classes: count - filters - classes  # noqa: E731
    return _widest(shape, classes, parameters, memory, counts=counts)


def refuses_what_is_exactly_at_the_budget(shape, classes, parameters, memory):
    fits = lambda count, most: count < parameters and most < memory  # noqa: E731
    return _widest(shape, classes, parameters, memory, fits=fits)


def takes_the_narrowest(shape, classes, parameters, memory):
    width, count, most = _widest(shape, classes, parameters, memory)
    return (2, count, most) if width else (0, 0, 0)


WRONG: dict[str, list[Callable]] = {
    "widest_network": [
        ignores_the_memory,
        ignores_the_parameters,
        counts_the_output_only,
        adds_up_all_layers,
        forgets_the_picture,
        counts_four_bytes,
        counts_no_biases,
        refuses_what_is_exactly_at_the_budget,
        takes_the_narrowest,
    ],
    "conv2d": [
        turns_the_kernel_round,
        forgets_the_bias,
        swaps_rows_and_columns_of_the_kernel,
        looks_at_the_first_channel_only,
        adds_the_bias_to_every_product,
        takes_the_mean_of_the_products,
        applies_relu_too,
        pads_to_the_size_of_the_image,
        leaves_out_the_last_row_and_column,
        returns_one_image_only,
    ],
    "conv_macs": [
        forgets_the_input_channels,
        forgets_the_output_channels,
        forgets_the_groups,
        divides_by_the_groups_twice,
        thinks_every_kernel_is_square,
        counts_the_parameters,
        counts_multiplications_and_additions,
        counts_the_bias_too,
    ],
    "half_squared_error_gradient": [
        goes_uphill,
        forgets_the_half,
        takes_the_mean,
        stops_at_the_error,
        returns_the_loss,
        forgets_to_subtract_y,
        multiplies_by_mean_features,
        already_takes_the_step,
    ],
    "softmax": [
        overflows,
        sums_over_all_rows,
        sums_over_columns,
        subtracts_the_largest_of_all_rows,
        forgets_exp,
        gives_all_to_the_largest,
        treats_each_score_alone,
        returns_the_logarithm,
    ],
}
