"""Channels first and channels last: the same numbers of one network in two orders.

PyTorch and ONNX keep pictures as (n, channels, height, width), NCHW for short; Keras and
LiteRT as (n, height, width, channels), NHWC. Everything that names an axis or a position
has to follow: pictures, kernels, axes, and the weights that stand behind a flatten.
"""

from __future__ import annotations

import numpy as np


def channels_last(x: np.ndarray) -> np.ndarray:
    """Return NCHW pictures as NHWC; every other number of dimensions stays as it is.

    Parameters
    ----------
    x : of any dtype; shape (n, channels, height, width) becomes (n, height, width, channels).

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    return np.transpose(x, (0, 2, 3, 1)) if np.ndim(x) == 4 else x


def arranged(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return pictures with the channels where a model wants them; those that fit as they are.

    Parameters
    ----------
    x : of any dtype; shape (n, …).
    shape : of one input of the model: (height, width, channels), (channels, height, width), or
        anything else, which x has to have already.

    Raises
    ------
    ValueError
        If x fits neither as it is nor with its channels moved.
    """
    if x.shape[1:] == shape:
        return x
    if x.ndim == 4:
        for order in ((0, 2, 3, 1), (0, 3, 1, 2)):  # NCHW → NHWC, NHWC → NCHW
            if tuple(x.shape[axis] for axis in order[1:]) == shape:
                return np.ascontiguousarray(np.transpose(x, order))
    raise ValueError(
        f"expected inputs of shape ({', '.join(map(str, ('n', *shape)))}), or pictures that have "
        f"it with their channels moved to the front or to the end, got {x.shape}"
    )


def channels_last_axis(axis: int, dimensions: int) -> int:
    """Return where an axis of an NCHW tensor is in the NHWC one.

    Parameters
    ----------
    axis : counted from the front (0 is the batch) or, if negative, from the back.
    dimensions : of the tensor; only with 4 does anything move.

    Raises
    ------
    ValueError
        If there is no such axis.
    """
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"expected an axis from {-dimensions} to {dimensions - 1}, got {axis}")
    axis %= dimensions
    return (0, 3, 1, 2)[axis] if dimensions == 4 else axis


def conv_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return a convolution's kernel in Keras' order.

    Parameters
    ----------
    kernel : shape (filters, channels of a group, height, width), as PyTorch and ONNX have it.

    Returns
    -------
    np.ndarray
        Shape (height, width, channels of a group, filters).

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    return np.transpose(kernel, (2, 3, 1, 0))


def depthwise_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Return a depthwise convolution's kernel in Keras' order.

    Parameters
    ----------
    kernel : shape (channels · multiplier, 1, height, width): the filters of the first
        channel, then those of the second, and so on.
    channels : of the input, each with filters of its own.

    Returns
    -------
    np.ndarray
        Shape (height, width, channels, multiplier).

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    height, width = kernel.shape[2:]
    return kernel.reshape(channels, -1, height, width).transpose(2, 3, 0, 1)


def dense_kernel(kernel: np.ndarray, picture: tuple[int, int, int]) -> np.ndarray:
    """Return the kernel of a dense layer behind a flatten, its rows in the order of NHWC.

    Flattening keeps the order of memory: NCHW gives all of the first channel, then all of
    the second; NHWC gives all channels of the first pixel. Either the activations are
    put in the other order on every run, or the rows of the kernel once.

    Parameters
    ----------
    kernel : shape (channels · height · width, units).
    picture : channels, height, width before the flatten.

    Returns
    -------
    np.ndarray
        Shape (height · width · channels, units).

    Raises
    ------
    ValueError
        If the kernel does not have a row for each number of the picture.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    if len(kernel) != np.prod(picture):
        raise ValueError(f"expected {np.prod(picture)} rows for {picture}, got {len(kernel)}")
    return kernel.reshape(*picture, -1).transpose(1, 2, 0, 3).reshape(len(kernel), -1)


def same_pads(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return how much Keras' padding "same" adds before and after one axis.

    As many windows as ``size / stride``, rounded up, have to fit; of an odd number of
    zeros, one more goes to the end. (TensorFlow's documentation of ``tf.nn``, "Notes on
    padding".) PyTorch adds the same number on both sides, so that stride 2 looks at other
    pixels in the two frameworks.

    Parameters
    ----------
    size : of the input along the axis.
    kernel, stride, dilation : of the window along the axis.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    reach = (kernel - 1) * dilation + 1
    windows = -(-size // stride)
    total = max((windows - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2
