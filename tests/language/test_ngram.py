"""Counts of symbols, against a dictionary and a loop, and against a sum that must be one."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_course.language.ngram import NGram


def by_hand(text: list[int], symbols: int, order: int, context: list[int]) -> np.ndarray:
    """The probability of every symbol after a context, with counts in dictionaries."""
    padded = [0] * (order - 1) + text
    followed = defaultdict(Counter)
    for t in range(order - 1, len(padded)):
        for length in range(order):
            followed[tuple(padded[t - length : t])][padded[t]] += 1
    p = np.full(symbols, 1 / symbols)
    for length in range(order):
        counts = followed.get(tuple(context[len(context) - length :]))
        if counts is None:
            break
        n, t = sum(counts.values()), len(counts)
        p = np.array([(counts[s] + t * p[s]) / (n + t) for s in range(symbols)])
    return p


TEXTS = st.lists(st.integers(0, 2), min_size=5, max_size=30)


@settings(max_examples=40)
@given(TEXTS, TEXTS, st.integers(1, 4))
def test_probabilities_are_those_of_counts_by_hand(train, test, order) -> None:
    found = NGram(np.array(train), 3, order).probabilities(np.array(test))
    padded = [0] * (order - 1) + test
    for t, code in enumerate(test):
        context = padded[t : t + order - 1]
        p = by_hand(train, 3, order, context)
        assert p.sum() == pytest.approx(1)
        assert found[t] == pytest.approx(p[code])


def test_order_one_ignores_what_came_before() -> None:
    p = NGram(np.array([0, 0, 1, 0]), 2, 1).probabilities(np.array([0, 1, 1]))
    np.testing.assert_allclose(p, [(3 + 2 * 0.5) / 6, (1 + 2 * 0.5) / 6, (1 + 2 * 0.5) / 6])


@pytest.mark.parametrize(
    ("codes", "symbols", "order"), [([0, 1], 2, 2), ([0, 1], 2, 0), ([0, 2], 2, 1), ([0, -1], 2, 1)]
)
def test_what_cannot_be_counted_is_refused(codes, symbols, order) -> None:
    with pytest.raises(ValueError, match="expected"):
        NGram(np.array(codes), symbols, order)
