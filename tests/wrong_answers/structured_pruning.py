"""Plausible wrong answers to the exercises of notebook 11, each a mistake of its own."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.utils import prune


def forgets_the_next_layer(weight, bias, next_weight, kept):
    return weight[kept], bias[kept], next_weight


def forgets_the_bias(weight, bias, next_weight, kept):
    return weight[kept], bias, next_weight[:, kept]


def cuts_the_rows_of_the_next_layer(weight, bias, next_weight, kept):
    return weight[kept], bias[kept], next_weight[kept]


def cuts_the_inputs_of_the_first_layer(weight, bias, next_weight, kept):
    return weight[:, kept], bias[kept], next_weight[:, kept]


def only_sets_to_zero(weight, bias, next_weight, kept):
    gone = np.setdiff1d(np.arange(len(weight)), kept)
    weight, bias, next_weight = weight.copy(), bias.copy(), next_weight.copy()
    weight[gone], bias[gone], next_weight[:, gone] = 0, 0, 0
    return weight, bias, next_weight


def sorts_what_is_kept(weight, bias, next_weight, kept):
    kept = np.sort(kept)
    return weight[kept], bias[kept], next_weight[:, kept]


def removes_what_should_stay(weight, bias, next_weight, kept):
    return (
        np.delete(weight, kept, axis=0),
        np.delete(bias, kept),
        np.delete(next_weight, kept, axis=1),
    )


def takes_channels_for_columns(kept, places):
    return np.array(kept, np.int64)


def as_if_channels_came_last(kept, places):
    channels = max(kept, default=0) + 1
    columns = [place * channels + c for place in range(places) for c in kept]
    return np.array(columns, np.int64)


def only_the_first_place(kept, places):
    return np.array([c * places for c in kept], np.int64)


def one_place_too_many(kept, places):
    return np.array([c * places + p for c in kept for p in range(places + 1)], np.int64)


def place_after_place(kept, places):
    return np.array([c * places + p for p in range(places) for c in kept], np.int64)


def counts_blocks_anew(kept, places):
    return np.arange(len(kept) * places)


def sorts_the_columns(kept, places):
    return np.sort(np.array([c * places + p for c in kept for p in range(places)], np.int64))


def ignores_ties_of_ties(count, ties):
    labels = np.arange(count)
    for a, b in ties:
        labels[max(a, b)] = min(a, b)
    return labels


def looks_once(count, ties):
    labels = np.arange(count)
    for a, b in ties:
        labels[a] = labels[b] = min(labels[a], labels[b])
    return labels


def takes_the_largest(count, ties):
    labels = np.arange(count)
    for _ in range(count):
        for a, b in ties:
            labels[a] = labels[b] = max(labels[a], labels[b])
    return labels


def ties_in_one_direction(count, ties):
    labels = np.arange(count)
    for _ in range(count):
        for a, b in ties:
            labels[b] = min(labels[a], labels[b])
    return labels


def numbers_the_groups(count, ties):
    labels = np.arange(count)
    for a, b in ties:
        labels[labels == max(labels[a], labels[b])] = min(labels[a], labels[b])
    return np.unique(labels, return_inverse=True)[1]


def everything_that_is_tied_is_one_group(count, ties):
    labels = np.arange(count)
    things = [thing for pair in ties for thing in pair]
    if things:
        labels[things] = min(things)
    return labels


def ignores_the_cost(importance, macs, group):
    order = np.argsort(importance, kind="stable")
    left = [np.flatnonzero(group[order] == g)[-1] for g in np.unique(group)]
    return np.delete(order, left)


def multiplies_by_the_cost(importance, macs, group):
    order = np.argsort(importance * macs, kind="stable")
    left = [np.flatnonzero(group[order] == g)[-1] for g in np.unique(group)]
    return np.delete(order, left)


def removes_whole_groups(importance, macs, group):
    return np.argsort(importance / macs, kind="stable")


def most_important_first(importance, macs, group):
    order = np.argsort(-importance / macs, kind="stable")
    left = [np.flatnonzero(group[order] == g)[-1] for g in np.unique(group)]
    return np.delete(order, left)


def keeps_the_first_of_each_group(importance, macs, group):
    order = np.argsort(importance / macs, kind="stable")
    left = [np.flatnonzero(group[order] == g)[0] for g in np.unique(group)]
    return np.delete(order, left)


def keeps_one_channel_in_all(importance, macs, group):
    return np.argsort(importance / macs, kind="stable")[:-1]


def group_by_group(importance, macs, group):
    parts = [np.flatnonzero(group == g) for g in np.unique(group)]
    ratio = importance / macs
    return np.concatenate([p[np.argsort(ratio[p], kind="stable")][:-1] for p in parts])


def _emptied(weight, bias, count, *, n=2, dim=0):
    layer = torch.nn.Conv2d(weight.shape[1], len(weight), weight.shape[2:])
    layer.weight.data, layer.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    prune.ln_structured(layer, "weight", amount=count, n=n, dim=dim)
    prune.remove(layer, "weight")
    return layer


def _without_biases(layer):
    gone = (layer.weight == 0).flatten(1).all(dim=1)
    layer.bias.data[gone] = 0
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def forgets_the_biases(weight, bias, count):
    layer = _emptied(weight, bias, count)
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def takes_the_other_norm(weight, bias, count):
    return _without_biases(_emptied(weight, bias, count, n=1))


def empties_inputs(weight, bias, count):
    return _without_biases(_emptied(weight, bias, min(count, weight.shape[1]), dim=1))


def takes_the_count_for_a_share(weight, bias, count):
    return _without_biases(_emptied(weight, bias, min(float(count), 1.0)))


def keeps_so_many(weight, bias, count):
    return _without_biases(_emptied(weight, bias, len(weight) - count))


def empties_single_weights(weight, bias, count):
    layer = torch.nn.Conv2d(weight.shape[1], len(weight), weight.shape[2:])
    layer.weight.data, layer.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    prune.l1_unstructured(layer, "weight", amount=count)
    prune.remove(layer, "weight")
    return _without_biases(layer)


def leaves_the_filters_out(weight, bias, count):
    kept = np.sort(np.argsort((weight.reshape(len(weight), -1) ** 2).sum(axis=1))[count:])
    return weight[kept], bias[kept]


WRONG: dict[str, list[Callable]] = {
    "cut_pair": [
        forgets_the_next_layer,
        forgets_the_bias,
        cuts_the_rows_of_the_next_layer,
        cuts_the_inputs_of_the_first_layer,
        only_sets_to_zero,
        sorts_what_is_kept,
        removes_what_should_stay,
    ],
    "flattened_columns": [
        takes_channels_for_columns,
        as_if_channels_came_last,
        only_the_first_place,
        one_place_too_many,
        place_after_place,
        counts_blocks_anew,
        sorts_the_columns,
    ],
    "tied": [
        ignores_ties_of_ties,
        looks_once,
        takes_the_largest,
        ties_in_one_direction,
        numbers_the_groups,
        everything_that_is_tied_is_one_group,
    ],
    "emptied": [
        forgets_the_biases,
        takes_the_other_norm,
        empties_inputs,
        takes_the_count_for_a_share,
        keeps_so_many,
        empties_single_weights,
        leaves_the_filters_out,
    ],
    "removal_order": [
        ignores_the_cost,
        multiplies_by_the_cost,
        removes_whole_groups,
        most_important_first,
        keeps_the_first_of_each_group,
        keeps_one_channel_in_all,
        group_by_group,
    ],
}
