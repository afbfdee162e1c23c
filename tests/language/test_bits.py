"""Bits and perplexity, against closed forms and PyTorch's cross-entropy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from edge_course.language import bits


def test_fair_choices_cost_their_logarithm() -> None:
    assert bits.bits_of([0.5, 0.25, 1]).tolist() == [1, 2, 0]
    assert bits.perplexity(np.full(7, 1 / 81)) == pytest.approx(81)
    assert bits.perplexity([0.5, 0.125]) == pytest.approx(4)


@given(st.integers(0, 1000), st.floats(0.1, 200))
def test_bits_of_logits_are_cross_entropy(seed, size) -> None:
    random = np.random.default_rng(seed)
    logits, symbols = random.normal(0, size, (5, 9)), random.integers(0, 9, 5)
    expected = functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(symbols), reduction="none"
    )
    np.testing.assert_allclose(
        bits.bits_of_logits(logits, symbols), expected.numpy() / np.log(2), atol=1e-9
    )


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    """Values that resemble their neighbours: within an interval of single values they are not."""
    random = np.random.default_rng(0)
    held = naive = 0
    for _ in range(400):
        values = np.repeat(random.normal(size=200), 50)  # 200 pieces of 50 equal values
        mean, half = bits.block_interval(values)
        held += abs(mean) < half
        naive += abs(mean) < 1.96 * values.std() / len(values) ** 0.5
    assert 0.91 < held / 400 < 0.98
    assert naive / 400 < 0.5


@pytest.mark.parametrize("p", [[0.0], [1.5], [-1], [np.nan], []])
def test_what_is_no_probability_is_refused(p) -> None:
    with pytest.raises(ValueError, match="expected"):
        bits.perplexity(p)


@pytest.mark.parametrize("blocks", [1, 6])
def test_too_few_values_for_blocks_are_refused(blocks) -> None:
    with pytest.raises(ValueError, match="expected 2 to 5 blocks"):
        bits.block_interval(np.arange(5), blocks)
