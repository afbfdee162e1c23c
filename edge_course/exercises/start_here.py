"""The exercise of notebook 00."""

from hypothesis import strategies as st

from edge_course.check import Exercise
from edge_course.measure import standard_error

EXERCISES = (
    Exercise(
        standard_error,
        {"share": st.floats(0, 1), "count": st.integers(1, 10_000)},
        why="The square root of p·(1 − p)/n, with p the share and n the count.",
        edge_cases={
            "a coin on 100 throws": {"share": 0.5, "count": 100},
            "always right": {"share": 1.0, "count": 10},
        },
        tolerance=1e-9,
    ),
)
