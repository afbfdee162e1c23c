"""The exercise of notebook 00."""

from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.measure import standard_error

EXERCISES = (
    Exercise(
        standard_error,
        {"share": st.floats(0, 1), "count": st.integers(1, 10_000)},
        why="The square root of p·(1 − p)/n, with p the share and n the count.",
        hint=Hint(
            approach="Imagine that other test pictures had been drawn: how far would the share "
            "move? Furthest for a share of one half, not at all for 0 or 1, and less the "
            "more pictures there are.",
            example="`standard_error(0.8, 100)` → `0.04`: 0.8 times 0.2 is 0.16; a hundredth of "
            "it is 0.0016, whose root is 0.04.",
            trap="The root comes last and over everything: four times as many pictures halve the "
            "error.",
        ),
        edge_cases={
            "a coin on 100 throws": {"share": 0.5, "count": 100},
            "always right": {"share": 1.0, "count": 10},
        },
        tolerance=1e-9,
    ),
)
