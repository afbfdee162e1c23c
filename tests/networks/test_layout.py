"""The two layouts: the same convolution, written twice as loops, gives the same numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.networks import layout

SIZES = st.integers(1, 4)


def seeded(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def conv_nchw(x: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    """Convolution by its definition in ONNX: x (n, c, h, w), kernel (filters, c/groups, kh, kw)."""
    n, _, height, width = x.shape
    filters, of_group, kh, kw = kernel.shape
    y = np.zeros((n, filters, height - kh + 1, width - kw + 1))
    for i, f, top, left in np.ndindex(y.shape):
        first = f // (filters // groups) * of_group
        window = x[i, first : first + of_group, top : top + kh, left : left + kw]
        y[i, f, top, left] = (window * kernel[f]).sum()
    return y


def conv_nhwc(x: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    """The same in Keras: x (n, h, w, c), kernel (kh, kw, c/groups, filters)."""
    n, height, width, _ = x.shape
    kh, kw, of_group, filters = kernel.shape
    y = np.zeros((n, height - kh + 1, width - kw + 1, filters))
    for i, top, left, f in np.ndindex(y.shape):
        first = f // (filters // groups) * of_group
        window = x[i, top : top + kh, left : left + kw, first : first + of_group]
        y[i, top, left, f] = (window * kernel[..., f]).sum()
    return y


def depthwise_nhwc(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Depthwise convolution in Keras: kernel (kh, kw, c, multiplier)."""
    n, height, width, _ = x.shape
    kh, kw, channels, multiplier = kernel.shape
    y = np.zeros((n, height - kh + 1, width - kw + 1, channels * multiplier))
    for i, top, left, f in np.ndindex(y.shape):
        c, m = divmod(f, multiplier)
        window = x[i, top : top + kh, left : left + kw, c]
        y[i, top, left, f] = (window * kernel[:, :, c, m]).sum()
    return y


@given(SIZES, SIZES, SIZES, SIZES)
def test_channels_last_moves_each_number(n: int, c: int, h: int, w: int) -> None:
    x = seeded(n, c, h, w)
    y = layout.channels_last(x)
    assert y.shape == (n, h, w, c)
    assert all(y[i, j, k, m] == x[i, m, j, k] for i, j, k, m in np.ndindex(y.shape))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (1, 2, 3, 4, 5)])
def test_channels_last_leaves_other_dimensions(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    assert layout.channels_last(x) is x


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5])
def test_axis_moves_with_the_numbers(dimensions: int) -> None:
    x = np.zeros(range(2, 2 + dimensions))  # all sizes differ
    for axis in range(-dimensions, dimensions):
        moved = layout.channels_last_axis(axis, dimensions)
        assert 0 <= moved < dimensions
        assert layout.channels_last(x).shape[moved] == x.shape[axis]


@pytest.mark.parametrize(("axis", "dimensions"), [(4, 4), (-5, 4), (2, 2), (-3, 2)])
def test_axis_that_is_not_there(axis: int, dimensions: int) -> None:
    message = f"expected an axis from -{dimensions} to {dimensions - 1}, got {axis}"
    with pytest.raises(ValueError, match=message):
        layout.channels_last_axis(axis, dimensions)


@pytest.mark.parametrize(("groups", "of_group", "filters"), [(1, 3, 2), (2, 2, 4), (3, 1, 6)])
def test_conv_kernel_computes_the_same(groups: int, of_group: int, filters: int) -> None:
    x, kernel = seeded(2, groups * of_group, 5, 4), seeded(filters, of_group, 3, 2)
    expected = layout.channels_last(conv_nchw(x, kernel, groups))
    found = conv_nhwc(layout.channels_last(x), layout.conv_kernel(kernel), groups)
    assert np.allclose(found, expected)


@pytest.mark.parametrize(("channels", "multiplier"), [(1, 1), (3, 1), (2, 3)])
def test_depthwise_kernel_computes_the_same(channels: int, multiplier: int) -> None:
    x, kernel = seeded(2, channels, 5, 4), seeded(channels * multiplier, 1, 3, 2)
    expected = layout.channels_last(conv_nchw(x, kernel, channels))
    converted = layout.depthwise_kernel(kernel, channels)
    assert converted.shape == (3, 2, channels, multiplier)
    assert np.allclose(depthwise_nhwc(layout.channels_last(x), converted), expected)


@given(SIZES, SIZES, SIZES, SIZES, SIZES)
def test_dense_kernel_computes_the_same(n: int, c: int, h: int, w: int, units: int) -> None:
    x, kernel = seeded(n, c, h, w), seeded(c * h * w, units)
    found = layout.channels_last(x).reshape(n, -1) @ layout.dense_kernel(kernel, (c, h, w))
    assert np.allclose(found, x.reshape(n, -1) @ kernel)


def test_dense_kernel_of_another_picture() -> None:
    with pytest.raises(ValueError, match=r"expected 24 rows for \(2, 3, 4\), got 23"):
        layout.dense_kernel(np.zeros((23, 5)), (2, 3, 4))


@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 5), st.integers(1, 3))
def test_same_pads_are_the_fewest_that_give_all_windows(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    before, after = layout.same_pads(size, kernel, stride, dilation)
    reach = dilation * (kernel - 1) + 1

    def windows(padded: int) -> int:
        return len(range(0, padded - reach + 1, stride))

    assert windows(size + before + after) == -(-size // stride)
    assert before + after == 0 or windows(size + before + after - 1) < -(-size // stride)
    assert after - before in (0, 1)


@pytest.mark.parametrize("size", [1, 4, 7, 8])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2)])
def test_same_pads_are_tensorflows(size: int, kernel: int, stride: int, dilation: int) -> None:
    import tensorflow as tf

    x, weights = seeded(1, size, 1), seeded(kernel, 1, 1)
    same = tf.nn.conv1d(x, weights, stride, "SAME", dilations=dilation)
    padded = np.pad(x, ((0, 0), layout.same_pads(size, kernel, stride, dilation), (0, 0)))
    assert np.allclose(tf.nn.conv1d(padded, weights, stride, "VALID", dilations=dilation), same)


@pytest.mark.parametrize(
    "shape, wanted, same",
    [
        ((2, 4, 5, 3), (4, 5, 3), "nhwc"),  # fits as it is
        ((2, 4, 5, 3), (3, 4, 5), "moved to the front"),
        ((2, 3, 4, 5), (4, 5, 3), "moved to the end"),
        ((2, 3, 3, 3), (3, 3, 3), "ambiguous: as it is"),
        ((2, 7), (7,), "no picture"),
    ],
)
def test_pictures_are_arranged_as_a_model_wants_them(shape, wanted, same) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    made = layout.arranged(x, wanted)
    assert made.shape == (shape[0], *wanted)
    if same == "moved to the front":
        assert made[1, 2, 3, 4] == x[1, 3, 4, 2]
    elif same == "moved to the end":
        assert made[1, 3, 4, 2] == x[1, 2, 3, 4]
    else:
        assert made is x


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 4, 5), (4, 5, 3), ()])
def test_pictures_that_fit_in_no_order_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 4, 5, 3\)"):
        layout.arranged(np.zeros(shape), (4, 5, 3))
