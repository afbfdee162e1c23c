"""Real numbers as codes and back: properties of every grid, against LiteRT and TensorFlow."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.quantization import quant, round_trip
from edge_course.quantization.rounding import ROUNDINGS, rounded

scales = st.floats(2**-13, 2**13, width=32)
zero_points = st.integers(-128, 127)
CODES = np.arange(-128, 128, dtype=np.int8)
BITS = st.integers(2, 8)
reals = st.floats(-1e6, 1e6, width=32)
ranges = st.tuples(reals, reals).map(sorted)
vectors = arrays(np.float32, st.integers(1, 30), elements=reals)
KINDS = {"asymmetric": quant.asymmetric, "symmetric": quant.symmetric}
kinds = st.sampled_from(sorted(KINDS))
LAST_BITS = 1e-5  # of float32, relative to the largest number: several operations


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


# Grids of 2 to 8 bits


def there_and_back(x, kind, bits, **options):
    """Parameters of the range of x, and x as it comes back."""
    parameters = KINDS[kind](x.min(), x.max(), bits)
    back = round_trip.fake_quantize(x, *parameters, bits, narrow=kind == "symmetric", **options)
    return parameters, back


@pytest.mark.parametrize(
    ("bits", "narrow", "expected"),
    [(8, False, (-128, 127)), (8, True, (-127, 127)), (4, False, (-8, 7)), (2, True, (-1, 1))],
)
def test_code_ranges(bits, narrow, expected) -> None:
    assert quant.code_range(bits, narrow=narrow) == expected


@given(kinds, BITS, vectors)
def test_the_error_inside_the_range_is_at_most_half_a_scale(kind, bits, x) -> None:
    (scale, _), back = there_and_back(x, kind, bits)
    bound = round_trip.largest_error(scale) + LAST_BITS * np.abs(x).max()
    assert np.all(np.abs(back - x) <= bound)


@given(kinds, BITS, vectors, st.sampled_from(["down", "zero"]))
def test_the_error_of_cutting_is_at_most_a_scale_and_has_a_side(kind, bits, x, rounding) -> None:
    (scale, _), back = there_and_back(x, kind, bits, rounding=rounding)
    last_bits = LAST_BITS * np.abs(x).max()
    # The nudge can push the lowest number out of the range, by up to half a scale.
    assert np.all(np.abs(back - x) <= scale + last_bits)
    if rounding == "zero":
        assert np.all(np.abs(back) <= np.abs(x) + last_bits + scale / 2 * (kind == "asymmetric"))


def test_the_bound_of_half_a_scale_is_reached() -> None:
    scale, zero_point = quant.symmetric(-127.0, 127.0)
    assert scale == 1
    assert abs(round_trip.fake_quantize(0.5, scale, zero_point) - 0.5) == round_trip.largest_error(
        scale
    )


@pytest.mark.parametrize("bits", [8, 6, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rms_error_is_a_scale_over_root_twelve(kind, bits) -> None:
    x = np.random.default_rng(0).uniform(-1, 3, 200_000).astype(np.float32)
    (scale, _), back = there_and_back(x, kind, bits)
    found = np.sqrt(np.mean(np.square(back - x, dtype=np.float64)))
    assert found == pytest.approx(round_trip.rms_error(scale), rel=0.02)


@given(kinds, BITS, ranges)
def test_codes_survive_the_round_trip(kind, bits, limits) -> None:
    narrow = kind == "symmetric"
    first, last = quant.code_range(bits, narrow=narrow)
    codes = np.arange(first, last + 1, dtype=np.int8)
    parameters = KINDS[kind](*limits, bits)
    again = quant.quantize_bits(quant.dequantize(codes, *parameters), *parameters, bits)
    assert np.array_equal(again, codes)


@given(kinds, BITS, vectors)
def test_quantizing_twice_changes_nothing_more(kind, bits, x) -> None:
    parameters, back = there_and_back(x, kind, bits)
    assert np.array_equal(round_trip.fake_quantize(back, *parameters, bits), back)


@given(kinds, BITS, vectors, st.sampled_from(ROUNDINGS))
def test_the_order_is_kept_by_every_grid(kind, bits, x, rounding) -> None:
    _, back = there_and_back(np.sort(x), kind, bits, rounding=rounding)
    assert np.all(np.diff(back) >= 0)


@given(kinds, BITS, ranges, st.sampled_from(ROUNDINGS))
def test_zero_is_exact_in_every_grid(kind, bits, limits, rounding) -> None:
    scale, zero_point = KINDS[kind](*limits, bits)
    first, last = quant.code_range(bits)
    assert first <= zero_point <= last
    assert quant.quantize_bits(0.0, scale, zero_point, bits, rounding=rounding) == zero_point
    assert round_trip.fake_quantize(0.0, scale, zero_point, bits, rounding=rounding) == 0


@given(BITS, ranges)
def test_the_symmetric_range_is_symmetric(bits, limits) -> None:
    scale, zero_point = quant.symmetric(*limits, bits)
    largest = max(abs(limit) for limit in limits)
    ends = np.array([-largest, largest])
    codes = quant.quantize_bits(ends, scale, zero_point, bits, narrow=True)
    half = 2 ** (bits - 1) - 1
    assert zero_point == 0
    assert codes.tolist() == [-half, half] or largest < quant.NARROWEST
    far = quant.quantize_bits([-1e30, 1e30], scale, zero_point, bits, narrow=True)
    assert far.tolist() == [-half, half]


@given(BITS, ranges)
def test_the_asymmetric_range_uses_every_code(bits, limits) -> None:
    scale, zero_point = quant.asymmetric(*limits, bits)
    ends = quant.quantize_bits(limits, scale, zero_point, bits)
    low, high = min(limits[0], 0), max(limits[1], 0)
    if high - low >= quant.NARROWEST:
        reach = (np.array(quant.code_range(bits)) - zero_point) * np.float64(scale)
        assert np.all(np.abs(reach - (low, high)) <= scale * 0.50001), "moved by at most the nudge"
        if limits[0] <= 0 <= limits[1]:
            # A limit in the middle between two codes can fall to either, so one code may be free.
            assert 2**bits - 2 <= int(ends[1]) - int(ends[0]) <= 2**bits - 1


@given(arrays(np.float32, 20, elements=reals), scales, zero_points)
def test_eight_bits_are_those_of_quantize(x, scale, zero_point) -> None:
    codes = quant.quantize_bits(x, scale, zero_point)
    assert np.array_equal(codes, quant.quantize(x, scale, zero_point))
    assert (codes.shape, codes.dtype) == (x.shape, np.int8)


# Known answers


def test_a_range_by_hand() -> None:
    """−1 … 2 in 4 bits: 3 / 15 = 0.2, and −8 + 1 / 0.2 = −3."""
    scale, zero_point = quant.asymmetric(-1.0, 2.0, bits=4)
    assert (scale, zero_point) == (np.float32(0.2), -3)
    assert quant.quantize_bits([-1, 0, 2], scale, zero_point, 4).tolist() == [-8, -3, 7]
    assert quant.symmetric(-1.0, 2.0, bits=2) == (2.0, 0)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 255.0, 1.0, -128),
        (-255.0, 0.0, 1.0, 127),
        (-510.0, -255.0, 2.0, 127),  # all negative: the range reaches up to 0
        (255.0, 510.0, 2.0, -128),
        (510.0, 510.0, 2.0, -128),  # a constant
        (-93.5, 161.5, 1.0, -35),  # −34.5, halves away from zero
    ],
)
def test_ranges_on_one_side_and_constants(low, high, scale, zero_point) -> None:
    assert quant.asymmetric(low, high) == (scale, zero_point)


@pytest.mark.parametrize("value", [0.0, 1e-9, -3.0, 7.25])
@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_tensor_comes_back(kind, value) -> None:
    x = np.full(5, value, np.float32)
    _, back = there_and_back(x, kind, 8)
    assert np.allclose(back, x, rtol=1e-6, atol=1e-8)


def test_one_outlier_costs_the_others_their_resolution() -> None:
    x = np.linspace(0, 1, 100, dtype=np.float32)
    _, alone = there_and_back(x, "asymmetric", 8)
    _, beside = there_and_back(np.append(x, np.float32(1000)), "asymmetric", 8)
    assert len(np.unique(alone)) == 100
    assert np.unique(beside).tolist() == [0, 1000]


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("even", [-2, -2, -0.0, 0, 2, 2]),
        ("away", [-3, -2, -1, 1, 2, 3]),
        ("up", [-2, -1, 0, 1, 2, 3]),
        ("down", [-3, -2, -1, 0, 1, 2]),
        ("zero", [-2, -1, 0, 0, 1, 2]),
    ],
)
def test_halves(rounding, expected) -> None:
    halves = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert rounded(halves, rounding).tolist() == expected


EXACTLY = {  # on fractions, where nothing is lost
    "even": round,
    "away": lambda x: int(math.copysign(1, x)) * math.floor(abs(x) + Fraction(1, 2)),
    "up": lambda x: math.floor(x + Fraction(1, 2)),
    "down": math.floor,
    "zero": math.trunc,
}


@given(st.sampled_from(ROUNDINGS), st.floats(-300, 300, width=32))
def test_rounding_is_exact(rounding, x) -> None:
    assert rounded(np.float32(x), rounding) == EXACTLY[rounding](Fraction(x))


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_the_number_next_to_a_half_is_not_a_half(rounding) -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    for x in (below, -below):
        assert rounded(x, rounding) == EXACTLY[rounding](Fraction(float(x)))


# Per channel


def test_each_channel_has_the_grid_of_its_own_range() -> None:
    w = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    w *= np.float32([0.01, 1, 100, 7]).reshape(1, 4, 1)
    low, high = w.min((0, 2), keepdims=True), w.max((0, 2), keepdims=True)
    for kind, bits in itertools.product(KINDS, (2, 4, 8)):
        scale, zero_point = KINDS[kind](low, high, bits)
        assert (scale.shape, scale.dtype) == ((1, 4, 1), np.float32)
        assert (zero_point.shape, zero_point.dtype) == ((1, 4, 1), np.int32)
        narrow = kind == "symmetric"
        together = round_trip.fake_quantize(w, scale, zero_point, bits, narrow=narrow)
        for c in range(4):
            assert np.array_equal(together[:, c], there_and_back(w[:, c], kind, bits)[1])


# Against TensorFlow and LiteRT


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_fake_quantization_is_that_of_tensorflow(tf, bits) -> None:
    """TensorFlow nudges the range in float32 and rounds half up, on codes from 0."""
    rng = np.random.default_rng(bits)
    for _ in range(50):
        low, high = -rng.uniform(0, 5), rng.uniform(0.1, 5)
        x = rng.uniform(low - 1, high + 1, 300).astype(np.float32)
        theirs = tf.quantization.fake_quant_with_min_max_args(x, low, high, bits).numpy()
        scale, zero_point = quant.asymmetric(low, high, bits)
        ours = round_trip.fake_quantize(x, scale, zero_point, bits)
        away = np.abs(np.abs(x / scale) % 1 - 0.5) > 1e-4  # halves may fall to either side
        assert away.mean() > 0.99
        assert np.allclose(ours[away], theirs[away], atol=1e-5)


def test_codes_are_those_of_the_runtime(tf) -> None:
    """LiteRT's own operator QUANTIZE, on the scale and zero point of its own file."""
    from edge_course.runtimes import litert, tflite_file

    class Same(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 1000))])
        def __call__(self, x):
            return x + x

    same = Same()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [same.__call__.get_concrete_function()], same
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    x = np.random.default_rng(0).normal(0, 3, (1, 1000)).astype(np.float32)
    converter.representative_dataset = lambda: [[x / 2]]
    file = converter.convert()
    first = tflite_file.read_tflite(file).operators[0]
    assert first.name == "QUANTIZE"
    end = first.outputs[0]
    scale, zero_point = end.scales[0], end.zero_points[0]
    assert (scale, zero_point) == quant.asymmetric(x.min() / 2, x.max() / 2)
    made = litert.interpreter(file, kernels="reference", keep_all=True)
    made.set_tensor(made.get_input_details()[0]["index"], x)
    made.invoke()
    index = next(t["index"] for t in made.get_tensor_details() if t["name"] == end.name)
    codes = quant.quantize_bits(x, scale, zero_point, rounding="away")
    assert np.array_equal(made.get_tensor(index), codes)
    assert {-128, 127} <= set(codes.ravel().tolist()), "some were clipped"


