"""Wrong answers to the exercises of notebook 05, each a mistake of its own."""

import numpy as np
from onnxruntime import InferenceSession

from edge_course.frameworks.onnx_layout import convolution_model

# conv_kernel


def reshapes(kernel):
    filters, channels, height, width = kernel.shape
    return kernel.reshape(height, width, channels, filters)


def reverses_the_axes(kernel):
    return kernel.T


def channels_and_filters_swapped(kernel):
    return np.transpose(kernel, (2, 3, 0, 1))


def channels_last_only(kernel):
    return np.transpose(kernel, (0, 2, 3, 1))


def turns_the_kernel_round(kernel):
    return np.transpose(kernel, (2, 3, 1, 0))[::-1, ::-1]


def the_way_back(kernel):
    return np.transpose(kernel, (3, 2, 0, 1))


# dense_kernel


def keeps_the_rows(kernel, picture):
    return kernel.copy()


def the_way_back_of_the_rows(kernel, picture):
    channels, height, width = picture
    return kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def width_before_height(kernel, picture):
    return kernel.reshape(*picture, -1).transpose(2, 1, 0, 3).reshape(kernel.shape)


def returns_the_units_first(kernel, picture):
    return kernel.reshape(*picture, -1).transpose(3, 1, 2, 0).reshape(kernel.shape[1], -1)


def transposes_and_reshapes_back(kernel, picture):
    return kernel.T.reshape(kernel.shape)


def moves_the_units_too(kernel, picture):
    return kernel.reshape(*picture, -1).transpose(1, 2, 3, 0).reshape(kernel.shape)


def leaves_four_axes(kernel, picture):
    return kernel.reshape(*picture, -1).transpose(1, 2, 0, 3)


# same_pads


def same_on_both_sides(size, kernel, stride, dilation):
    return kernel // 2, kernel // 2


def odd_one_first(size, kernel, stride, dilation):
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total - total // 2, total // 2


def forgets_the_stride(size, kernel, stride, dilation):
    total = (kernel - 1) * dilation
    return total // 2, total - total // 2


def forgets_the_dilation(size, kernel, stride, dilation):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def rounds_the_windows_down(size, kernel, stride, dilation):
    total = max((size // stride - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def forgets_that_nothing_is_cut_off(size, kernel, stride, dilation):
    total = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
    return total // 2, total - total // 2


def multiplies_the_whole_kernel(size, kernel, stride, dilation):
    total = max((-(-size // stride) - 1) * stride + kernel * dilation - size, 0)
    return total // 2, total - total // 2


def returns_the_total(size, kernel, stride, dilation):
    return max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)


# onnx_channels_last


def _asked(kernel, pictures):
    return InferenceSession(convolution_model(kernel)).run(None, {"picture": pictures})[0]


def gives_the_pictures_as_they_are(kernel, x):
    return _asked(kernel, x)


def reshapes_the_pictures(kernel, x):
    n, height, width, channels = x.shape
    return _asked(kernel, x.reshape(n, channels, height, width)).transpose(0, 2, 3, 1)


def leaves_the_answer_in_nchw(kernel, x):
    return _asked(kernel, x.transpose(0, 3, 1, 2))


def reshapes_the_answer(kernel, x):
    maps = _asked(kernel, x.transpose(0, 3, 1, 2))
    n, filters, height, width = maps.shape
    return maps.reshape(n, height, width, filters)


def swaps_height_and_width(kernel, x):
    return _asked(kernel, x.transpose(0, 3, 2, 1)).transpose(0, 2, 3, 1)


def turns_the_kernel_too(kernel, x):
    turned = np.ascontiguousarray(kernel[..., ::-1, ::-1])
    return _asked(turned, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)


def returns_the_list(kernel, x):
    session = InferenceSession(convolution_model(kernel))
    return session.run(None, {"picture": x.transpose(0, 3, 1, 2)})


WRONG = {
    "conv_kernel": [
        reshapes, reverses_the_axes, channels_and_filters_swapped, channels_last_only,
        turns_the_kernel_round, the_way_back,
    ],
    "dense_kernel": [
        keeps_the_rows, the_way_back_of_the_rows, width_before_height, returns_the_units_first,
        transposes_and_reshapes_back, moves_the_units_too, leaves_four_axes,
    ],
    "same_pads": [
        same_on_both_sides, odd_one_first, forgets_the_stride, forgets_the_dilation,
        rounds_the_windows_down, forgets_that_nothing_is_cut_off, multiplies_the_whole_kernel,
        returns_the_total,
    ],
    "onnx_channels_last": [
        gives_the_pictures_as_they_are,
        reshapes_the_pictures,
        leaves_the_answer_in_nchw,
        reshapes_the_answer,
        swaps_height_and_width,
        turns_the_kernel_too,
        returns_the_list,
    ],
}  # fmt: skip
