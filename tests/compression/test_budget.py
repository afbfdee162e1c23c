"""The budget, paired differences, the Pareto front, and the published way of counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.compression import budget
from edge_course.compression.budget import Savings

COSTS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Savings(200, -1.0, 20, 9), (0, 0, 0, 0)),
        (Savings(100, 0.5, 5, 8), (0, 0, 0, 0)),  # just met
        (Savings(75, 0.5, 5, 8), (0.25, 0, 0, 0)),
        (Savings(100, 0.75, 5, 8), (0, 0.25, 0, 0)),
        (Savings(50, 1.5, 1.25, 6), (0.5, 1.0, 0.75, 0.25)),
    ],
)
def test_what_is_missed_and_by_how_much(measured: Savings, expected: tuple) -> None:
    assert budget.missed(measured, Savings(100, 0.5, 5, 8)) == expected


@pytest.mark.parametrize(
    "wrong", [(0, 1, 1, 1), (1, math.nan, 1, 1), (1, 1, -2, 1), (math.inf, 1, 1, 1), (1, 1, 1, 0)]
)
def test_impossible_numbers_are_refused(wrong: tuple) -> None:
    good = Savings(2, 0, 2, 2)
    with pytest.raises(ValueError, match="expected finite numbers and positive ratios"):
        budget.missed(Savings(*wrong), Savings(*good))
    with pytest.raises(ValueError, match="expected finite numbers and positive ratios"):
        budget.missed(good, Savings(*wrong))


def test_plain_tuples_are_budgets_too() -> None:
    assert budget.missed((50, 1.0, 5, 1), (100, 0.5, 5, 2)) == (0.5, 0.5, 0, 0.5)


def test_the_table_says_by_how_much() -> None:
    lines = budget.budget_table(Savings(150, 0.75, 5.0, 12.0)).splitlines()
    assert lines[1].endswith("150.00   required 100: met   aim 170: missed by 12%")
    assert lines[2].endswith("0.75   required 0.5: missed by 0.25   aim 0.5: missed by 0.25")
    assert lines[3].endswith("5.00   required 5: met   aim 10: missed by 50%")
    assert lines[4].endswith("12.00   required 10: met   aim 14: missed by 14%")
    own = budget.budget_table(Savings(150, -1.0, 5.0, 12.0), {"mine": Savings(10, 0, 1, 1)})
    assert "mine 10: met" in own
    assert "mine 0: met" in own


def test_the_interval_is_that_of_many_test_sets() -> None:
    """Draw test sets again and again: 95 % of the intervals hold the true difference."""
    random, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        hard = random.random(400) < 0.3  # pictures that decide, the others are easy for all
        right = ~hard | (random.random((3, 400)) < 0.6)
        reference = ~hard | (random.random((2, 400)) < 0.4)
        mean, low, high = budget.paired_difference(right, reference)
        assert mean == pytest.approx(right.mean() - reference.mean())
        hits += low <= 0.3 * 0.2 <= high
    assert 920 <= hits <= 970


def test_equal_networks_differ_by_nothing_for_sure() -> None:
    right = np.random.default_rng(0).random((3, 50)) < 0.5
    assert budget.paired_difference(right, right) == (0, 0, 0)


@pytest.mark.parametrize(
    ("right", "reference", "message"),
    [
        (np.ones((2, 5)), np.ones((2, 5), bool), r"expected bool \(networks, pictures\), got f"),
        (np.ones(5, bool), np.ones((2, 5), bool), r"got bool \(5,\)"),
        (np.ones((0, 5), bool), np.ones((2, 5), bool), r"got bool \(0, 5\)"),
        (
            np.ones((2, 5), bool),
            np.ones((2, 4), bool),
            r"two or more pairs, .* \(4,\) and \(5,\)",
        ),
        (
            np.ones((2, 1), bool),
            np.ones((2, 1), bool),
            r"two or more pairs, .* \(1,\) and \(1,\)",
        ),
    ],
)
def test_answers_that_cannot_be_paired_are_refused(right, reference, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        budget.paired_difference(right, reference)


@given(COSTS)
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    costs, accuracies = np.array(points).T
    found = budget.pareto(costs, accuracies)
    for (cost, accuracy), on_front in zip(points, found, strict=True):
        beaten = any(
            (c <= cost and a >= accuracy) and (c, a) != (cost, accuracy) for c, a in points
        )
        assert on_front == (not beaten)


@pytest.mark.parametrize(
    ("costs", "accuracies"), [([1, 2], [1]), ([[1]], [[1]]), ([1, math.nan], [1, 2])]
)
def test_points_that_are_none_are_refused(costs: list, accuracies: list) -> None:
    with pytest.raises(ValueError, match="cost"):
        budget.pareto(np.array(costs), np.array(accuracies))


def test_counting_as_published_comes_close_to_what_was_published() -> None:
    """LeNet-300-100: 266,000 weights, 8 % kept, 6 and 5 bits; published before Huffman: 32×.

    The published number has the zeros that were kept because a distance needs more bits.
    """
    found = 4 * 266_000 / budget.codebook_bytes(266_000, 0.08, 6, 5, codebooks=3)
    assert 32 < found < 37


def test_counting_by_hand() -> None:
    assert budget.codebook_bytes(80, 0.5, 2, 6) == (40 * 8 + 4 * 32) / 8
    assert budget.codebook_bytes(80, 1.0, 1, 0, codebooks=2) == (80 + 2 * 2 * 32) / 8


@pytest.mark.parametrize(
    "arguments", [(0, 0.5, 4, 4), (9, 0.0, 4, 4), (9, 1.1, 4, 4), (9, 1, 0, 4), (9, 1, 4, 17)]
)
def test_what_cannot_be_counted_is_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="expected"):
        budget.codebook_bytes(*arguments)
