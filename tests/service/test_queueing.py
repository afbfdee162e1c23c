"""The arithmetic of waiting, against simulation, NumPy and counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.service.queueing import (
    line_waits,
    longest_line,
    mean_inside,
    mean_line_wait,
    nearest_rank,
)  # fmt: skip

SECONDS = st.floats(0, 100)


@given(st.lists(SECONDS, min_size=1), st.integers(1, 100))
def test_nearest_rank_is_numpys_inverted_cdf(values, share):
    expected = np.percentile(values, share, method="inverted_cdf")
    found = nearest_rank(values, share)
    assert found == expected
    assert 100 * sum(v <= found for v in values) >= share * len(values)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=20))
def test_mean_inside_counts_and_is_littles_law(requests):
    begin, end = [b for b, _ in requests], [b + s for b, s in requests]
    moments = np.arange(min(begin), max(end)) + 0.5
    counted = np.mean([sum(b < m < e for b, e in zip(begin, end, strict=True)) for m in moments])
    found = mean_inside(begin, end)
    assert math.isclose(found, counted)
    rate = len(begin) / (max(end) - min(begin))
    assert math.isclose(found, rate * np.mean([s for _, s in requests]))


@given(st.lists(st.integers(0, 20), max_size=30), st.integers(0, 10))
def test_waits_are_those_of_a_server_that_takes_them_in_turn(gaps, takes):
    arrivals = np.cumsum(gaps)
    free, expected = 0, []
    for arrival in arrivals:
        begin = max(free, arrival)
        expected.append(begin - arrival)
        free = begin + takes
    np.testing.assert_array_equal(line_waits(arrivals, takes), expected)


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_the_formula_for_the_mean_is_what_random_arrivals_give(busy):
    gaps = np.random.default_rng(0).exponential(1.0, 200_000)
    assert math.isclose(
        line_waits(np.cumsum(gaps), busy).mean(), mean_line_wait(1.0, busy), rel_tol=0.05
    )


def test_a_load_of_one_waits_without_end():
    assert mean_line_wait(10, 0.1) == mean_line_wait(20, 0.1) == math.inf


@given(st.integers(1, 200), st.integers(1, 20))
def test_the_longest_line_is_in_time_and_one_more_is_not(deadline, takes):
    line = longest_line(deadline, takes)
    in_progress_and_line = takes + line * takes
    assert line == 0 or in_progress_and_line <= deadline
    assert in_progress_and_line + takes > deadline


@pytest.mark.parametrize(
    "call",
    [
        lambda: nearest_rank([], 50), lambda: nearest_rank([1], 0), lambda: nearest_rank([1], 101),
        lambda: mean_inside([], []), lambda: mean_inside([1], []), lambda: mean_inside([2], [1]),
        lambda: mean_inside([1], [1]), lambda: line_waits([2, 1], 1), lambda: line_waits([1], -1),
        lambda: mean_line_wait(0, 1), lambda: longest_line(1, 0), lambda: longest_line(-1, 1),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
