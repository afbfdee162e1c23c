"""The exercises of notebook 10."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.pruning.masks import (
    gradual_sparsity,
    magnitude_mask,
    n_of_m_mask,
    within_budget,
)
from edge_course.pruning.sparse_file import gap_codes

_SMALL = st.integers(1, 6)
# Few values, of both signs: equal magnitudes are frequent.
_WEIGHTS = arrays(
    np.float32,
    st.one_of(_SMALL.map(lambda n: (n,)), st.tuples(_SMALL, _SMALL)),
    elements=st.integers(-6, 6).map(lambda i: i / 4),
    fill=st.nothing(),
)
_INPUTS, _HIDDEN, _OUTPUTS = 2, 3, 2
_ALL = _INPUTS * _HIDDEN + _HIDDEN * _OUTPUTS


def _layers(signed: st.SearchStrategy) -> tuple[st.SearchStrategy, st.SearchStrategy]:
    """The weights of two layers, drawn together: all magnitudes differ, so none is a tie."""
    numbers = st.shared(signed, key="two layers").map(lambda n: np.array(n, np.float32) / 4)
    split = _INPUTS * _HIDDEN
    return (
        numbers.map(lambda n: n[:split].reshape(_HIDDEN, _INPUTS)),
        numbers.map(lambda n: n[split:].reshape(_OUTPUTS, _HIDDEN)),
    )


_FIRST, _SECOND = _layers(
    st.tuples(
        st.permutations(range(1, _ALL + 1)), st.lists(st.booleans(), min_size=_ALL, max_size=_ALL)
    ).map(lambda drawn: [-n if minus else n for n, minus in zip(*drawn, strict=True)])
)
_GAPS = st.lists(st.integers(0, 9), max_size=4)

EXERCISES = (
    Exercise(
        magnitude_mask,
        {
            "weights": _WEIGHTS,
            "sparsity": st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]),
        },
        why="True where a weight is kept: round(sparsity · count) weights go, those with the "
        "smallest |w|, and of equal ones the first.",
        hint=Hint(
            approach="How many have to go? Put the weights in order of their size, without the "
            "sign, and take that many from the small end.",
            example="`magnitude_mask([-4.0, 0.5, 1.0, 0.25], 0.5)` → `[True, False, True, "
            "False]`: the two smallest of four go.",
            trap="A threshold removes all weights of that size at once, more than asked for. −4 "
            "is a large weight.",
        ),
        edge_cases={
            "a large negative weight": {
                "weights": np.array([-4.0, 0.5, 1.0, 0.25], np.float32),
                "sparsity": 0.5,
            },
            "all magnitudes are equal": {
                "weights": np.array([[1.0, -1.0], [1.0, -1.0]], np.float32),
                "sparsity": 0.25,
            },
            "all are to go": {"weights": np.array([2.0, 3.0], np.float32), "sparsity": 1.0},
        },
    ),
    Exercise(
        within_budget,
        {"first": _FIRST, "second": _SECOND, "budget": st.integers(1, _ALL + 3)},
        why="The largest weights of both layers together stay, budget of them, and what is stored "
        "are the two weights themselves: no mask, no original, no bias.",
        hint=Hint(
            approach="Put the weights into `layer.weight.data`. `global_unstructured` takes a list "
            "of (layer, name) and the number to remove; `remove` then does for each layer what it "
            "says of itself.",
            example="`within_budget([[1.0, -4.0]], [[3.0], [2.0]], 2)` → `([[0.0, -4.0]], [[3.0], "
            "[0.0]])`: of four weights the largest two stay, wherever they are.",
            trap="`amount` is what goes, not what stays, and it cannot be negative. Before "
            "`remove`, the state holds originals and masks: twice as many numbers as before.",
        ),
        edge_cases={
            "all of one layer goes": {
                "first": np.array([[1, 2], [-3, 4]], np.float32),
                "second": np.array([[-9, 8]], np.float32),
                "budget": 2,
            },
            "the budget is larger than the network": {
                "first": np.array([[1, 2]], np.float32),
                "second": np.array([[3]], np.float32),
                "budget": 5,
            },
        },
    ),
    Exercise(
        n_of_m_mask,
        {
            "scores": arrays(
                np.float32,
                st.tuples(st.integers(1, 3), st.integers(1, 3).map(lambda i: 4 * i)),
                elements=st.integers(0, 9),
                fill=st.nothing(),
            ),
            "n": st.sampled_from([2, 1]),
            "m": st.sampled_from([4, 2]),
        },
        why="In each row, of every m neighbours the n with the highest scores are True; of equal "
        "ones the first is removed first.",
        hint=Hint(
            approach="Give the rows one more axis, so that m neighbours stand by themselves. Then "
            "rank within each group only.",
            example="`n_of_m_mask([[1.0, 4.0, 3.0, 2.0]], 2, 4)` → `[[False, True, True, "
            "False]]`: 4 and 3 are the best two.",
            trap="The best of the whole row may stand in one group; the processor wants n in "
            "each. Ties remove the first, so the rule keeps later ones.",
        ),
        edge_cases={
            "the two best stand in one group": {
                "scores": np.array([[9, 8, 1, 2, 7, 6, 5, 4]], np.float32),
                "n": 2,
                "m": 4,
            },
            "a row at a time": {
                "scores": np.array([[1, 2, 3, 4], [4, 3, 2, 1]], np.float32),
                "n": 1,
                "m": 4,
            },
        },
    ),
    Exercise(
        gradual_sparsity,
        {
            "step": st.integers(0, 12),
            "begin": st.integers(0, 4),
            "end": st.integers(6, 10),
            "final": st.sampled_from([0.5, 0.8, 1.0]),
        },
        why="0 before begin, final after end, and final · (1 − (1 − t)³) between them, where t "
        "is the share of the way from begin to end.",
        hint=Hint(
            approach="Three stretches: before, on the way, after. On the way, count how far along "
            "you are from 0 to 1; the curve is steep at first and flat at the end.",
            example="`gradual_sparsity(6, 3, 9, 0.8)` → `0.7`: half way, an eighth of 0.8 is "
            "still missing.",
            trap="The way starts at `begin`, not at step 0. Beyond `end` a cube goes on: it must "
            "be held.",
        ),
        edge_cases={
            "before it begins": {"step": 0, "begin": 3, "end": 9, "final": 0.8},
            "long after its end": {"step": 50, "begin": 3, "end": 9, "final": 0.8},
            "half way": {"step": 6, "begin": 3, "end": 9, "final": 0.8},
        },
        tolerance=1e-6,
    ),
    Exercise(
        gap_codes,
        {
            "x": st.tuples(_GAPS, st.integers(0, 4)).map(
                lambda parts: np.array(
                    [n for gap in parts[0] for n in [0] * gap + [7]] + [0] * parts[1], np.int8
                )
            ),
            "bits": st.sampled_from([2, 3, 4]),
        },
        why="One code for each number that is not 0: how many zeros stand before it. The largest "
        "code, 2^bits − 1, stands for so many zeros without a number; the gap goes on after it.",
        hint=Hint(
            approach="Walk along the row and count zeros. Two things end a count: a number, and a "
            "count that no larger code exists for.",
            example="`gap_codes([0, 5, 0, 0, 0, 0, 7], 2)` → `[1, 3, 1]`: one zero before the 5; "
            "before the 7 four of them, as 3 and then 1.",
            trap='The largest code means "no number yet". So a gap of just that many zeros needs '
            "a 0 after it. A negative number is a number.",
        ),
        edge_cases={
            "a gap of just the largest code": {
                "x": np.array([0, 0, 0, 5], np.int8),
                "bits": 2,
            },
            "a gap of twice the largest code": {
                "x": np.array([1, 0, 0, 0, 0, 0, 0, 1], np.int8),
                "bits": 2,
            },
            "only zeros": {"x": np.zeros(5, np.int8), "bits": 2},
            "a negative number": {"x": np.array([0, -3], np.int8), "bits": 2},
        },
    ),
)