# What is refused


@pytest.mark.parametrize(
    "limits", [(0, np.inf), (-np.inf, 0), (np.nan, 1), (0, np.nan), (1, 0), ([0, 2], [1, 1])]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_range_that_is_none_is_refused(kind, limits) -> None:
    with pytest.raises(ValueError, match="expected a finite range from low to high"):
        KINDS[kind](*limits)


def test_a_range_too_wide_for_float32_is_refused() -> None:
    with pytest.raises(ValueError, match="too wide for float32"):
        quant.asymmetric(-3e38, 3e38)
    assert np.isfinite(quant.asymmetric(-1.5e38, 1.5e38).scale)


@pytest.mark.parametrize("bits", [1, 9, 0, 2.5, None])
def test_other_numbers_of_bits_are_refused(bits) -> None:
    for refuse in (
        lambda: quant.asymmetric(0, 1, bits),
        lambda: quant.symmetric(0, 1, bits),
        lambda: round_trip.fake_quantize(0, 1, 0, bits),
    ):
        with pytest.raises(ValueError, match="expected 2 to 8 bits"):
            refuse()


def test_what_quantize_bits_refuses() -> None:
    with pytest.raises(ValueError, match="NaN has no integer code"):
        quant.quantize_bits([np.nan], 1.0, 0)
    with pytest.raises(ValueError, match="expected a positive, finite scale"):
        quant.quantize_bits([1.0, 1.0], np.array([1.0, 0.0]), 0)
    with pytest.raises(ValueError, match="whole zero point from -8 to 7, got 8"):
        quant.quantize_bits([1.0], 1.0, 8, 4)
    with pytest.raises(ValueError, match=r"scales \(3, 1\) do not spread over numbers \(3,\)"):
        quant.quantize_bits(np.zeros(3), np.ones((3, 1)), 0)
    with pytest.raises(ValueError, match="expected one of the roundings even, away"):
        quant.quantize_bits([1.0], 1.0, 0, rounding="nearest")


def test_infinities_are_clipped_and_empty_tensors_stay_empty() -> None:
    assert quant.quantize_bits([-np.inf, np.inf], 1.0, 0, 4, rounding="away").tolist() == [-8, 7]
    assert quant.quantize_bits(np.zeros((0, 3)), 1.0, 0, 4).shape == (0, 3)


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
