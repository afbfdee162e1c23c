"""The exercises of notebook 18."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.language.bits import bits_of_logits, perplexity
from edge_course.language.lstm import lstm_step
from edge_course.language.ngram import witten_bell

_PROBABILITY = st.sampled_from([0.5, 0.25, 1.0, 0.125])


@st.composite
def _counts(draw: st.DrawFn) -> tuple[int, int, int]:
    kinds = draw(st.integers(1, 4))
    total = draw(st.integers(kinds, 9))
    return draw(st.integers(0, total - kinds + 1)), total, kinds


_COUNTS = st.shared(_counts(), key="counts")
_N, _UNITS = 2, 2
_SMALL = st.integers(-2, 2).map(float)


def _array(*shape: int) -> st.SearchStrategy:
    return arrays(np.float64, shape, elements=_SMALL, fill=st.nothing())


_ONE = {
    "x": np.array([[1.0]]), "h": np.array([[0.0]]), "c": np.array([[2.0]]),
    "W": np.array([[0.0, 0.0, 0.0, 0.0]]), "U": np.array([[0.0, 0.0, 0.0, 0.0]]),
    "b": np.array([0.0, 0.0, 0.0, 0.0]),
}  # fmt: skip

EXERCISES = (
    Exercise(
        perplexity,
        {"probabilities": st.lists(_PROBABILITY, min_size=1, max_size=6).map(np.array)},
        why="2 to the mean of −log₂ p over all symbols.",
        hint=Hint(
            approach="First the bits of each symbol, then their mean, and only then the power of "
            "two. The order matters.",
            example="`perplexity([0.5, 0.125])` → `4.0`: the symbols cost 1 and 3 bits, 2 on "
            "average, and two to the second is 4.",
            trap="The mean of the probabilities is something else, and so is the mean of their "
            "inverses.",
        ),
        edge_cases={
            "two": {"probabilities": np.array([0.5, 0.125])},
            "certain": {"probabilities": np.array([1.0, 1.0])},
        },
    ),
    Exercise(
        witten_bell,
        {
            "count": _COUNTS.map(lambda c: c[0]),
            "total": _COUNTS.map(lambda c: c[1]),
            "kinds": _COUNTS.map(lambda c: c[2]),
            "shorter": _PROBABILITY,
        },
        why="(count + kinds · shorter) / (total + kinds): as if the shorter context had been asked "
        "so many more times as there are kinds.",
        hint=Hint(
            approach="Add to the counts as many imagined observations as different symbols "
            "followed, and divide these among the symbols as the shorter context would.",
            example="`witten_bell(3, 4, 2, 0.25)` → `0.5833`: 3 of 4 were real, 0.5 of 2 are "
            "imagined, and 3.5 / 6 is 0.5833.",
            trap="What was imagined belongs below the line too, or the probabilities of all "
            "symbols do not add up to one.",
        ),
        edge_cases={
            "seen": {"count": 3, "total": 4, "kinds": 2, "shorter": 0.25},
            "never seen": {"count": 0, "total": 5, "kinds": 1, "shorter": 0.125},
        },
        tolerance=1e-4,
    ),
    Exercise(
        lstm_step,
        {
            "x": _array(_N, 1),
            "h": _array(_N, _UNITS),
            "c": _array(_N, _UNITS),
            "W": _array(1, 4 * _UNITS),
            "U": _array(_UNITS, 4 * _UNITS),
            "b": _array(4 * _UNITS),
        },
        why="i, f, g, o = x W + h U + b; c' = σ(f) c + σ(i) tanh(g); h' = σ(o) tanh(c').",
        hint=Hint(
            approach="Work out all four parts at once, and cut the result into four pieces of the "
            "same width, in the order i, f, g, o. Then the new c, and from it the new h.",
            example="`lstm_step([[1.0]], [[0.0]], [[2.0]], [[0.0, 0.0, 0.0, 0.0]], "
            "[[0.0, 0.0, 0.0, 0.0]], [0.0, 0.0, 0.0, 0.0])` → `([[0.3808]], [[1.0]])`: all gates "
            "are half open, so c is halved to 1, and h is half of tanh(1).",
            trap="The new h is made of the new c. And g goes through tanh, while the three gates "
            "go through the sigmoid.",
        ),
        edge_cases={"half open": _ONE, "a bias": _ONE | {"b": np.array([1.0, -1.0, 2.0, 0.5])}},
        tolerance=1e-4,
    ),
    Exercise(
        bits_of_logits,
        {
            "logits": arrays(np.float64, (2, 3), elements=st.integers(-3, 3), fill=st.nothing()),
            "symbols": arrays(np.int64, (2,), elements=st.integers(0, 2), fill=st.nothing()),
        },
        why="−log₂ of what softmax gives to the symbol that came, one number for each row.",
        hint=Hint(
            approach="The logarithm of a softmax is the score less the logarithm of the sum of all "
            "powers of e. Divide by the natural logarithm of 2.",
            example="`bits_of_logits([[0.0, 0.0, 0.0, 0.0]], [2])` → `[2.0]`: four equal scores "
            "are four equal chances, and a quarter costs 2 bits.",
            trap="Large scores overflow in the power of e, unless the largest is subtracted first.",
        ),
        edge_cases={
            "equal": {"logits": np.zeros((1, 4)), "symbols": np.array([2])},
            "large": {"logits": np.array([[2000.0, 0.0], [0.0, 3.0]]), "symbols": np.array([0, 1])},
        },
    ),
)
