"""Wrong answers to the exercises of notebook 10, each a mistake of its own."""

import numpy as np
import torch
from torch.nn.utils import prune

# magnitude_mask


def _without(scores, removed):
    mask = np.ones(scores.size, bool)
    mask[np.argsort(scores, axis=None, kind="stable")[:removed]] = False
    return mask.reshape(scores.shape)


def forgets_the_sign(weights, sparsity):
    return _without(weights, round(sparsity * weights.size))


def removes_the_largest(weights, sparsity):
    return _without(-np.abs(weights), round(sparsity * weights.size))


def returns_what_is_removed(weights, sparsity):
    return ~_without(np.abs(weights), round(sparsity * weights.size))


def takes_the_sparsity_for_what_is_kept(weights, sparsity):
    return _without(np.abs(weights), round((1 - sparsity) * weights.size))


def compares_with_a_quantile(weights, sparsity):
    """Equal magnitudes go together, or stay together."""
    return np.abs(weights) > np.quantile(np.abs(weights), sparsity)


def compares_with_a_share_of_the_largest(weights, sparsity):
    return np.abs(weights) > sparsity * np.abs(weights).max()


def cuts_instead_of_rounding(weights, sparsity):
    return _without(np.abs(weights), int(sparsity * weights.size))


def removes_the_last_of_equal_ones(weights, sparsity):
    turned = np.abs(weights).ravel()[::-1]
    return _without(turned, round(sparsity * weights.size))[::-1].reshape(weights.shape)


def returns_the_pruned_weights(weights, sparsity):
    return weights * _without(np.abs(weights), round(sparsity * weights.size))


def prunes_row_by_row(weights, sparsity):
    if weights.ndim == 1:
        return _without(np.abs(weights), round(sparsity * weights.size))
    return np.stack([_without(np.abs(row), round(sparsity * row.size)) for row in weights])


# within_budget


def _network(first, second, bias=False):
    layers = [torch.nn.Linear(w.shape[1], w.shape[0], bias=bias) for w in (first, second)]
    for layer, weight in zip(layers, (first, second), strict=True):
        layer.weight.data = torch.from_numpy(weight)
    return torch.nn.Sequential(*layers)


def _globally(network, amount):
    where = [(layer, "weight") for layer in network]
    prune.global_unstructured(where, pruning_method=prune.L1Unstructured, amount=amount)
    for layer in network:
        prune.remove(layer, "weight")


def _stored(network):
    return tuple(t.numpy() for t in network.state_dict().values())


def _too_many(first, second, budget):
    return max(first.size + second.size - budget, 0)


def forgets_to_make_it_permanent(first, second, budget):
    network = _network(first, second)
    where = [(layer, "weight") for layer in network]
    amount = _too_many(first, second, budget)
    prune.global_unstructured(where, pruning_method=prune.L1Unstructured, amount=amount)
    return _stored(network)


def removes_the_budget(first, second, budget):
    network = _network(first, second)
    _globally(network, min(budget, first.size + second.size))
    return _stored(network)


def does_not_expect_a_large_budget(first, second, budget):
    network = _network(first, second)
    _globally(network, first.size + second.size - budget)
    return _stored(network)


def prunes_each_layer_alike(first, second, budget):
    network = _network(first, second)
    for layer in network:
        share = _too_many(first, second, budget) / (first.size + second.size)
        prune.l1_unstructured(layer, "weight", amount=share)
        prune.remove(layer, "weight")
    return _stored(network)


def keeps_the_biases(first, second, budget):
    network = _network(first, second, bias=True)
    _globally(network, _too_many(first, second, budget))
    return _stored(network)


def prunes_the_first_layer_only(first, second, budget):
    network = _network(first, second)
    prune.l1_unstructured(
        network[0], "weight", amount=min(_too_many(first, second, budget), first.size)
    )
    prune.remove(network[0], "weight")
    return _stored(network)


def keeps_the_smallest(first, second, budget):
    network = _network(first, second)
    for layer in network:
        layer.weight.data = 1 / layer.weight.data
    _globally(network, _too_many(first, second, budget))
    return tuple(
        np.where(w == 0, 0, v) for w, v in zip(_stored(network), (first, second), strict=True)
    )


# n_of_m_mask


def _grouped(groups, removed):
    mask = np.ones(groups.shape, bool)
    lowest = np.argsort(groups, axis=-1, kind="stable")[..., :removed]
    np.put_along_axis(mask, lowest, False, axis=-1)
    return mask


