"""The exercises of notebook 21."""

from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.service.queueing import line_waits, longest_line, mean_inside, nearest_rank

# Whole seconds: sums of them are exact, whatever the order.
_COUNT = st.shared(st.integers(1, 6), key="requests")
_NUMBERS = _COUNT.flatmap(lambda n: st.lists(st.integers(0, 9), min_size=n, max_size=n))
_LATER = _COUNT.flatmap(lambda n: st.lists(st.integers(10, 20), min_size=n, max_size=n))
_ARRIVALS = st.lists(st.integers(0, 20), min_size=1, max_size=6).map(sorted)

EXERCISES = (
    Exercise(
        nearest_rank,
        {
            "seconds": st.lists(st.integers(0, 9), min_size=1, max_size=8),
            "share": st.sampled_from([50, 1, 25, 90, 99, 100]),
        },
        why="In ascending order, the first number with at least so many percent at or below it.",
        hint=Hint(
            approach="Put the numbers in order. How many of them make up the share, if you round "
            "up to whole ones? The last of those is the answer.",
            example="`nearest_rank([4, 1, 3, 2, 9], 50)` → `3`: half of five is 2.5, so three of "
            "them, and the third in order is 3.",
            trap="Lists count from 0. And 50 % of four numbers are exactly two: nothing is rounded "
            "up there.",
        ),
        edge_cases={
            "unordered": {"seconds": [4, 1, 3, 2, 9], "share": 50},
            "even": {"seconds": [1, 2, 3, 4], "share": 50},
            "all": {"seconds": [3, 1, 2], "share": 100},
            "alone": {"seconds": [7], "share": 1},
        },
    ),
    Exercise(
        mean_inside,
        {"begin": _NUMBERS, "end": _LATER},
        why="The seconds that all requests spent inside together, divided by the seconds between "
        "the first arrival and the last departure.",
        hint=Hint(
            approach="Draw each request as a bar from its begin to its end. At every moment, count "
            "the bars. The area under this count is the same as the length of all bars together.",
            example="`mean_inside([0, 1], [2, 4])` → `1.25`: the bars are 2 and 3 seconds long, "
            "together 5, and it all takes 4 seconds.",
            trap="The time runs from the earliest begin to the latest end; the requests need not "
            "be in any order.",
        ),
        edge_cases={
            "two": {"begin": [0, 1], "end": [2, 4]},
            "one": {"begin": [3], "end": [10]},
            "the first leaves last": {"begin": [0, 1, 2], "end": [20, 11, 12]},
            "unordered": {"begin": [5, 0, 2], "end": [11, 10, 12]},
        },
    ),
    Exercise(
        line_waits,
        {"arrivals": _ARRIVALS, "takes": st.integers(0, 9)},
        why="A request waits until the one before it is done: its wait plus its time, less the "
        "time since it came; and never less than nothing.",
        hint=Hint(
            approach="Go through the requests in order, and note for each when the server will be "
            "done with it. The next one begins then, or when it comes, whichever is later.",
            example="`line_waits([0, 1, 2, 9], 3)` → `[0, 2, 4, 0]`: the second waits until 3, "
            "the third until 6; the last comes when all is quiet.",
            trap="A server that was idle has saved nothing up: a wait is never negative, and the "
            "next wait must not begin from a negative one.",
        ),
        edge_cases={
            "a line": {"arrivals": [0, 1, 2, 9], "takes": 3},
            "two at once": {"arrivals": [5, 5], "takes": 2},
            "idle between": {"arrivals": [0, 10, 11], "takes": 4},
        },
    ),
    Exercise(
        longest_line,
        {"deadline": st.integers(1, 60), "takes": st.integers(1, 9)},
        why="Who comes last waits for one that may have just begun and for the line before it, and "
        "is computed itself: the line and one more must fit the deadline.",
        hint=Hint(
            approach="Think of the last one in the line. Count all computations that lie between "
            "its arrival and its answer, in the worst case.",
            example="`longest_line(10, 2)` → `4`: five computations fit into ten seconds; one "
            "is under way already, and four stand in line.",
            trap="One computation is under way already, and it is not in the line. And the line "
            "cannot be shorter than nobody.",
        ),
        edge_cases={
            "fits exactly": {"deadline": 10, "takes": 2},
            "does not divide": {"deadline": 11, "takes": 4},
            "too slow": {"deadline": 3, "takes": 5},
        },
    ),
)
