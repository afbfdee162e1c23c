"""Fixed-point multiplication against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.quantization import fixed_point

sums = st.integers(-(2**31), 2**31 - 1)
multipliers = st.integers(2**30, 2**31 - 1)


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def half_away(value: Fraction) -> int:
    return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value))


@given(st.floats(2**-31, 2**29))
def test_the_whole_multiplier_is_as_close_as_31_bits_can_be(real) -> None:
    multiplier, shift = fixed_point.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    step = Fraction(2) ** (shift - 31)
    assert abs(multiplier * step - Fraction(real)) <= step / 2


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.75, (3 * 2**29, 0)),
        (2.0**-40, (0, 0)),
        (2.0**40, (2**31 - 1, 30)),
        (np.nextafter(1.0, 0.0), (2**30, 1)),  # rounds up to a whole 1
    ],
)
def test_the_ends_of_the_range(real, expected) -> None:
    assert fixed_point.quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [-0.5, math.nan, math.inf])
def test_other_multipliers_are_refused(real) -> None:
    with pytest.raises(ValueError, match="expected a finite multiplier that is not negative"):
        fixed_point.quantize_multiplier(real)


@given(sums, multipliers)
def test_high_multiply_is_the_exact_product_rounded(x, multiplier) -> None:
    exact = Fraction(x * multiplier, 2**31)
    assert fixed_point.high_multiply(x, multiplier) == half_up(exact)


@given(sums, st.integers(0, 31))
def test_the_shift_is_the_exact_quotient_rounded(x, exponent) -> None:
    exact = Fraction(x, 2**exponent)
    assert fixed_point.divide_by_power_of_two(x, exponent) == half_away(exact)


@given(sums, multipliers, st.integers(-31, 0))
def test_two_roundings_are_one_after_the_other(x, multiplier, shift) -> None:
    once = half_up(Fraction(x * multiplier, 2**31))
    twice = half_away(Fraction(once) * Fraction(2) ** shift)
    assert fixed_point.rescale_twice(x, multiplier, shift) == twice


@given(st.integers(-(2**15), 2**15), multipliers, st.integers(1, 15))
def test_a_shift_to_the_left_comes_first(x, multiplier, shift) -> None:
    exact = half_up(Fraction((x << shift) * multiplier, 2**31))
    assert fixed_point.rescale_twice(x, multiplier, shift) == exact


@given(sums, multipliers, st.integers(-31, 30))
def test_one_rounding_is_of_the_exact_result(x, multiplier, shift) -> None:
    exact = Fraction(x * multiplier, 2**31) * Fraction(2) ** shift
    assert fixed_point.rescale_once(x, multiplier, shift) == half_up(exact)


def test_the_two_can_differ() -> None:
    """1 · 1/4 is 0 rounded once; as 1 · 1/2 · 1/2 it is rounded to 1, and again to 1."""
    assert fixed_point.rescale_once(1, 2**30, -1) == 0
    assert fixed_point.rescale_twice(1, 2**30, -1) == 1


def test_all_are_whole_numbers_for_arrays() -> None:
    x = np.arange(-5, 5, dtype=np.int32).reshape(5, 2)
    multiplier, shift = np.array([2**30, 2**31 - 1]), np.array([0, -3])
    for rescale in (fixed_point.rescale_once, fixed_point.rescale_twice):
        assert rescale(x, multiplier, shift).dtype == np.int64
        assert rescale(x, multiplier, shift).shape == (5, 2)


@given(
    st.floats(2**-10, 1, width=32),
    st.lists(st.floats(2**-10, 1, width=32), min_size=1, max_size=4),
    st.floats(2**-10, 1, width=32),
)
def test_every_channel_of_a_layer_has_its_multiplier(s_x, s_w, s_y) -> None:
    m, shift = fixed_point.layer_multipliers(s_x, np.float32(s_w), s_y)
    assert m.dtype == shift.dtype == np.int64 and m.shape == shift.shape == (len(s_w),)
    for i, scale in enumerate(s_w):
        exact = Fraction(s_x) * Fraction(scale) / Fraction(s_y)
        found = Fraction(int(m[i])) * Fraction(2) ** int(shift[i] - 31)
        assert abs(found / exact - 1) < Fraction(1, 2**30)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_scales_of_a_layer_are_positive_numbers(bad) -> None:
    with pytest.raises(ValueError, match="positive, finite scales"):
        fixed_point.layer_multipliers(bad, np.ones(2, np.float32), 1.0)
