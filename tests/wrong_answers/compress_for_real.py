"""Wrong answers to the exercises of notebook 13, each a mistake of its own."""

import numpy as np

# missed


def only_says_whether(measured, budget):
    return tuple(float(m < b) for m, b in zip(measured, budget, strict=True))


def takes_points_for_a_factor(measured, budget):
    parts = [max(0.0, 1 - m / b) if b else 0.0 for m, b in zip(measured, budget, strict=True)]
    return tuple(parts)


def counts_what_is_to_spare(measured, budget):
    factors = [1 - measured[i] / budget[i] for i in (0, 2, 3)]
    return (factors[0], measured[1] - budget[1], *factors[1:])


def turns_the_points_around(measured, budget):
    return (
        max(0.0, 1 - measured[0] / budget[0]),
        max(0.0, budget[1] - measured[1]),
        max(0.0, 1 - measured[2] / budget[2]),
        max(0.0, 1 - measured[3] / budget[3]),
    )


def divides_by_what_was_measured(measured, budget):
    return (
        max(0.0, budget[0] / measured[0] - 1),
        max(0.0, measured[1] - budget[1]),
        max(0.0, budget[2] / measured[2] - 1),
        max(0.0, budget[3] / measured[3] - 1),
    )


def forgets_speed_and_memory(measured, budget):
    return (max(0.0, 1 - measured[0] / budget[0]), max(0.0, measured[1] - budget[1]), 0.0, 0.0)


# pareto


def keeps_the_cheapest_only(costs, accuracies):
    return costs == costs.min()


def keeps_the_best_only(costs, accuracies):
    return accuracies == accuracies.max()


def lets_equal_ones_beat_each_other(costs, accuracies):
    cheap = costs[:, None] <= costs
    good = accuracies[:, None] >= accuracies
    others = ~np.eye(len(costs), dtype=bool)
    return ~(cheap & good & others).any(axis=0)


def asks_for_better_in_both(costs, accuracies):
    beaten = (costs[:, None] < costs) & (accuracies[:, None] > accuracies)
    return ~beaten.any(axis=0)


def takes_cost_for_a_merit(costs, accuracies):
    as_good = (costs[:, None] >= costs) & (accuracies[:, None] >= accuracies)
    better = (costs[:, None] > costs) | (accuracies[:, None] > accuracies)
    return ~(as_good & better).any(axis=0)


def returns_their_places(costs, accuracies):
    as_good = (costs[:, None] <= costs) & (accuracies[:, None] >= accuracies)
    better = (costs[:, None] < costs) | (accuracies[:, None] > accuracies)
    return np.flatnonzero(~(as_good & better).any(axis=0))


# codebook_bytes


def forgets_the_index(weights, kept, code_bits, index_bits):
    return (weights * kept * code_bits + 2**code_bits * 32) / 8


def forgets_the_codebook(weights, kept, code_bits, index_bits):
    return weights * kept * (code_bits + index_bits) / 8


def pays_for_pruned_weights(weights, kept, code_bits, index_bits):
    return (weights * (code_bits + index_bits) + 2**code_bits * 32) / 8


def returns_bits(weights, kept, code_bits, index_bits):
    return weights * kept * (code_bits + index_bits) + 2**code_bits * 32


def stores_the_codebook_in_code_bits(weights, kept, code_bits, index_bits):
    return (weights * kept * (code_bits + index_bits) + 2**code_bits * code_bits) / 8


def indexes_every_weight(weights, kept, code_bits, index_bits):
    return (weights * kept * code_bits + weights * index_bits + 2**code_bits * 32) / 8


WRONG = {
    "missed": [
        only_says_whether,
        takes_points_for_a_factor,
        counts_what_is_to_spare,
        turns_the_points_around,
        divides_by_what_was_measured,
        forgets_speed_and_memory,
    ],
    "pareto": [
        keeps_the_cheapest_only,
        keeps_the_best_only,
        lets_equal_ones_beat_each_other,
        asks_for_better_in_both,
        takes_cost_for_a_merit,
        returns_their_places,
    ],
    "codebook_bytes": [
        forgets_the_index,
        forgets_the_codebook,
        pays_for_pruned_weights,
        returns_bits,
        stores_the_codebook_in_code_bits,
        indexes_every_weight,
    ],
}
