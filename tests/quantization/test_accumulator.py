"""The bounds of int32 sums, reached; and the bias that takes the zero point along."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import data
from edge_course.quantization.accumulator import folded_bias, sum_bounds
from edge_course.runtimes import tflite_file

kernels = arrays(np.int8, (2, 3), elements=st.integers(-127, 127))
biases = arrays(np.int32, 2, elements=st.integers(-1000, 1000))
inputs = arrays(np.int8, 3, elements=st.integers(-128, 127))
zero_points = st.integers(-128, 127)


def sums(x, kernel, bias, zero_point) -> np.ndarray:
    return (kernel.astype(int) * (x.astype(int) - zero_point)).sum(axis=-1) + bias


@given(kernels, biases, zero_points, inputs)
def test_no_input_gets_beyond_the_bounds(kernel, bias, zero_point, x) -> None:
    low, high = sum_bounds(kernel, bias, zero_point)
    total = sums(x, kernel, bias, zero_point)
    assert np.all(low <= total) and np.all(total <= high)


@given(kernels, biases, zero_points)
def test_an_input_gets_to_each_bound(kernel, bias, zero_point) -> None:
    low, high = sum_bounds(kernel, bias, zero_point)
    assert np.array_equal(sums(np.where(kernel > 0, 127, -128), kernel, bias, zero_point), high)
    assert np.array_equal(sums(np.where(kernel > 0, -128, 127), kernel, bias, zero_point), low)


@given(kernels, biases, zero_points, inputs)
def test_the_folded_bias_gives_the_same_sums(kernel, bias, zero_point, x) -> None:
    folded = folded_bias(bias, kernel, zero_point)
    assert folded.dtype == np.int32
    assert np.array_equal(
        sums(x, kernel, bias, zero_point), kernel.astype(int) @ x.astype(int) + folded
    )


def test_no_sum_of_the_trained_network_can_overflow() -> None:
    graph = tflite_file.read_tflite(data.read("seed_cnn_int8.tflite"))
    layers = [o for o in graph.operators if o.name in ("CONV_2D", "FULLY_CONNECTED")]
    assert len(layers) == 3
    for operator in layers:
        x, kernel, bias = operator.inputs
        low, high = sum_bounds(kernel.values, bias.values, int(x.zero_points[0]))
        assert low.min() > -(2**31) and high.max() < 2**31


KERNEL, BIAS = np.ones((2, 3), np.int8), np.zeros(2, np.int32)


@pytest.mark.parametrize("function", [sum_bounds, folded_bias])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kernel": KERNEL.astype(float)}, "expected an int8 kernel.*got float64 and int32"),
        ({"bias": BIAS.astype(np.int64)}, "got int8 and int64"),
        ({"bias": BIAS[:1]}, r"as many biases, got \(2, 3\) and \(1,\)"),
        ({"zero_point": 200}, "zero point from -128 to 127, got 200"),
        ({"zero_point": 0.5}, "got 0.5"),
    ],
)
def test_other_input_is_refused(function, changed, message) -> None:
    with pytest.raises(ValueError, match=message):
        function(**{"kernel": KERNEL, "bias": BIAS, "zero_point": 0, **changed})


def test_a_folded_bias_beyond_int32_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit int32"):
        folded_bias(np.array([2**31 - 1] * 2, np.int32), KERNEL, -1)
