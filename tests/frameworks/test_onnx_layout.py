"""A convolution in ONNX, asked with channels last, against the sum that defines it."""

import numpy as np
import onnx
import pytest

from edge_course.frameworks.onnx_layout import convolution_model, onnx_channels_last


def test_it_is_the_sum_over_the_window() -> None:
    random = np.random.default_rng(0)
    kernel = random.normal(size=(5, 3, 2, 3)).astype(np.float32)  # OIHW
    x = random.normal(size=(2, 6, 7, 3)).astype(np.float32)  # NHWC
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 2))  # (2, 5, 5, 3, 2, 3)
    expected = np.einsum("nyxcij,fcij->nyxf", windows, kernel)
    np.testing.assert_allclose(onnx_channels_last(kernel, x), expected, atol=1e-5)
    onnx.checker.check_model(convolution_model(kernel), full_check=True)


@pytest.mark.parametrize("kernel", [np.zeros((2, 2)), np.zeros((0, 1, 1, 1))])
def test_another_shape_is_refused(kernel: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a kernel OIHW"):
        convolution_model(kernel)
