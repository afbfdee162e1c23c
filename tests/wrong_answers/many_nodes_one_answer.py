"""Plausible wrong answers to the exercises of notebook 16, each a mistake of its own."""

import numpy as np


def fills_in_place(counts, period):
    for t in range(len(counts)):
        if np.isnan(counts[t]):
            counts[t] = counts[t - period] if t >= period else counts[t - 1] if t else 0
    return counts


def always_takes_the_last(counts, period):
    filled = np.array(counts, float)
    for t in range(len(filled)):
        if np.isnan(filled[t]):
            filled[t] = filled[t - 1] if t else 0
    return filled


def looks_ahead(counts, period):
    filled = np.array(counts, float)
    known = ~np.isnan(filled)
    if not known.any():
        return np.zeros(len(filled))
    return np.interp(np.arange(len(filled)), np.flatnonzero(known), filled[known])


def zeros(counts, period):
    return np.nan_to_num(np.array(counts, float))


def wraps_around(counts, period):
    filled = np.array(counts, float)
    for t in np.flatnonzero(np.isnan(filled)):
        filled[t] = filled[t - period] if period <= len(filled) else 0
    return filled


def from_the_original_only(counts, period):
    counts = np.asarray(counts, float)
    filled = counts.copy()
    for t in np.flatnonzero(np.isnan(counts)):
        filled[t] = counts[t - period] if t >= period else counts[t - 1] if t else 0
    return filled


def _row(counts, same):
    length, found = 0, []
    for t, c in enumerate(counts):
        length = length + 1 if t and same(counts[t - 1], c) else 1
        found.append(length)
    return np.array(found)


def as_many_as_the_limit(counts, limit):
    return _row(counts, lambda a, b: a == b) >= limit


def gaps_count_as_equal(counts, limit):
    return _row(np.nan_to_num(counts, nan=-1), lambda a, b: a == b) > limit


def gaps_are_skipped(counts, limit):
    counts, row, last = np.asarray(counts), 0, None
    found = []
    for c in counts:
        if not np.isnan(c):
            row, last = (row + 1 if c == last else 1), c
        found.append(row > limit and not np.isnan(c))
    return np.array(found)


def the_whole_row(counts, limit):
    row = _row(counts, lambda a, b: a == b) > limit
    found = row.copy()
    for t in range(len(counts) - 2, -1, -1):
        found[t] |= found[t + 1] and counts[t] == counts[t + 1]
    return found


def never_starts_again(counts, limit):
    counts = np.asarray(counts)
    equal = np.concatenate([[False], counts[1:] == counts[:-1]])
    return 1 + np.cumsum(equal) > limit


def only_the_diagonal(products):
    inverse = 1 / np.diag(products)
    return inverse / inverse.sum()


def all_alike(products):
    return np.full(len(products), 1 / len(products))


def not_brought_to_one(products):
    return np.linalg.solve(products, np.ones(len(products)))


def nothing_negative(products):
    w = np.maximum(np.linalg.solve(products, np.ones(len(products))), 0)
    return w / w.sum()


def by_standard_deviation(products):
    inverse = 1 / np.sqrt(np.diag(products))
    return inverse / inverse.sum()


def multiplies_instead(products):
    w = products @ np.ones(len(products))
    return w / w.sum()


WRONG = {
    "fill_gaps": [
        fills_in_place, always_takes_the_last, looks_ahead, zeros, wraps_around,
        from_the_original_only,
    ],
    "stuck": [
        as_many_as_the_limit, gaps_count_as_equal, gaps_are_skipped, the_whole_row,
        never_starts_again,
    ],
    "minimum_variance": [
        only_the_diagonal, all_alike, not_brought_to_one, nothing_negative, by_standard_deviation,
        multiplies_instead,
    ],
}  # fmt: skip
