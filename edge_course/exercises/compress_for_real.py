"""The exercises of notebook 13."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.check import Exercise
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
            "measured": st.tuples(_FACTORS, _POINTS, _FACTORS),
            "budget": st.tuples(_FACTORS, _POINTS, _FACTORS),
        },
        why="The two factors may be larger than the budget says, the points smaller: each is "
        "missed on its own side, and what is met counts 0, never less.",
        edge_cases={
            "just met": {"measured": (100.0, 0.5, 5.0), "budget": (100.0, 0.5, 5.0)},
            "better than the original": {
                "measured": (200.0, -1.0, 20.0),
                "budget": (100.0, 0.5, 5.0),
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
