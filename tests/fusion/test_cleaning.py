"""Cleaning at the node, against a loop over the recording."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.fusion.cleaning import fill_gaps, run_lengths, stuck

RECORDINGS = st.lists(st.integers(0, 3).map(float) | st.just(np.nan), min_size=1, max_size=30).map(
    np.array
)


@given(RECORDINGS, st.integers(1, 8))
def test_what_was_recorded_stays_and_the_rest_is_filled_from_before(counts, period) -> None:
    filled = fill_gaps(counts, period)
    known = ~np.isnan(counts)
    assert np.array_equal(filled[known], counts[known])
    for t in np.flatnonzero(~known):
        assert filled[t] == (filled[t - period] if t >= period else filled[t - 1] if t else 0)


@given(RECORDINGS, st.integers(1, 8))
def test_a_node_may_fill_while_it_records(counts, period) -> None:
    """What comes later changes nothing."""
    for t in range(1, len(counts) + 1):
        assert np.array_equal(fill_gaps(counts[:t], period), fill_gaps(counts, period)[:t])


@given(RECORDINGS, st.integers(1, 5))
def test_rows_are_those_that_a_loop_counts(counts, limit) -> None:
    row, rows = 0, []
    for t, count in enumerate(counts):
        row = row + 1 if t and count == counts[t - 1] else 1
        rows.append(row)
    assert run_lengths(counts).tolist() == rows
    assert stuck(counts, limit).tolist() == [row > limit for row in rows]


@pytest.mark.parametrize(
    ("counts", "number", "message"),
    [
        ([], 1, "expected a recording"),
        ([[1.0]], 1, "expected a recording"),
        ([np.inf], 1, "expected a recording"),
        ([1.0], 0, "at least one"),
    ],
)
@pytest.mark.parametrize("function", [fill_gaps, stuck])
def test_other_things_are_refused(function, counts, number, message) -> None:
    with pytest.raises(ValueError, match=message):
        function(np.array(counts), number)
