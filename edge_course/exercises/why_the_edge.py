"""The exercises of notebook 01."""

from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
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
        hint=Hint(
            approach="Two waits, one after the other: until the link answers, and until the last "
            "bit has passed. Write the unit beside each number and make the units "
            "cancel.",
            example="`transfer_time(1000, 8000.0, 0.5)` → `1.5`: the bits take one second, after "
            "half a second of round trip.",
            trap="Sizes count bytes, bandwidth counts bits. And a round trip goes both ways "
            "already: it counts once.",
        ),
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
        hint=Hint(
            approach="At the break-even both places take equally long. How long may the sending "
            "then take? Which bandwidth needs just that long?",
            example="`break_even_bandwidth(1000, 1.0, 0.25, 0.25)` → `16000.0`: half a second is "
            "left for 8000 bits.",
            trap="Where no time is left, or less than none, the formula divides by zero or gives "
            "a negative bandwidth.",
        ),
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
        hint=Hint(
            approach="First ask for what part of the time the server is busy. The fuller it is, "
            "the longer the queue; from a certain point on the queue never ends.",
            example="`queue_wait(5.0, 0.1)` → `0.1`: it is busy half of the time, and 0.5 · 0.1 / "
            "0.5 is 0.1 s.",
            trap="A server that is busy all the time divides by zero, and a busier one gives a "
            "negative wait. The service itself is no part of the wait.",
        ),
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
        hint=Hint(
            approach="Arithmetic and memory both limit the speed. How many operations a second "
            "can the memory feed, if each byte serves `intensity` operations?",
            example="`attainable(100.0, 10.0, 2.0)` → `20.0`: the memory feeds 20 operations a "
            "second, the arithmetic could do 100.",
            trap="The two work at the same time: the slower one decides, not the faster one, and "
            "not their sum.",
        ),
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
        hint=Hint(
            approach="For what part of the time do all links work at once? Begin with one link "
            "and add a second: of the time when the first works, in what part does the "
            "second?",
            example="`chain_availability([0.9, 0.5])` → `0.45`: half of the 0.9.",
            trap="Adding up the failures counts the moments twice in which two links are down, "
            "and can pass 1. The weakest link alone promises too much.",
        ),
        edge_cases={
            "one link": {"availabilities": [0.9]},
            "two good links": {"availabilities": [0.9, 0.9]},
            "a dead link": {"availabilities": [0.9, 0.0]},
        },
        tolerance=1e-9,
    ),
)  # fmt: skip
