"""Paired differences: their interval by hand, its table by integration, its promise by trial."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.distillation import paired

PAIRS = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=8)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 10, 20, 31])
def test_table_is_that_of_the_density_of_t(count: int) -> None:
    """The area of the density between −t and t is 0.95."""
    freedom, t = count - 1, paired.t_quantile(count)
    factor = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    x = np.linspace(-t, t, 200_001)
    area = np.trapezoid(factor * (1 + x**2 / freedom) ** (-(freedom + 1) / 2), x)
    assert abs(area - 0.95) < 5e-5
    assert t > 1.96


def test_table_falls_steadily() -> None:
    assert (np.diff([paired.t_quantile(n) for n in range(2, 32)]) < 0).all()


@given(PAIRS, st.floats(0.5, 13))
def test_interval_is_that_of_the_definition(pairs, t: float) -> None:
    baseline, other = (np.array(values) for values in zip(*pairs, strict=True))
    differences = [b - a for a, b in pairs]
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    reach = t * deviation / math.sqrt(len(pairs))
    found = paired.paired_interval(baseline, other, t)
    assert np.allclose(found, (mean, deviation, mean - reach, mean + reach), atol=1e-9)


@given(PAIRS, st.floats(-5, 5))
def test_what_a_pair_shares_cancels(pairs, shared: float) -> None:
    baseline, other = (np.array(values) for values in zip(*pairs, strict=True))
    both = shared * np.arange(len(pairs))  # a lucky seed lifts both
    first = paired.paired_interval(baseline, other, 2)
    assert np.allclose(paired.paired_interval(baseline + both, other + both, 2), first, atol=1e-8)


def test_the_interval_holds_the_truth_in_95_of_100_trials() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(4000):
        seeds = rng.normal(0, 3, 5)
        found = paired.gain(seeds + rng.normal(0, 1, 5), seeds + rng.normal(0.5, 1, 5))
        held += found.low <= 0.5 <= found.high
    assert 0.94 < held / 4000 < 0.96


def test_without_pairs_it_is_the_interval_of_welch() -> None:
    a, b = [27.5, 21.0, 19.0, 23.6, 17.0], [27.1, 22.0, 20.8, 23.4, 23.4]
    found = paired.unpaired_gain(np.array(a), np.array(b))
    # scipy.stats.ttest_ind(b, a, equal_var=False): df 6.40, -3.378 to 6.818; with df 6 it is:
    assert (found.low, found.high) == pytest.approx((-3.4557, 6.8957), abs=1e-3)
    assert found.mean == pytest.approx(1.72)
    even = paired.unpaired_gain(np.array([0.0, 1.0]), np.array([5.0, 6.0]))  # df 2, t 4.303
    assert (even.low, even.high) == pytest.approx((5 - 4.303 * 0.5**0.5, 5 + 4.303 * 0.5**0.5))
    assert even.deviation == pytest.approx(1)


def test_without_pairs_too_it_holds_the_truth_in_95_of_100_trials() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(4000):
        found = paired.unpaired_gain(rng.normal(0, 1, 3), rng.normal(0.5, 3, 4))
        held += found.low <= 0.5 <= found.high
    assert 0.94 < held / 4000 < 0.98


@pytest.mark.parametrize(
    ("baseline", "other", "what"),
    [([1.0], [1.0, 2.0], "two or more"), ([1.0, 2.0], [1.0, np.nan], "finite"),
     ([1.0, 1.0], [2.0, 2.0], "vary"), ([[1.0, 2.0]], [1.0, 2.0], "two or more")],
)  # fmt: skip
def test_what_has_no_spread_is_refused(baseline, other, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        paired.unpaired_gain(np.array(baseline), np.array(other))


def test_in_words() -> None:
    words = str(paired.gain(np.array([0.80, 0.82]), np.array([0.81, 0.84])))
    assert words.startswith("+1.50 points, standard deviation 0.71, 95 % interval -4.85 to +7.85")


@pytest.mark.parametrize(
    ("baseline", "other", "message"),
    [
        ([0.5], [0.6], "two or more pairs"),
        ([0.5, 0.6], [0.6, 0.7, 0.8], r"got shapes \(2,\) and \(3,\)"),
        ([[0.5, 0.6]], [[0.6, 0.7]], "two or more pairs"),
        ([0.5, np.nan], [0.6, 0.7], "NaN or infinity"),
        ([0.5, 0.6], [0.6, np.inf], "NaN or infinity"),
        ([], [], "two or more pairs"),
    ],
)
def test_what_are_no_pairs_is_refused(baseline, other, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired.gain(np.array(baseline), np.array(other))
    with pytest.raises(ValueError, match=message):
        paired.paired_interval(np.array(baseline), np.array(other), 2.0)


def test_more_pairs_than_the_table_has_are_refused() -> None:
    with pytest.raises(ValueError, match="expected from 2 to 31 differences, got 40"):
        paired.gain(np.zeros(40), np.ones(40))


@pytest.mark.parametrize("count", [-1, 0, 1, 32])
def test_counts_beyond_the_table_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"expected from 2 to 31 differences, got {count}"):
        paired.t_quantile(count)