def takes_the_best_of_the_whole_row(scores, n, m):
    return _grouped(scores, scores.shape[1] * (m - n) // m)


def removes_n(scores, n, m):
    return _grouped(scores.reshape(-1, m), n).reshape(scores.shape)


def keeps_the_lowest(scores, n, m):
    return _grouped(-scores.reshape(-1, m), m - n).reshape(scores.shape)


def groups_down_the_columns(scores, n, m):
    return _grouped(scores.T.reshape(-1, m), m - n).reshape(scores.T.shape).T


def takes_every_mth(scores, n, m):
    groups = scores.reshape(len(scores), m, -1).swapaxes(1, 2)
    return _grouped(groups, m - n).swapaxes(1, 2).reshape(scores.shape)


def keeps_the_first_of_each_group(scores, n, m):
    return np.broadcast_to(np.arange(scores.shape[1]) % m < n, scores.shape)


def always_two_of_four(scores, n, m):
    return _grouped(scores.reshape(-1, 4), 2).reshape(scores.shape)


def removes_the_last_of_equal_scores(scores, n, m):
    turned = scores.reshape(-1, m)[:, ::-1]
    return _grouped(turned, m - n)[:, ::-1].reshape(scores.shape)


def returns_the_mask_in_groups(scores, n, m):
    return _grouped(scores.reshape(-1, m), m - n)


# gradual_sparsity


def _way(step, begin, end):
    return min(max((step - begin) / (end - begin), 0), 1)


def rises_evenly(step, begin, end, final):
    return final * _way(step, begin, end)


def rises_slowly_at_first(step, begin, end, final):
    return final * _way(step, begin, end) ** 3


def squares_it(step, begin, end, final):
    return final * (1 - (1 - _way(step, begin, end)) ** 2)


def never_stops(step, begin, end, final):
    return final * (1 - (1 - max((step - begin) / (end - begin), 0)) ** 3)


def begins_at_once(step, begin, end, final):
    return final * (1 - (1 - min(step / end, 1)) ** 3)


def does_not_wait_for_the_beginning(step, begin, end, final):
    return final * (1 - (1 - min((step - begin) / (end - begin), 1)) ** 3)


def falls(step, begin, end, final):
    return final * (1 - _way(step, begin, end)) ** 3


def forgets_the_final_sparsity(step, begin, end, final):
    return 1 - (1 - _way(step, begin, end)) ** 3


# gap_codes


def _gaps(x):
    return np.diff(np.flatnonzero(x), prepend=-1) - 1


def forgets_that_codes_end(x, bits):
    return _gaps(x).astype(np.uint8)


def clips_long_gaps(x, bits):
    return np.minimum(_gaps(x), 2**bits - 1).astype(np.uint8)


def _split(gaps, longest):
    codes = [c for g in gaps for c in [longest] * (g // longest) + [g % longest]]
    return np.array(codes, np.uint8)


def counts_steps_instead_of_zeros(x, bits):
    return _split(_gaps(x) + 1, 2**bits - 1)


def forgets_the_first_gap(x, bits):
    return _split(np.diff(np.flatnonzero(x)) - 1, 2**bits - 1)


def has_one_code_too_many(x, bits):
    return _split(_gaps(x), 2**bits)


def leaves_out_the_rest_of_zero(x, bits):
    longest = 2**bits - 1
    codes = []
    for gap in _gaps(x):
        codes += [longest] * (gap // longest) + [gap % longest] * (gap % longest > 0 or gap == 0)
    return np.array(codes, np.uint8)


def codes_the_zeros_at_the_end(x, bits):
    where = np.flatnonzero(x)
    tail = len(x) - (where[-1] + 1 if len(where) else 0)
    gaps = [*_gaps(x), tail] if tail else _gaps(x)
    return _split(gaps, 2**bits - 1)


def returns_positions(x, bits):
    return np.flatnonzero(x).astype(np.uint8)


def sees_positive_numbers_only(x, bits):
    return _split(_gaps(x > 0), 2**bits - 1)


WRONG = {
    "magnitude_mask": [
        forgets_the_sign,
        removes_the_largest,
        returns_what_is_removed,
        takes_the_sparsity_for_what_is_kept,
        compares_with_a_quantile,
        compares_with_a_share_of_the_largest,
        cuts_instead_of_rounding,
        removes_the_last_of_equal_ones,
        returns_the_pruned_weights,
        prunes_row_by_row,
    ],
    "within_budget": [
        forgets_to_make_it_permanent,
        removes_the_budget,
        does_not_expect_a_large_budget,
        prunes_each_layer_alike,
        keeps_the_biases,
        prunes_the_first_layer_only,
        keeps_the_smallest,
    ],
    "n_of_m_mask": [
        takes_the_best_of_the_whole_row,
        removes_n,
        keeps_the_lowest,
        groups_down_the_columns,
        takes_every_mth,
        keeps_the_first_of_each_group,
        always_two_of_four,
        removes_the_last_of_equal_scores,
        returns_the_mask_in_groups,
    ],
    "gradual_sparsity": [
        rises_evenly,
        rises_slowly_at_first,
        squares_it,
        never_stops,
        begins_at_once,
        does_not_wait_for_the_beginning,
        falls,
        forgets_the_final_sparsity,
    ],
    "gap_codes": [
        forgets_that_codes_end,
        clips_long_gaps,
        counts_steps_instead_of_zeros,
        forgets_the_first_gap,
        has_one_code_too_many,
        leaves_out_the_rest_of_zero,
        codes_the_zeros_at_the_end,
        returns_positions,
        sees_positive_numbers_only,
    ],
}
