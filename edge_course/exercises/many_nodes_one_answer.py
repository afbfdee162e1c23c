"""The exercises of notebook 16."""

import numpy as np
from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.fusion.cleaning import fill_gaps, stuck
from edge_course.fusion.weights import minimum_variance

_COUNT = st.integers(0, 9).map(float)
_WITH_GAPS = st.lists(_COUNT | st.just(np.nan), min_size=1, max_size=9).map(np.array)
_REPEATING = st.lists(st.sampled_from([0.0, 3.0, 3.0, np.nan]), min_size=1, max_size=9)


@st.composite
def _products(draw: st.DrawFn) -> np.ndarray:
    """C = L Lᵀ with small whole numbers: symmetric, and far from one that has no inverse."""
    nodes = draw(st.integers(1, 3))
    below = draw(st.lists(st.integers(-2, 2), min_size=9, max_size=9))
    lower = np.tril(np.reshape(below, (3, 3)), -1) + np.diag([1, 2, 3])
    return (lower @ lower.T)[:nodes, :nodes].astype(float)


EXERCISES = (
    Exercise(
        fill_gaps,
        {"counts": _WITH_GAPS, "period": st.integers(1, 4)},
        why="From the first to the last: a missing count becomes the one of a period before; where "
        "there is none yet, the last one; at the very beginning, 0.",
        hint=Hint(
            approach="Go through the recording from the oldest to the newest, on a copy. What "
            "you filled in earlier may serve to fill in what comes later.",
            example="`fill_gaps([5, nan, 7, 8, nan], 3)` → `[5, 5, 7, 8, 5]`: the first "
            "gap has nothing three steps before, so "
            "it takes the last count, 5; the second takes what stands three steps before it, 5.",
            trap="The gap may come first. And the recording that you were given must stay as it "
            "is: others still need to know what was missing.",
        ),
        edge_cases={
            "a period before": {"counts": np.array([5, np.nan, 7, 8, np.nan]), "period": 3},
            "nothing at first": {"counts": np.array([np.nan, 4, np.nan]), "period": 2},
            "two in a row": {"counts": np.array([6, np.nan, np.nan]), "period": 1},
            "nothing missing": {"counts": np.array([1.0, 2.0]), "period": 1},
        },
    ),
    Exercise(
        stuck,
        {"counts": _REPEATING.map(np.array), "limit": st.integers(1, 4)},
        why="True where a count ends a row of more than `limit` equal ones; a missing count equals "
        "nothing.",
        hint=Hint(
            approach="Keep the length of the row that you are in. A count that equals the one "
            "before makes it longer by one; any other starts again at one.",
            example="`stuck([3, 3, 3, 0], 2)` → `[False, False, True, False]`: the third "
            "3 is one more than two.",
            trap="So many equal ones in a row are still normal: it takes one more than the limit. "
            "And NaN is not equal to NaN.",
        ),
        edge_cases={
            "one more": {"counts": np.array([3.0, 3.0, 3.0, 0.0]), "limit": 2},
            "just as many": {"counts": np.array([3.0, 3.0]), "limit": 2},
            "a gap in between": {"counts": np.array([3.0, np.nan, 3.0]), "limit": 1},
            "two gaps": {"counts": np.array([np.nan, np.nan, np.nan]), "limit": 1},
        },
    ),
    Exercise(
        minimum_variance,
        {"products": _products()},
        why="w = C⁻¹ 1 / (1ᵀ C⁻¹ 1): the weights that sum to 1 and make wᵀ C w as small as it can "
        "be.",
        hint=Hint(
            approach="First find the vector that C turns into nothing but ones; a solver for "
            "systems of linear equations does that. Then bring its sum to 1.",
            example="`minimum_variance([[1.0, 0.0], [0.0, 3.0]])` → `[0.75, 0.25]`: C "
            "turns (1, 1/3) into (1, 1); divided by its sum, 4/3.",
            trap="The diagonal alone is not enough: two nodes that err together must share their "
            "weight. A weight may come out negative; leave it so.",
        ),
        edge_cases={
            "nothing in common": {"products": np.array([[1.0, 0.0], [0.0, 3.0]])},
            "much in common": {"products": np.array([[1.0, 1.5], [1.5, 4.0]])},
            "alone": {"products": np.array([[2.0]])},
        },
    ),
)
