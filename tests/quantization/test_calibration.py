"""Calibrated ranges against brute force, direct formulas and what must not change them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.quantization import calibration, quant, round_trip

REALS = st.floats(-1e4, 1e4, width=32)
VECTORS = arrays(np.float32, st.integers(1, 12), elements=REALS)
METHODS = {
    "minimum_maximum": calibration.minimum_maximum,
    "percentile": calibration.percentile,
    "least_squares": calibration.least_squares,
    "entropy": calibration.entropy,
}
methods = st.sampled_from(sorted(METHODS))


@pytest.fixture
def outliers() -> np.ndarray:
    """What a ReLU lets through, and one number in a thousand ten times as large."""
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=20_000))
    x[::1000] = 20 + rng.random(20)
    return x.astype(np.float32)


def squared_error(x, low, high, bits, symmetric) -> float:
    """One number at a time, in Python, without any function of the package but the parameters."""
    parameters = (quant.symmetric if symmetric else quant.asymmetric)(low, high, bits)
    scale, zero_point = float(parameters.scale), int(parameters.zero_point)
    top = 2 ** (bits - 1) - 1
    bottom = -top if symmetric else -top - 1
    total = 0.0
    for number in x.tolist():
        code = min(max(round(number / scale) + zero_point, bottom), top)
        total += (number - scale * (code - zero_point)) ** 2
    return total / len(x)


@given(methods, VECTORS)
def test_every_range_lies_inside_that_of_the_numbers(method, x) -> None:
    low, high = METHODS[method](x)
    assert low.dtype == high.dtype == np.float32
    assert x.min() <= low <= high <= x.max() or method == "least_squares"
    quant.asymmetric(low, high)  # takes it


@given(VECTORS)
def test_a_least_squares_range_is_a_part_of_the_whole_one(x) -> None:
    low, high = calibration.least_squares(x)
    assert abs(low) <= abs(x.min()) and abs(high) <= abs(x.max())


@given(VECTORS)
def test_minimum_and_maximum(x) -> None:
    assert calibration.minimum_maximum(x) == (min(x.tolist()), max(x.tolist()))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_range_of_each_channel(axis) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    low, high = calibration.minimum_maximum(x, axis)
    channels = np.moveaxis(x, axis, 0)
    assert low.ravel().tolist() == [channel.min() for channel in channels]
    assert high.ravel().tolist() == [channel.max() for channel in channels]
    assert np.broadcast_shapes(low.shape, x.shape) == x.shape
    assert np.all(low <= x) and np.all(x <= high)


@given(st.permutations(range(1000)))
def test_a_percentile_leaves_out_as_many_on_either_side(order) -> None:
    low, high = calibration.percentile(np.float32(order), 90)
    assert np.sum(np.array(order) < low) == np.sum(np.array(order) > high) == 50


def test_all_of_the_numbers_are_a_hundred_percent(outliers) -> None:
    assert calibration.percentile(outliers, 100) == calibration.minimum_maximum(outliers)


@given(VECTORS, st.integers(2, 4), st.booleans(), st.integers(1, 12))
def test_least_squares_by_brute_force(x, bits, symmetric, candidates) -> None:
    parameters = quant.symmetric if symmetric else quant.asymmetric
    found = calibration.least_squares(x, bits, parameters=parameters, candidates=candidates)
    tried = [
        squared_error(x, x.min() * share, x.max() * share, bits, symmetric)
        for share in np.arange(1, candidates + 1, dtype=np.float32) / np.float32(candidates)
    ]
    error = squared_error(x, *found, bits, symmetric)
    assert error <= min(tried) * (1 + 1e-4) + 1e-9 * float(np.abs(x).max()) ** 2


@pytest.mark.parametrize("axis", [0, 2, -1])
def test_least_squares_of_each_channel_is_that_of_the_channel_alone(axis) -> None:
    x = np.random.default_rng(0).laplace(size=(3, 50, 4)).astype(np.float32)
    low, high = calibration.least_squares(x, 3, axis, parameters=quant.symmetric)
    channels = np.moveaxis(x, axis, 0)
    alone = [calibration.least_squares(c, 3, parameters=quant.symmetric) for c in channels]
    assert list(zip(low.ravel(), high.ravel(), strict=True)) == alone
    assert np.broadcast_shapes(low.shape, x.shape) == x.shape
    assert len(np.unique(high / channels.max(axis=(1, 2)).reshape(high.shape))) > 1


def test_least_squares_is_close_to_the_best_threshold_there_is() -> None:
    """Against each of 500 thresholds, most of which it did not try."""
    x = np.abs(np.random.default_rng(0).laplace(size=2000)).astype(np.float32)
    _, high = calibration.least_squares(x, 4)
    best = min(squared_error(x, 0, t, 4, False) for t in np.linspace(0.1, x.max(), 500))
    assert squared_error(x, 0, high, 4, False) <= 1.02 * best
    assert best < 0.9 * squared_error(x, 0, x.max(), 4, False), "clipping is worth it here"


def divergence(counts: list[int], kept: int, levels: int) -> float:
    """The formula, bin by bin: Σ P·log(P/Q) in nats."""
    p = [*counts[: kept - 1], counts[kept - 1] + sum(counts[kept:])]
    q = [0.0] * kept
    for level in range(levels):
        mine = [i for i in range(kept) if i * levels // kept == level]
        filled = [i for i in mine if p[i]]
        for i in filled:
            q[i] = sum(counts[j] for j in mine) / len(filled)
    total = 0.0
    for p_i, q_i in zip(p, q, strict=True):
        if p_i and not q_i:
            return math.inf
        if p_i:
            total += p_i / sum(p) * math.log((p_i / sum(p)) / (q_i / sum(q)))
    return total


HISTOGRAMS = st.lists(st.integers(0, 9), min_size=8, max_size=20).filter(lambda c: c[-1] > 0)


@given(HISTOGRAMS, st.sampled_from([2, 3]))
def test_entropy_by_the_direct_formula(counts, bits) -> None:
    bins, levels = len(counts), 2 ** (bits - 1)
    # Numbers in the middle of their bins, and one at the end of the last, make this histogram.
    middles = np.repeat(np.arange(bins) + 0.5, counts)
    middles[-1] = bins
    x = np.float32(middles * np.resize([1, -1], len(middles)))
    low, high = calibration.entropy(x, bits, bins=bins)
    candidates = {n: divergence(counts, n, levels) for n in range(levels, bins + 1)}
    best = [n for n, value in candidates.items() if value <= min(candidates.values()) + 1e-12]
    possible = [(max(x.min(), -n), min(x.max(), n)) for n in best]
    assert any(np.allclose((low, high), limits, rtol=1e-6) for limits in possible)


def test_a_gaussian_with_outliers_is_cut_and_a_flat_distribution_is_not(outliers) -> None:
    _, high = calibration.entropy(outliers)
    assert 2 < high < 10
    flat = np.linspace(-1, 1, 50_000, dtype=np.float32)
    low, high = calibration.entropy(flat)
    assert high > 0.95 and low < -0.95


def test_what_each_method_makes_of_outliers(outliers) -> None:
    tops = {name: METHODS[name](outliers)[1] for name in METHODS}
    assert tops["minimum_maximum"] > 20
    assert tops["percentile"] > 20, "one in a thousand is more than 0.05 %"
    assert calibration.percentile(outliers, 99)[1] < 5
    assert tops["least_squares"] > tops["entropy"], "squares weigh outliers more"


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0, 1e-30])
@pytest.mark.parametrize("method", METHODS)
def test_a_constant_tensor_has_a_range(method, value) -> None:
    low, high = METHODS[method](np.full((2, 3), value, np.float32))
    back = round_trip.fake_quantize(np.float32(value), *quant.asymmetric(low, high))
    assert back == pytest.approx(value, rel=0.01, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_range_is_refused(method) -> None:
    with pytest.raises(ValueError, match="no numbers have no range"):
        METHODS[method](np.zeros((0, 3)))
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="NaN or infinity has no place in a range"):
            METHODS[method]([1.0, value])


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="expected an axis of 1 dimensions, got 1"):
        calibration.minimum_maximum([1.0], axis=1)
    for share in (0, 101, np.nan):
        with pytest.raises(ValueError, match="expected a share above 0 and up to 100 %"):
            calibration.percentile([1.0], share)
    with pytest.raises(ValueError, match="expected at least 1 candidate, got 0"):
        calibration.least_squares([1.0], candidates=0)
    with pytest.raises(ValueError, match="expected at least 128 bins for 8 bits, got 127"):
        calibration.entropy([1.0], bins=127)
    for method in (calibration.least_squares, calibration.entropy):
        with pytest.raises(ValueError, match="expected 2 to 8 bits"):
            method([1.0], 1)
