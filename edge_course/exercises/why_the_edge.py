"""The exercises of notebook 01."""

from hypothesis import strategies as st

from edge_course.check import Exercise
from edge_course.cost_models.placement import (
    break_even_bandwidth,
    chain_availability,
    queue_wait,
    transfer_time,
)
from edge_course.cost_models.roofline import attainable

_BYTES = st.integers(0, 100_000)
_MILLISECONDS = st.integers(0, 1000).map(lambda milliseconds: milliseconds / 1000)
# Sums of eighths are exact, so that "nothing is left" does not depend on the order of adding.
_EIGHTHS = st.integers(0, 40).map(lambda eighths: eighths / 8)

EXERCISES = (
    Exercise(
        transfer_time,
        {
            "num_bytes": _BYTES,
            "bandwidth": st.sampled_from([1e6, 1e3, 1e4, 1e5, 1e7, 1e9]),
            "rtt": _MILLISECONDS,
        },
        why="A byte has 8 bits: rtt + 8 · num_bytes / bandwidth. The rtt covers both ways.",
        edge_cases={
            "nothing to send": {"num_bytes": 0, "bandwidth": 1e6, "rtt": 0.02},
            "one megabyte a second": {"num_bytes": 1_000_000, "bandwidth": 8e6, "rtt": 0.0},
        },
        tolerance=1e-9,
    ),
    Exercise(
        break_even_bandwidth,
        {
            "num_bytes": _BYTES,
            "local_seconds": _EIGHTHS,
            "remote_seconds": _EIGHTHS,
            "rtt": _EIGHTHS,
        },
        why="Sending may take what is left of local_seconds after remote_seconds and rtt; "
        "if nothing is left, no bandwidth is enough: infinity.",
        edge_cases={
            "half a second left": {
                "num_bytes": 1000, "local_seconds": 1.0, "remote_seconds": 0.25, "rtt": 0.25
            },
            "the round trip alone is too long": {
                "num_bytes": 1000, "local_seconds": 0.5, "remote_seconds": 0.0, "rtt": 1.0
            },
            "exactly nothing left": {
                "num_bytes": 1000, "local_seconds": 0.5, "remote_seconds": 0.25, "rtt": 0.25
            },
            "nothing to send": {
                "num_bytes": 0, "local_seconds": 1.0, "remote_seconds": 0.25, "rtt": 0.25
            },
        },
        tolerance=1e-9,
    ),
    Exercise(
        queue_wait,
        {
            "arrival_rate": st.integers(0, 100).map(float),
            "service_seconds": st.integers(1, 64).map(lambda sixtyfourths: sixtyfourths / 64),
        },
        why="With ρ = arrival_rate · service_seconds, the mean wait is "
        "ρ · service_seconds / (1 − ρ); from ρ = 1 on, the queue grows without end: infinity.",
        edge_cases={
            "half busy": {"arrival_rate": 5.0, "service_seconds": 0.1},
            "nobody comes": {"arrival_rate": 0.0, "service_seconds": 0.1},
            "busy all the time": {"arrival_rate": 8.0, "service_seconds": 0.125},
            "more than it can do": {"arrival_rate": 20.0, "service_seconds": 0.1},
        },
        tolerance=1e-9,
    ),
    Exercise(
        attainable,
        {
            "peak": st.integers(1, 1000).map(float),
            "memory_bandwidth": st.integers(1, 1000).map(float),
            "intensity": st.integers(0, 100).map(lambda tenths: tenths / 10),
        },
        why="The arithmetic does at most `peak`, the memory feeds at most "
        "intensity · memory_bandwidth: the smaller of the two.",
        edge_cases={
            "under the slope": {"peak": 100.0, "memory_bandwidth": 10.0, "intensity": 2.0},
            "under the flat roof": {"peak": 100.0, "memory_bandwidth": 10.0, "intensity": 50.0},
            "at the ridge": {"peak": 100.0, "memory_bandwidth": 10.0, "intensity": 10.0},
        },
        tolerance=1e-9,
    ),
    Exercise(
        chain_availability,
        {"availabilities": st.lists(st.integers(0, 100).map(lambda p: p / 100), min_size=1)},
        why="Every link has to work at once; shares of independent events multiply.",
        edge_cases={
            "one link": {"availabilities": [0.9]},
            "two good links": {"availabilities": [0.9, 0.9]},
            "a dead link": {"availabilities": [0.9, 0.0]},
        },
        tolerance=1e-9,
    ),
)  # fmt: skip
