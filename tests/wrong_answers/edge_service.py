"""Plausible wrong answers to the exercises of notebook 21, each a mistake of its own."""

import math

import numpy as np


def forgets_to_sort(seconds, share):
    return seconds[math.ceil(len(seconds) * share / 100) - 1]


def rounds_down(seconds, share):
    return sorted(seconds)[int(len(seconds) * share / 100) - 1]


def one_too_far(seconds, share):
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share / 100))]


def interpolates(seconds, share):
    return float(np.percentile(seconds, share))


def from_the_other_end(seconds, share):
    return sorted(seconds, reverse=True)[math.ceil(len(seconds) * share / 100) - 1]


def a_share_of_the_largest(seconds, share):
    return max(seconds) * share / 100


def takes_the_mean(seconds, share):
    return sum(seconds) / len(seconds)


def counts_those_that_ever_were(begin, end):
    return float(len(begin))


def divides_by_the_last_end(begin, end):
    return sum(e - b for b, e in zip(begin, end, strict=True)) / max(end)


def takes_the_list_in_order(begin, end):
    return sum(e - b for b, e in zip(begin, end, strict=True)) / (end[-1] - begin[0])


def mean_time_inside(begin, end):
    return sum(e - b for b, e in zip(begin, end, strict=True)) / len(begin)


def counts_at_arrivals(begin, end):
    inside = [sum(b <= m < e for b, e in zip(begin, end, strict=True)) for m in begin]
    return sum(inside) / len(inside)


def arrivals_a_second(begin, end):
    return len(begin) / (max(end) - min(begin))


def forgets_the_earlier_waits(arrivals, takes):
    waits = [0.0] * len(arrivals)
    for i in range(1, len(arrivals)):
        waits[i] = max(0.0, takes - (arrivals[i] - arrivals[i - 1]))
    return np.array(waits)


def saves_idle_time_up(arrivals, takes):
    waits = [0.0] * len(arrivals)
    for i in range(1, len(arrivals)):
        waits[i] = waits[i - 1] + takes - (arrivals[i] - arrivals[i - 1])
    return np.array(waits)


def clips_at_the_end(arrivals, takes):
    return np.maximum(0, saves_idle_time_up(arrivals, takes))


def never_idle(arrivals, takes):
    return np.array([arrivals[0] + i * takes - a for i, a in enumerate(arrivals)], float)


def until_the_answer(arrivals, takes):
    waits = [float(takes)] * len(arrivals)
    for i in range(1, len(arrivals)):
        waits[i] = max(0.0, waits[i - 1] - (arrivals[i] - arrivals[i - 1])) + takes
    return np.array(waits)


def forgets_when_the_next_came(arrivals, takes):
    return np.arange(len(arrivals)) * float(takes)


def nothing_under_way(deadline, takes):
    return math.floor(deadline / takes)


def two_too_few(deadline, takes):
    return max(0, math.floor(deadline / takes) - 2)


def rounds_up(deadline, takes):
    return max(0, math.ceil(deadline / takes) - 1)


def less_than_nobody(deadline, takes):
    return math.floor(deadline / takes) - 1


def never_exactly_at_the_deadline(deadline, takes):
    return max(0, math.ceil(deadline / takes) - 2)


def at_least_one(deadline, takes):
    return max(1, math.floor(deadline / takes) - 1)


def not_whole(deadline, takes):
    return max(0, deadline / takes - 1)


WRONG = {
    "nearest_rank": [
        forgets_to_sort, rounds_down, one_too_far, interpolates, from_the_other_end,
        a_share_of_the_largest, takes_the_mean,
    ],
    "mean_inside": [
        counts_those_that_ever_were, divides_by_the_last_end, takes_the_list_in_order,
        mean_time_inside, counts_at_arrivals, arrivals_a_second,
    ],
    "line_waits": [
        forgets_the_earlier_waits, saves_idle_time_up, clips_at_the_end, never_idle,
        until_the_answer, forgets_when_the_next_came,
    ],
    "longest_line": [
        nothing_under_way, two_too_few, rounds_up, less_than_nobody,
        never_exactly_at_the_deadline, at_least_one, not_whole,
    ],
}  # fmt: skip
