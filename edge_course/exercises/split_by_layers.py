"""The exercises of notebook 14."""

import itertools
import math

from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.split_layers.chain_plan import best_cut
from edge_course.split_layers.cut import tail_inputs
from edge_course.split_layers.graph_plan import bytes_across, least_seconds

_COUNT = st.shared(st.integers(1, 4), key="operators")
# Whole seconds, and bandwidths of which all parts are exact: a tie is a tie.
_NUMBER = st.integers(0, 9)
_NUMBERS = _COUNT.flatmap(lambda n: st.lists(_NUMBER, min_size=n, max_size=n))
_ONE_MORE = _COUNT.flatmap(lambda n: st.lists(_NUMBER, min_size=n + 1, max_size=n + 1))
_BANDWIDTH = st.sampled_from([8, 4, 16, 32])
_RTT = st.integers(0, 3)


def _edges(count: int) -> st.SearchStrategy:
    pairs = list(itertools.combinations(range(count), 2))
    return st.lists(st.sampled_from(pairs), unique=True).map(sorted) if pairs else st.just([])


_TENSORS = ("image", "d", "a", "c", "b")  # in the order of the file, which is not that of names


def _reads(count: int) -> st.SearchStrategy:
    """What operators write → what each reads: something that is there already."""
    reads = [
        st.lists(st.sampled_from(_TENSORS[: n + 1]), min_size=1, unique=True) for n in range(count)
    ]
    return st.tuples(*reads).map(lambda lists: dict(zip(_TENSORS[1:], lists, strict=False)))


