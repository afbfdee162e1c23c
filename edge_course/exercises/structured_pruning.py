"""The exercises of notebook 11."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.structured_pruning.arithmetic import (
    cut_pair,
    emptied,
    flattened_columns,
    removal_order,
    tied,
)

_CHANNELS = st.shared(st.integers(2, 4), key="channels")
_NUMBERS = st.integers(-9, 9).map(float)
_ROWS = st.shared(st.integers(2, 5), key="rows")


def _some(channels: int) -> st.SearchStrategy:
    """Some of the channels, at least one, in any order."""
    kept = st.lists(st.integers(0, channels - 1), min_size=1, unique=True)
    return kept.map(lambda k: np.array(k, np.int64))


def _filters(order: list[int]) -> np.ndarray:
    """Three filters of two inputs and one weight each, (3, 2, 1, 1): no two norms are equal."""
    signs = np.array([1, -1, 1, -1, 1, -1])
    return (2.0 ** np.array(order) * signs).astype(np.float32).reshape(3, 2, 1, 1)


def _vector(elements: st.SearchStrategy, dtype: type) -> st.SearchStrategy:
    return arrays(dtype, _ROWS, elements=elements, fill=st.nothing())


EXERCISES = (
    Exercise(
        cut_pair,
        {
            "weight": _CHANNELS.flatmap(
                lambda c: arrays(np.float32, (c, 2), elements=_NUMBERS, fill=st.nothing())
            ),
            "bias": _CHANNELS.flatmap(
                lambda c: arrays(np.float32, (c,), elements=_NUMBERS, fill=st.nothing())
            ),
            "next_weight": _CHANNELS.flatmap(
                lambda c: arrays(np.float32, (3, c), elements=_NUMBERS, fill=st.nothing())
            ),
            "kept": _CHANNELS.flatmap(_some),
        },
        why="A channel is a row of the first weight, an entry of its bias and a column of the next "
        "weight: all three go, and all three stand in the order of kept.",
        hint=Hint(
            approach="Follow one channel: where is it made, where is it moved, where is it read?",
            example="`cut_pair([[1.0], [2.0], [3.0]], [4.0, 5.0, 6.0], [[7.0, 8.0, 9.0]], [2, "
            "0])` → `([[3.0], [1.0]], [6.0, 4.0], [[9.0, 7.0]])`: channels 2 and 0, in "
            "that order, at all three places.",
            trap="The next layer reads channels along its second axis. `kept` is an order as well "
            "as a choice: a mask loses it.",
        ),
        edge_cases={
            "two convolutions": {
                "weight": np.arange(12, dtype=np.float32).reshape(3, 1, 2, 2),
                "bias": np.array([1, 2, 3], np.float32),
                "next_weight": np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1),
                "kept": np.array([2, 0]),
            },
        },
    ),
    Exercise(
        emptied,
        {
            "weight": st.permutations(range(6)).map(_filters),
            "bias": st.permutations([-2.0, 1.0, 3.0]).map(lambda b: np.array(b, np.float32)),
            "count": st.integers(1, 2),
        },
        why="The filters of the smallest L2 norm are 0, and so are their biases: PyTorch's tool "
        "was told of the weight only, and a bias alone makes a channel a constant.",
        hint=Hint(
            approach="Which axis are the filters, and which norm is asked for? After `remove`, the "
            "layer's weight has rows of zeros: find them, and think of what else they add.",
            example="`emptied([[[[3.0]]], [[[-4.0]]]], [1.0, 2.0], 1)` → `([[[[0.0]]], "
            "[[[-4.0]]]], [0.0, 2.0])`: the filter of norm 3 goes, with its bias.",
            trap="`amount=1` is one filter and `amount=1.0` all of them. `dim=1` empties inputs. "
            "The two norms, L1 and L2, can disagree on who is smallest.",
        ),
        edge_cases={
            "the norms disagree": {
                "weight": np.array(
                    [[[[3, 3], [3, 3]]], [[[0, 0], [0, 8]]], [[[9, 9], [9, 9]]]], np.float32
                ),
                "bias": np.array([1, 2, 3], np.float32),
                "count": 1,
            },
            "two inputs": {
                "weight": np.array([[[[5.0]], [[1.0]]], [[[2.0]], [[1.0]]]], np.float32),
                "bias": np.array([1, 2], np.float32),
                "count": 1,
            },
        },
    ),
    Exercise(
        flattened_columns,
        {
            "kept": st.integers(1, 5).flatmap(_some),
            "places": st.integers(1, 4),
        },
        why="Flattening puts channel after channel: channel c has the columns from c · places to "
        "c · places + places − 1, and the blocks stand in the order of kept.",
        hint=Hint(
            approach="Write the columns of a tiny example as blocks, one block for each channel. "
            "Which numbers stand in block c?",
            example="`flattened_columns([2, 0], 2)` → `[4, 5, 0, 1]`: the blocks are 0 1, 2 3 and "
            "4 5.",
            trap="Columns c, c + channels, … belong to another layout, with the channels last. "
            "The blocks keep the order of `kept`.",
        ),
        edge_cases={
            "two of three channels with four places": {
                "kept": np.array([0, 2]),
                "places": 4,
            },
            "nothing stays": {"kept": np.array([], np.int64), "places": 4},
        },
    ),
    Exercise(
        tied,
        {
            "count": st.just(6),
            "ties": st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6),
        },
        why="Follow the ties as far as they lead: everything in reach gets the smallest number in "
        "reach; what has no tie keeps its own.",
        hint=Hint(
            approach="Think of islands and bridges: whatever can be reached has one name, the "
            "smallest number in reach.",
            example="`tied(4, [(2, 3), (1, 2)])` → `[0, 1, 1, 1]`: 3 reaches 1 by way of 2.",
            trap="One pass over the ties is not enough: a late one can join two groups that have "
            "their names already.",
        ),
        edge_cases={
            "a chain that is tied from its far end": {
                "count": 4,
                "ties": [(2, 3), (1, 2), (0, 1)],
            },
            "two groups that are joined late": {
                "count": 5,
                "ties": [(0, 1), (3, 4), (4, 1)],
            },
            "nothing is tied": {"count": 3, "ties": []},
        },
    ),
    Exercise(
        removal_order,
        {
            "importance": _vector(st.integers(0, 9).map(float), np.float64),
            "macs": _vector(st.sampled_from([1, 2, 4]), np.int64),
            "group": _vector(st.integers(0, 1), np.int64),
        },
        why="The smallest importance for its cost goes first, of equal ones the first; and of each "
        "group the channel that would be its last stays out of the list.",
        hint=Hint(
            approach="What is lost with a channel, and what is saved? Put all in order of the one "
            "for each unit of the other. Then ask which may never go.",
            example="`removal_order([3.0, 1.0, 8.0, 2.0], [1, 1, 4, 4], [0, 0, 1, 1])` → `[3, "
            "1]`: the ratios are 3, 1, 2 and 0.5; channels 0 and 2 are then the last of "
            "their groups.",
            trap="A group must not become empty: the channel that stays is the last in this "
            "order, not the one with the highest number.",
        ),
        edge_cases={
            "two groups": {
                "importance": np.array([3.0, 1.0, 8.0, 2.0]),
                "macs": np.array([1, 1, 4, 4]),
                "group": np.array([0, 0, 1, 1]),
            },
            "equal channels": {
                "importance": np.array([2.0, 1.0, 1.0]),
                "macs": np.array([2, 1, 1]),
                "group": np.array([0, 0, 0]),
            },
        },
    ),
)
