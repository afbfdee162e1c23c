"""The exercises of notebook 13."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.compression.budget import codebook_bytes, missed, pareto

_FACTORS = st.sampled_from([1.0, 2.0, 4.0, 5.0, 10.0])
_POINTS = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
_COUNT = st.shared(st.integers(1, 4), key="networks")


def _each(elements: st.SearchStrategy) -> st.SearchStrategy:
    return _COUNT.flatmap(lambda n: arrays(np.float64, n, elements=elements, fill=st.nothing()))


EXERCISES = (
    Exercise(
        missed,
        {
            "measured": st.tuples(_FACTORS, _POINTS, _FACTORS, _FACTORS),
            "budget": st.tuples(_FACTORS, _POINTS, _FACTORS, _FACTORS),
        },
        why="The three factors may be larger than the budget says, the points smaller: each is "
        "missed on its own side, and what is met counts 0, never less.",
        hint=Hint(
            approach="Compare part by part, each with its own limit. In which direction is more "
            "too much?",
            example="`missed((100.0, 0.5, 4.0, 9.0), (100.0, 0.25, 5.0, 9.0))` → "
            "`(0.0, 0.25, 0.2, 0.0)`: small enough, a quarter of a point too many lost, a fifth "
            "of the speed missing, memory just right.",
            trap="What is better than demanded counts 0, and cannot make up for another part.",
        ),
        edge_cases={
            "just met": {"measured": (100.0, 0.5, 5.0, 10.0), "budget": (100.0, 0.5, 5.0, 10.0)},
            "better than the original": {
                "measured": (200.0, -1.0, 20.0, 40.0),
                "budget": (100.0, 0.5, 5.0, 10.0),
            },
        },
    ),
    Exercise(
        pareto,
        {
            "costs": _each(st.integers(1, 4).map(float)),
            "accuracies": _each(st.integers(1, 4).map(lambda n: n / 4)),
        },
        why="A network is off the front if another one is at least as good in both, and better in "
        "one; two equal ones do not beat each other.",
        hint=Hint(
            approach="Put two networks side by side: when does nobody want the second one any "
            "more? Then ask it of every pair.",
            example="`pareto([1.0, 2.0, 2.0], [0.5, 0.75, 0.25])` → `[True, True, False]`: the "
            "third costs as much as the second and is right less often.",
            trap="Equal networks do not beat each other. Sorting by cost alone overlooks the less "
            "accurate one of equal cost.",
        ),
        edge_cases={
            "same cost, less accurate": {
                "costs": np.array([2.0, 2.0]),
                "accuracies": np.array([0.5, 0.75]),
            },
            "two equal ones": {
                "costs": np.array([2.0, 2.0]),
                "accuracies": np.array([0.5, 0.5]),
            },
        },
    ),
    Exercise(
        codebook_bytes,
        {
            "weights": st.sampled_from([8, 80, 1000]),
            "kept": st.sampled_from([0.25, 0.5, 1.0]),
            "code_bits": st.integers(1, 8),
            "index_bits": st.integers(0, 8),
        },
        why="Each weight that is kept costs a code and a distance; the table costs 2^code_bits "
        "float32 numbers; eight bits are a byte.",
        hint=Hint(
            approach="List all that has to be in the file for somebody to rebuild the weights: "
            "codes, places, and the table.",
            example="`codebook_bytes(80, 0.5, 4, 4)` → `104`: 40 weights of one byte each, and 16 "
            "table entries of four bytes.",
            trap="The table is not free, and only the weights that are kept have a code. Bits are "
            "no bytes.",
        ),
        edge_cases={
            "nothing was pruned": {
                "weights": 80,
                "kept": 1.0,
                "code_bits": 4,
                "index_bits": 0,
            },
        },
    ),
)