EXERCISES = (
    Exercise(
        bytes_across,
        {
            "num_bytes": _NUMBERS,
            "edges": _COUNT.flatmap(_edges),
            "head": _COUNT.flatmap(lambda n: st.sets(st.integers(0, n - 1))),
        },
        why="What an operator of the head writes crosses if at least one operator outside reads "
        "it; it crosses once, however many they are.",
        hint=Hint(
            approach="Look at each result once: where is it made, and who reads it? It crosses if "
            "somebody on the other side does.",
            example="`bytes_across([5, 2, 1], [(0, 1), (0, 2), (1, 2)], {0, 1})` → `7`: operator "
            "2 is outside and reads the 5 and the 2.",
            trap="A result crosses once, however many read it outside. What the outside writes "
            "does not count here.",
        ),
        edge_cases={
            "two outside read the same": {
                "num_bytes": [5, 1, 1],
                "edges": [(0, 1), (0, 2)],
                "head": {0},
            },
            "one reads inside, one outside": {
                "num_bytes": [5, 2, 1],
                "edges": [(0, 1), (0, 2), (1, 2)],
                "head": {0, 1},
            },
            "everything in the head": {"num_bytes": [5, 2], "edges": [(0, 1)], "head": {0, 1}},
        },
    ),
    Exercise(
        best_cut,
        {
            "device": _NUMBERS,
            "server": _NUMBERS,
            "num_bytes": _ONE_MORE,
            "bandwidth": _BANDWIDTH,
            "rtt": _RTT,
        },
        why="With k operators on the device: their seconds there, rtt + 8 · num_bytes[k] / "
        "bandwidth, and the others' seconds on the server; with all n there is no link at all. "
        "The smallest k with the least sum.",
        hint=Hint(
            approach="For each k three waits follow each other: what runs here, what goes over "
            "the link, what runs there. Write them down for k = 0, then let k grow.",
            example="`best_cut([1, 1, 8], [0, 0, 1], [9, 9, 1, 0], 8, 1)` → `2`: 2 s here, 1 + 1 "
            "s for the link, 1 s there.",
            trap="With everything on the device there is no link, so no round trip. Bytes are "
            "eight bits, and of equal sums the smallest k wins.",
        ),
        edge_cases={
            "a bottleneck in the middle": {
                "device": [1, 1, 8],
                "server": [0, 0, 1],
                "num_bytes": [9, 9, 1, 0],
                "bandwidth": 8,
                "rtt": 1,
            },
            "a link that is too slow": {
                "device": [4, 4],
                "server": [0, 0],
                "num_bytes": [9, 8, 0],
                "bandwidth": 8,
                "rtt": 0,
            },
            "an answer as large as the picture": {
                "device": [1],
                "server": [0],
                "num_bytes": [9, 9],
                "bandwidth": 8,
                "rtt": 3,
            },
        },
    ),
    Exercise(
        least_seconds,
        {
            "device": _NUMBERS,
            "server": _NUMBERS.map(lambda seconds: [math.inf, *seconds[1:]]),
            "num_bytes": _NUMBERS,
            "edges": _COUNT.flatmap(_edges),
            "bandwidth": _BANDWIDTH,
            "rtt": _RTT,
        },
        why="Of all sets of operators on the device that have, with each operator, those whose "
        "results it reads: the seconds of each where it is, rtt if one is on the server, and "
        "8 / bandwidth for each byte that crosses, a result with several readers once.",
        hint=Hint(
            approach="Try sets: a set on the device is possible if each operator in it has there "
            "all that it reads. Add up one set by hand before you loop over all.",
            example="`least_seconds([1, 9], [inf, 2], [3, 0], [(0, 1)], 8, 1)` → `7`: 1 s here, 1 "
            "+ 3 s for the link, 2 s there; alone the device takes 10.",
            trap="The round trip counts once if anything is on the server, a result with several "
            "readers once. Not every set has its inputs.",
        ),
        edge_cases={
            "two branches, one of them heavy": {
                "device": [0, 9, 1, 1],
                "server": [math.inf, 1, 1, 1],
                "num_bytes": [2, 9, 1, 0],
                "edges": [(0, 1), (0, 2), (1, 3), (2, 3)],
                "bandwidth": 8,
                "rtt": 1,
            },
            "nothing comes back": {
                "device": [0, 9, 1],
                "server": [math.inf, 0, 9],
                "num_bytes": [1, 9, 0],
                "edges": [(0, 1), (1, 2)],
                "bandwidth": 8,
                "rtt": 0,
            },
            "only the camera": {
                "device": [3],
                "server": [math.inf],
                "num_bytes": [5],
                "edges": [],
                "bandwidth": 8,
                "rtt": 2,
            },
        },
    ),
    Exercise(
        tail_inputs,
        {
            "reads": st.integers(2, 4).flatmap(_reads),
            "num_bytes": st.fixed_dictionaries(dict.fromkeys(_TENSORS, _NUMBER)),
            "most": st.integers(1, 5),
        },
        why="For each k, what is read behind the cut and not written there crosses; the smallest "
        "k with the fewest bytes gives the names.",
        hint=Hint(
            approach="For each k look only at the operators behind the cut: what do they read that "
            "none of them writes? Somebody before the cut must have it.",
            example='`tail_inputs({"a": ["image"], "b": ["a"]}, {"image": 9, "a": 4, "b": 1}, 1)` '
            '→ `("a",)`: behind the first operator `a` is read.',
            trap="A tensor that skips over some operators crosses as well, and so does the picture "
            "if it is read again. One operator has to stay behind the cut.",
        ),
        edge_cases={
            "a sum over a shortcut": {
                "reads": {"a": ["image"], "b": ["a"], "c": ["a", "b"]},
                "num_bytes": {"image": 9, "a": 4, "b": 1, "c": 1},
                "most": 2,
            },
            "the picture is read twice": {
                "reads": {"b": ["image"], "a": ["b"], "c": ["image", "a"]},
                "num_bytes": {"image": 1, "a": 2, "b": 3, "c": 1},
                "most": 2,
            },
            "more than there are": {
                "reads": {"a": ["image"], "b": ["a"]},
                "num_bytes": {"image": 9, "a": 4, "b": 1},
                "most": 5,
            },
            "equals": {
                "reads": {"b": ["image"], "a": ["b"], "c": ["a"]},
                "num_bytes": {"image": 9, "a": 4, "b": 4, "c": 1},
                "most": 2,
            },
        },
    ),
)
