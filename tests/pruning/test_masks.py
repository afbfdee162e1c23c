"""Masks: how many weights go, which ones, and when."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.nn.utils import prune

from edge_course.pruning import masks

SCORES = arrays(np.float32, array_shapes(max_dims=4, max_side=5), elements=st.integers(-9, 9))
MATRICES = arrays(np.float32, array_shapes(min_dims=2, max_side=9), elements=st.integers(-9, 9))
SHARES = st.floats(0, 1)


def by_sorting(scores: np.ndarray, removed: int) -> np.ndarray:
    """The definition in plain Python: sort pairs of score and place, remove the first."""
    ranked = sorted((float(s), i) for i, s in enumerate(scores.ravel()))
    gone = {i for _, i in ranked[:removed]}
    return np.array([i not in gone for i in range(scores.size)]).reshape(scores.shape)


@given(SCORES, SHARES)
def test_a_layer_loses_its_lowest_scores(scores, share) -> None:
    mask = masks.layer_mask(scores, share)
    assert (mask.dtype, mask.shape) == (bool, scores.shape)
    assert np.array_equal(mask, by_sorting(scores, round(share * scores.size)))


@given(SCORES, SHARES)
def test_magnitude_ignores_the_sign(weights, share) -> None:
    expected = masks.layer_mask(np.abs(weights), share)
    assert np.array_equal(masks.magnitude_mask(weights, share), expected)
    assert np.array_equal(masks.magnitude_mask(-weights, share), expected)


@given(st.lists(SCORES, min_size=1, max_size=4), SHARES)
def test_all_layers_together_are_one_long_layer(layers, share) -> None:
    scores = {f"layer{i}": array for i, array in enumerate(layers)}
    found = masks.global_masks(scores, share)
    flat = np.concatenate([array.ravel() for array in layers])
    assert np.array_equal(
        np.concatenate([mask.ravel() for mask in found.values()]),
        masks.layer_mask(flat, share),
    )
    assert [m.shape for m in found.values()] == [a.shape for a in layers]
    assert masks.sparsity(found) == pytest.approx(round(share * flat.size) / flat.size)


@given(SCORES, SHARES, SHARES)
def test_more_sparsity_never_brings_a_weight_back(scores, first, second) -> None:
    little, much = sorted((first, second))
    assert np.all(masks.layer_mask(scores, little) >= masks.layer_mask(scores, much))


@given(MATRICES, st.integers(1, 5).flatmap(lambda m: st.tuples(st.integers(0, m), st.just(m))))
def test_of_m_neighbours_the_best_n_stay(scores, numbers) -> None:
    n, m = numbers
    mask = masks.n_of_m_mask(scores, n, m)
    assert (mask.dtype, mask.shape) == (bool, scores.shape)
    for row, kept in zip(
        scores.reshape(len(scores), -1), mask.reshape(len(scores), -1), strict=True
    ):
        for start in range(0, len(row), m):
            group = row[start : start + m]
            expected = by_sorting(group, max(0, len(group) - n))
            assert np.array_equal(kept[start : start + m], expected)


@given(arrays(np.float32, (3, 8), elements=st.integers(-9, 9)))
def test_two_of_four_keep_most_of_all_patterns_with_two_of_four(scores) -> None:
    """Brute force: no choice of two in a group has a larger sum."""
    kept = np.where(masks.n_of_m_mask(scores), scores, 0).reshape(-1, 4).sum(axis=1)
    pairs = itertools.combinations(range(4), 2)
    best = np.max([scores.reshape(-1, 4)[:, list(pair)].sum(axis=1) for pair in pairs], axis=0)
    assert np.array_equal(kept, best)
    assert masks.sparsity({"a": masks.n_of_m_mask(scores)}) == 0.5


@given(st.integers(0, 50), st.integers(1, 50), SHARES, SHARES)
def test_the_schedule_goes_from_the_first_sparsity_to_the_last(begin, length, final, initial):
    values = [
        masks.gradual_sparsity(step, begin, begin + length, final, initial)
        for step in range(begin - 2, begin + length + 3)
    ]
    assert values[:3] == pytest.approx([initial] * 3)
    assert values[-3:] == pytest.approx([final] * 3)
    steps = np.diff(values) * (1 if final >= initial else -1)
    assert np.all(steps >= -1e-12)  # never back
    assert np.all(np.diff(steps[2:-2]) <= 1e-12)  # ever slower


def test_the_schedule_of_the_paper_by_hand() -> None:
    assert masks.gradual_sparsity(50, 0, 100, 0.8) == pytest.approx(0.8 * 7 / 8)
    assert masks.gradual_sparsity(30, 10, 50, 0.9, 0.5) == pytest.approx(0.9 - 0.4 / 8)


def test_known_masks() -> None:
    weights = np.float32([[0.1, -0.5], [0.3, -0.2]])
    assert masks.magnitude_mask(weights, 0.5).tolist() == [[False, True], [True, False]]
    assert masks.layer_mask(np.ones(4), 0.5).tolist() == [False, False, True, True]
    assert masks.n_of_m_mask(np.float32([[4, 3, 2, 1, 9]])).tolist() == [[1, 1, 0, 0, 1]]
    assert not masks.layer_mask(np.ones(3), 1).any()


@pytest.mark.parametrize("sparsity", [-0.1, 1.1, np.nan])
def test_a_sparsity_outside_0_to_1_is_refused(sparsity) -> None:
    with pytest.raises(ValueError, match="expected a sparsity from 0"):
        masks.layer_mask(np.ones(3), sparsity)


@pytest.mark.parametrize("scores", [[], [np.nan, 1], [np.inf], ["a"], [None]])
def test_scores_that_cannot_be_ranked_are_refused(scores) -> None:
    for function in (masks.layer_mask, lambda s, _: masks.global_masks({"a": s}, 0.5)):
        with pytest.raises(ValueError, match="finite real numbers, at least one"):
            function(scores, 0.5)


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        masks.global_masks({}, 0.5)
    for scores, n, m in ((np.ones(4), 2, 4), (np.ones((2, 2)), 3, 2), (np.ones((2, 2)), 0, 0)):
        with pytest.raises(ValueError, match="at least two axes and 0 ≤ n ≤ m"):
            masks.n_of_m_mask(scores, n, m)
    for begin, end, final in ((5, 5, 0.5), (0, 1, 1.5), (0, 1, -0.5)):
        with pytest.raises(ValueError, match="expected begin < end and sparsities"):
            masks.gradual_sparsity(0, begin, end, final)


@given(st.integers(0, 30), st.integers(0, 100))
def test_a_budget_leaves_the_weights_that_pytorch_leaves(budget, seed) -> None:
    weights = np.random.default_rng(seed).normal(size=23).astype(np.float32)  # no two alike
    first, second = weights[:15].reshape(5, 3), weights[15:].reshape(2, 4)
    layers = [torch.nn.Linear(*w.shape[::-1], bias=False) for w in (first, second)]
    for layer, weight in zip(layers, (first, second), strict=True):
        layer.weight.data = torch.from_numpy(weight.copy())
    where = [(layer, "weight") for layer in layers]
    prune.global_unstructured(where, prune.L1Unstructured, amount=max(23 - budget, 0))
    for layer, ours in zip(layers, masks.within_budget(first, second, budget), strict=True):
        assert np.array_equal(ours, layer.weight.numpy(force=True))


def test_a_budget_is_not_negative() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        masks.within_budget(np.ones(2), np.ones(2), -1)
