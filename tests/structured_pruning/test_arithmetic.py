"""Arrays without some channels, union-find and the order of removal, each against another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune

from edge_course.structured_pruning.arithmetic import (
    checked_kept,
    cut_pair,
    emptied,
    flattened_columns,
    removal_order,
    tied,
)

RANDOM = np.random.default_rng


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.data())
def test_columns_are_those_of_a_flattened_picture(channels, height, width, data) -> None:
    kept = data.draw(st.lists(st.integers(0, channels - 1), unique=True))
    numbers = np.arange(channels * height * width).reshape(channels, height, width)
    columns = flattened_columns(np.array(kept, int), height * width)
    assert columns.dtype == np.int64
    assert columns.tolist() == numbers[kept].ravel().tolist()


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 99), st.data())
def test_a_cut_pair_computes_the_sum_over_the_kept_channels(channels, k, seed, data) -> None:
    random = RANDOM(seed)
    kept = data.draw(st.lists(st.integers(0, channels - 1), unique=True, min_size=1))
    weight, bias = random.normal(size=(channels, 3)), random.normal(size=channels)
    after, x = random.normal(size=(k, channels)), random.normal(size=3)
    hidden = np.maximum(weight @ x + bias, 0)
    expected = sum(after[:, c] * hidden[c] for c in kept)
    weight, bias, after = cut_pair(weight, bias, after, np.array(kept))
    assert weight.shape == (len(kept), 3) and bias.shape == (len(kept),)
    assert np.allclose(after @ np.maximum(weight @ x + bias, 0), expected)


def test_a_pair_of_convolutions_is_cut_along_filters_and_inputs() -> None:
    weight, bias = RANDOM(0).normal(size=(4, 2, 3, 3)), np.arange(4.0)
    after = RANDOM(1).normal(size=(5, 4, 1, 1))
    small = cut_pair(weight, bias, after, np.array([3, 1]))
    assert np.array_equal(small[0][0], weight[3]) and np.array_equal(small[0][1], weight[1])
    assert small[1].tolist() == [3, 1]
    assert np.array_equal(small[2], after[:, [3, 1]])


def reachable(count: int, ties: list[tuple[int, int]]) -> list[int]:
    """The smallest thing in reach of each, by powers of the matrix of ties."""
    matrix = np.eye(count, dtype=int)
    for a, b in ties:
        matrix[a, b] = matrix[b, a] = 1
    reach = np.linalg.matrix_power(matrix.astype(object), max(1, count)) if count else matrix
    return [int(np.flatnonzero(row)[0]) for row in reach]


@given(st.integers(0, 7), st.data())
def test_tied_is_reachability(count: int, data) -> None:
    pair = st.tuples(*[st.integers(0, count - 1)] * 2)
    ties = data.draw(st.lists(pair, max_size=8)) if count else []
    found = tied(count, ties)
    assert found.dtype == np.int64 and found.tolist() == reachable(count, ties)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([1, 2, 4]), st.integers(0, 2)), max_size=9
    )
)
def test_each_removal_is_the_cheapest_that_leaves_a_channel_in_its_group(channels) -> None:
    importance, macs, group = np.array(channels, int).reshape(-1, 3).T
    order = removal_order(importance, macs, group).tolist()
    assert len(order) == len(channels) - len(set(group.tolist()))
    left = list(range(len(channels)))
    for index in order:
        sizes = {g: sum(group[i] == g for i in left) for g in set(group.tolist())}
        allowed = [i for i in left if sizes[group[i]] > 1]
        assert importance[index] / macs[index] == min(importance[i] / macs[i] for i in allowed)
        left.remove(index)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (cut_pair, (np.ones(3), np.ones(3), np.ones((2, 3)), [0]), "expected weights"),
        (cut_pair, (np.ones((3, 2)), np.ones(2), np.ones((2, 3)), [0]), "3 filters need 3 biases"),
        (cut_pair, (np.ones((3, 2)), np.ones(3), np.ones((3, 2)), [0]), "3 inputs of the next"),
        (cut_pair, (np.ones((3, 2)), np.ones(3), np.ones((2, 3)), [3]), "channels 0 to 2"),
        (flattened_columns, ([0.5], 2), "expected channels as integers"),
        (flattened_columns, ([-1], 2), "expected channels as integers from 0"),
        (flattened_columns, ([0], 0), "at least 1 place, got 0"),
        (tied, (-1, []), "count from 0, got -1"),
        (tied, (3, [(0, 3)]), r"ties between two of 0 to 2, got \(0, 3\)"),
        (tied, (3, [(0, 1, 2)]), "ties between two"),
        (removal_order, ([1.0], [1, 2], [0]), "of one shape"),
        (removal_order, ([np.nan], [1], [0]), "finite importances"),
        (removal_order, ([1.0], [0], [0]), "positive multiply-accumulates"),
        (checked_kept, ([[0]], 3, "layer"), r"layer: expected .* got int64 \(1, 1\)"),
    ],
)
def test_wrong_input_is_refused(function, arguments, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        function(*arguments)


@given(st.integers(0, 5), st.integers(0, 100))
def test_the_filters_that_pytorch_empties_are_emptied_with_their_biases(count, seed) -> None:
    weight = RANDOM(seed).normal(size=(5, 2, 3, 2)).astype(np.float32)
    bias = RANDOM(seed).normal(size=5).astype(np.float32)
    layer = torch.nn.Conv2d(2, 5, (3, 2))
    layer.weight.data = torch.from_numpy(weight.copy())
    prune.ln_structured(layer, "weight", amount=count, n=2, dim=0)
    expected = layer.weight.numpy(force=True)
    ours, biases = emptied(weight, bias, count)
    assert np.array_equal(ours, expected)
    gone = (expected == 0).reshape(5, -1).all(axis=1)
    assert np.array_equal(biases, np.where(gone, 0, bias))
    assert gone.sum() == count and bias.all()  # the arrays that were given stay as they are


@pytest.mark.parametrize(
    ("weight", "bias", "count"), [((3, 2), 3, 1), ((3, 2, 1, 1), 2, 1), ((3, 2, 1, 1), 3, 4)]
)
def test_filters_that_do_not_fit_are_refused(weight, bias, count) -> None:
    with pytest.raises(ValueError, match="expected a weight"):
        emptied(np.ones(weight), np.ones(bias), count)
