"""The exercises of notebook 15."""

from __future__ import annotations

from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.split_channels.cost import exchanges, ring_bytes, speed_up
from edge_course.split_channels.torchrun import torchrun_arguments

_WORKERS = st.integers(1, 5)
_SECONDS = st.integers(1, 16).map(lambda i: i / 4)

EXERCISES = (
    Exercise(
        exchanges,
        {"divisions": st.lists(st.sampled_from(["output", "input"]), max_size=5).map(tuple)},
        why='Behind "input" stands a "sum", always. Behind "output" there is "nothing" to do if '
        'the next layer is divided by "input"; before another "output", and at the end, "gather".',
        hint=Hint(
            approach="Go through the layers and ask what each worker holds now, and what the next "
            "layer needs from it.",
            example='`exchanges(("input", "output"))` → `("sum", "gather")`: partial sums must be '
            'added; behind the last layer the parts must be put together.',
            trap="Only one pair needs nothing in between, and only in one order. At the end the "
            "whole answer is wanted.",
        ),
        edge_cases={
            "one layer by outputs": {"divisions": ("output",)},
            "one layer by inputs": {"divisions": ("input",)},
            "a pair": {"divisions": ("output", "input")},
            "the wrong way round": {"divisions": ("input", "output")},
        },
    ),
    Exercise(
        torchrun_arguments,
        {
            "processes": st.integers(1, 4),
            "machines": st.integers(2, 4),
            "rank": st.integers(0, 1),
            "address": st.sampled_from(["192.168.1.10", "10.0.0.5"]),
        },
        why="Every machine is told how many there are, which one it is, how many processes it "
        "starts, and where machine 0 waits. Only the rank differs from machine to machine.",
        hint=Hint(
            approach="Write the command for two machines on paper, once for each. Then put the "
            "numbers in, as texts.",
            example='`torchrun_arguments(1, 2, 1, "10.0.0.5")` → `("--nnodes", "2", '
            '"--node-rank", "1", "--nproc-per-node", "1", "--master-addr", "10.0.0.5", '
            '"--master-port", "29500")`: '
            "it begins one process, is machine 1 of 2, and looks for machine 0 at 10.0.0.5.",
            trap="A command line is made of texts: the system refuses a number in it. "
            "The address is that of machine 0 on every machine.",
        ),
        edge_cases={
            "the first of two": {
                "processes": 1, "machines": 2, "rank": 0, "address": "192.168.1.10",
            },
            "the second of two": {
                "processes": 1, "machines": 2, "rank": 1, "address": "192.168.1.10",
            },
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
        hint=Hint(
            approach="Draw a ring of three. In one round each worker passes one share on: after "
            "how many rounds does everybody have everything?",
            example='`ring_bytes("gather", 120, 3)` → `80`: two shares of 40.',
            trap="A share is the n-th part. A sum takes the way round twice, and a worker alone "
            "sends nothing.",
        ),
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
        hint=Hint(
            approach="Write down the seconds of one worker, then those of n. Which parts shrink, "
            "which stay, which are new?",
            example="`speed_up(1.0, 3.0, 0.0, 3)` → `2.0`: four seconds against two.",
            trap="The serial part is not divided, so the factor never reaches n. One worker "
            "exchanges nothing.",
        ),
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
