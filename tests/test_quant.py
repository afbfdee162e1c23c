"""Real numbers as int8 codes and back: properties that hold for every scale and zero point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import quant

scales = st.floats(2**-13, 2**13, width=32)
zero_points = st.integers(-128, 127)
CODES = np.arange(-128, 128, dtype=np.int8)


@given(scales, zero_points, st.floats(0, 1))
def test_round_trip_is_within_half_a_scale_inside_the_range(scale, zero_point, where) -> None:
    low, high = quant.dequantize(np.array([-128, 127], np.int8), scale, zero_point)
    x = np.float32(low + where * (high - low))
    again = quant.dequantize(quant.quantize(x, scale, zero_point), scale, zero_point)
    assert abs(again - x) <= scale / 2 * (1 + 1e-4)


@given(scales, zero_points)
def test_every_code_survives_the_round_trip(scale, zero_point) -> None:
    reals = quant.dequantize(CODES, scale, zero_point)
    assert np.array_equal(quant.quantize(reals, scale, zero_point), CODES)


@given(scales, zero_points, arrays(np.float32, 20, elements=st.floats(-1e6, 1e6, width=32)))
def test_order_is_kept(scale, zero_point, x) -> None:
    codes = quant.quantize(np.sort(x), scale, zero_point)
    assert np.all(np.diff(codes.astype(int)) >= 0)


@given(scales, zero_points)
def test_zero_is_exact(scale, zero_point) -> None:
    assert quant.quantize(0.0, scale, zero_point) == zero_point
    assert quant.dequantize(np.int8(zero_point), scale, zero_point) == 0.0


@given(scales, zero_points)
def test_what_is_out_of_range_is_clipped(scale, zero_point) -> None:
    codes = quant.quantize(np.array([-1e9, 1e9, -np.inf, np.inf]), scale, zero_point)
    assert codes.tolist() == [-128, 127, -128, 127]


def test_neighbouring_codes_are_one_scale_apart() -> None:
    assert np.all(np.diff(quant.dequantize(CODES, 0.25, 3)) == 0.25)


def test_halves_go_to_the_even_code() -> None:
    assert quant.quantize([0.5, 1.5, 2.5, -0.5, -1.5], 1.0, 0).tolist() == [0, 2, 2, 0, -2]


def test_the_zero_point_is_added_after_rounding() -> None:
    assert quant.quantize([0.5, 1.5], 1.0, 1).tolist() == [1, 3]


def test_the_example_of_the_formula() -> None:
    """r = scale · (q − zero_point): 0.5 · (30 − 10) = 10."""
    assert quant.dequantize(np.int8(30), 0.5, 10) == 10.0
    assert quant.quantize(10.0, 0.5, 10) == 30


def test_the_difference_of_two_codes_does_not_overflow() -> None:
    assert quant.dequantize(np.int8(127), 1.0, -128) == 255.0
    assert quant.dequantize(np.int8(-128), 1.0, 127) == -255.0


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4)])
def test_shapes_and_dtypes(shape) -> None:
    codes = quant.quantize(np.zeros(shape), 0.1, 5)
    assert (codes.shape, codes.dtype) == (shape, np.int8)
    reals = quant.dequantize(codes, 0.1, 5)
    assert (reals.shape, reals.dtype) == (shape, np.float32)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_not_positive_and_finite_is_refused(scale) -> None:
    with pytest.raises(ValueError, match="expected a positive, finite scale"):
        quant.quantize([1.0], scale, 0)
    with pytest.raises(ValueError, match="expected a positive, finite scale"):
        quant.dequantize(np.int8([1]), scale, 0)


@pytest.mark.parametrize("zero_point", [-129, 128, 0.5])
def test_a_zero_point_that_is_no_int8_is_refused(zero_point) -> None:
    with pytest.raises(ValueError, match="zero point from -128 to 127"):
        quant.quantize([1.0], 1.0, zero_point)
    with pytest.raises(ValueError, match="zero point from -128 to 127"):
        quant.dequantize(np.int8([1]), 1.0, zero_point)


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN has no integer code"):
        quant.quantize([1.0, np.nan], 1.0, 0)


@pytest.mark.parametrize("codes", [np.array([1]), np.array([1.0]), np.uint8([1])])
def test_codes_of_another_dtype_are_refused(codes) -> None:
    with pytest.raises(ValueError, match=f"expected int8 codes, got {codes.dtype}"):
        quant.dequantize(codes, 1.0, 0)


@given(arrays(np.float32, (3, 2, 2), elements=st.floats(-100, 100, width=32)))
def test_the_largest_weight_of_every_channel_gets_the_last_code(weight) -> None:
    weight = np.where(np.abs(weight) < 1e-6, np.float32(0), weight)
    scales = quant.channel_scales(weight)
    assert scales.shape == (3,) and scales.dtype == np.float32
    largest = np.abs(weight).max(axis=(1, 2))
    codes = largest / scales
    assert np.allclose(codes[largest > 0], 127, rtol=1e-5)
    assert (scales[largest == 0] == 1).all()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), "expected a weight of shape"),
        (np.ones((0, 3)), "expected a weight of shape"),
        (np.array([[1.0, np.nan]]), "NaN or infinity"),
    ],
)
def test_channel_scales_of_what_is_no_weight(weight, message) -> None:
    with pytest.raises(ValueError, match=message):
        quant.channel_scales(weight)
