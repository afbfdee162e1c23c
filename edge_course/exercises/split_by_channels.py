"""The exercises of notebook 15."""

from __future__ import annotations

from hypothesis import strategies as st

from edge_course.check import Exercise
from edge_course.split_channels.cost import exchanges, ring_bytes, speed_up

_WORKERS = st.integers(1, 5)
_SECONDS = st.integers(1, 16).map(lambda i: i / 4)

EXERCISES = (
    Exercise(
        exchanges,
        {"divisions": st.lists(st.sampled_from(["output", "input"]), max_size=5).map(tuple)},
        why='Behind "input" stands a "sum", always. Behind "output" there is "nothing" to do if '
        'the next layer is divided by "input"; before another "output", and at the end, "gather".',
        edge_cases={
            "one layer by outputs": {"divisions": ("output",)},
            "one layer by inputs": {"divisions": ("input",)},
            "a pair": {"divisions": ("output", "input")},
            "the wrong way round": {"divisions": ("input", "output")},
        },
    ),
    Exercise(
        ring_bytes,
        {
            "exchange": st.sampled_from(["gather", "sum", "nothing"]),
            "num_bytes": st.integers(0, 25).map(lambda i: 120 * i),
            "workers": _WORKERS,
        },
        why="Each of n workers passes on n − 1 of the n shares, each num_bytes / n; to sum, the "
        "ring turns twice.",
        edge_cases={
            "gather with one neighbour": {"exchange": "gather", "num_bytes": 120, "workers": 2},
            "sum in a ring of three": {"exchange": "sum", "num_bytes": 120, "workers": 3},
            "a worker alone": {"exchange": "sum", "num_bytes": 120, "workers": 1},
            "nothing to exchange": {"exchange": "nothing", "num_bytes": 120, "workers": 3},
        },
    ),
    Exercise(
        speed_up,
        {
            "serial_seconds": st.integers(0, 16).map(lambda i: i / 4),
            "divided_seconds": _SECONDS,
            "exchange_seconds": st.integers(0, 16).map(lambda i: i / 4),
            "workers": _WORKERS,
        },
        why="The time of one worker over the time of n: the divided part shrinks to 1/n, the "
        "serial part does not, and the exchange is added, unless there is nobody to exchange with.",
        edge_cases={
            "nothing serial, a free link": {
                "serial_seconds": 0.0, "divided_seconds": 4.0, "exchange_seconds": 0.0,
                "workers": 4,
            },
            "Amdahl's law": {
                "serial_seconds": 1.0, "divided_seconds": 3.0, "exchange_seconds": 0.0,
                "workers": 3,
            },
            "a slow link": {
                "serial_seconds": 0.0, "divided_seconds": 1.0, "exchange_seconds": 2.0,
                "workers": 2,
            },
            "a worker alone": {
                "serial_seconds": 1.0, "divided_seconds": 1.0, "exchange_seconds": 2.0,
                "workers": 1,
            },
        },
    ),
)  # fmt: skip
