"""The choice of bits is the best one that fits."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.quantization.mixed_precision import choose_bits, weight_bytes

CHOICES = (2, 4, 8)


@given(
    st.lists(st.tuples(*[st.floats(0, 9)] * 3), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.floats(0, 1),
)
def test_no_other_choice_that_fits_costs_less(losses, seed: int, share: float) -> None:
    counts = np.random.default_rng(seed).integers(1, 100, len(losses))
    least, most = (weight_bytes(counts, np.full(len(counts), b)) for b in (2, 8))
    budget = int(least + share * (most - least))
    chosen = choose_bits(np.array(losses), counts, CHOICES, budget)

    def cost(bits) -> float:
        return sum(row[CHOICES.index(b)] for row, b in zip(losses, bits, strict=True))

    assert weight_bytes(counts, np.array(chosen)) <= budget
    for bits in itertools.product(CHOICES, repeat=len(losses)):
        if weight_bytes(counts, np.array(bits)) <= budget:
            assert cost(chosen) <= cost(bits) + 1e-12


def test_bytes_are_rounded_up_layer_by_layer() -> None:
    assert weight_bytes([3, 3], [2, 4]) == 1 + 2
    assert weight_bytes([], []) == 0


def test_of_equally_good_choices_the_first_wins() -> None:
    assert choose_bits(np.zeros((2, 2)), np.array([1, 1]), (8, 4), 99) == (8, 8)


@pytest.mark.parametrize(
    ("losses", "counts", "choices", "budget", "message"),
    [
        (np.zeros((2, 3)), [8, 8], CHOICES, 3, "3 bytes are too few: the smallest choice has 4"),
        (np.zeros((2, 2)), [8, 8], CHOICES, 9, "losses of 2 layers and 3 choices"),
        (np.zeros((0, 3)), [], CHOICES, 9, "at least one"),
        (np.full((1, 3), np.nan), [8], CHOICES, 9, "finite losses"),
        (np.zeros((20, 3)), [1] * 20, CHOICES, 99, "too many to try"),
        (np.zeros((1, 3)), [-1], CHOICES, 99, "counts from 0"),
    ],
)
def test_bad_input_is_refused(losses, counts, choices, budget, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_bits(losses, np.array(counts, int), choices, budget)


def test_bits_for_each_layer() -> None:
    with pytest.raises(ValueError, match="bits for each layer"):
        weight_bytes([1, 2], [8])
