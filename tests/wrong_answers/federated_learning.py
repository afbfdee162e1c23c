"""Plausible wrong answers to the exercises of notebook 17, each a mistake of its own."""

import math

import numpy as np


def every_client_alike(models, counts):
    return np.mean(models, axis=0)


def divides_by_the_clients(models, counts):
    return sum(np.asarray(m) * c for m, c in zip(models, counts, strict=True)) / len(models)


def forgets_to_divide(models, counts):
    return sum(np.asarray(m) * c for m, c in zip(models, counts, strict=True))


def mean_over_the_parameters(models, counts):
    return np.average(np.mean(models, axis=1), weights=counts)


def weights_upside_down(models, counts):
    return np.average(models, axis=0, weights=1 / np.array(counts))


def the_largest_client_decides(models, counts):
    return np.asarray(models)[int(np.argmax(counts))]


def _chosen(values, count):
    return np.sort(np.argsort(-np.abs(values), kind="stable")[:count])


def forgets_the_memory(update, memory, count):
    positions = _chosen(update, count)
    left = np.array(update)
    left[positions] = 0
    return positions, np.asarray(update)[positions], left


def sends_it_twice(update, memory, count):
    whole = np.asarray(update) + memory
    positions = _chosen(whole, count)
    return positions, whole[positions], whole


def takes_the_largest_with_their_sign(update, memory, count):
    whole = np.asarray(update) + memory
    positions = np.sort(np.argsort(-whole, kind="stable")[:count])
    left = whole.copy()
    left[positions] = 0
    return positions, whole[positions], left


def sends_sizes(update, memory, count):
    whole = np.asarray(update) + memory
    positions = _chosen(whole, count)
    left = whole.copy()
    left[positions] = 0
    return positions, np.abs(whole[positions]), left


def chooses_by_the_update(update, memory, count):
    whole = np.asarray(update) + memory
    positions = _chosen(np.asarray(update), count)
    left = whole.copy()
    left[positions] = 0
    return positions, whole[positions], left


def loses_the_rest(update, memory, count):
    whole = np.asarray(update) + memory
    positions = _chosen(whole, count)
    return positions, whole[positions], np.zeros_like(whole)


def _squares(models):
    models = np.asarray(models)
    return ((models[:, None] - models[None]) ** 2).sum(axis=2)


def all_neighbours(models, liars):
    return int(_squares(models).sum(axis=1).argmin())


def one_neighbour_too_many(models, liars):
    nearest = np.sort(_squares(models), axis=1)
    return int(nearest[:, : len(models) - liars].sum(axis=1).argmin())


def counts_itself(models, liars):
    nearest = np.sort(_squares(models), axis=1)
    return int(nearest[:, : len(models) - liars - 2].sum(axis=1).argmin())


def distances_without_squares(models, liars):
    nearest = np.sort(np.sqrt(_squares(models)), axis=1)
    return int(nearest[:, 1 : len(models) - liars - 1].sum(axis=1).argmin())


def the_farthest(models, liars):
    nearest = np.sort(_squares(models), axis=1)
    return int(nearest[:, 1 : len(models) - liars - 1].sum(axis=1).argmax())


def nearest_to_the_mean(models, liars):
    models = np.asarray(models)
    return int(((models - models.mean(axis=0)) ** 2).sum(axis=1).argmin())


def steps_upwards(bias_change, rate, predicted):
    return predicted - bias_change / rate


def multiplies_by_the_rate(bias_change, rate, predicted):
    return predicted + bias_change * rate


def forgets_the_rate(bias_change, rate, predicted):
    return predicted + bias_change


def forgets_the_prediction(bias_change, rate, predicted):
    return bias_change / rate


def only_the_likeliest(bias_change, rate, predicted):
    return np.eye(len(predicted))[np.argmax(predicted + bias_change / rate)]


def the_gradient(bias_change, rate, predicted):
    return -bias_change / rate


def one_round_only(rounds, noise, delta):
    return 1 / (2 * noise**2) + math.sqrt(2 * math.log(1 / delta)) / noise


def adds_up_the_rounds(rounds, noise, delta):
    return rounds * (1 / (2 * noise**2) + math.sqrt(2 * math.log(1 / delta)) / noise)


def logarithm_to_ten(rounds, noise, delta):
    return rounds / (2 * noise**2) + math.sqrt(2 * rounds * math.log10(1 / delta)) / noise


def forgets_the_first_part(rounds, noise, delta):
    return math.sqrt(2 * rounds * math.log(1 / delta)) / noise


def noise_helps_once(rounds, noise, delta):
    return rounds / (2 * noise) + math.sqrt(2 * rounds * math.log(1 / delta)) / noise


def forgets_the_root(rounds, noise, delta):
    return rounds / (2 * noise**2) + 2 * rounds * math.log(1 / delta) / noise


WRONG = {
    "weighted_mean": [
        every_client_alike, divides_by_the_clients, forgets_to_divide, mean_over_the_parameters,
        weights_upside_down, the_largest_client_decides,
    ],
    "send_largest": [
        forgets_the_memory, sends_it_twice, takes_the_largest_with_their_sign, sends_sizes,
        chooses_by_the_update, loses_the_rest,
    ],
    "krum": [
        all_neighbours, one_neighbour_too_many, counts_itself, distances_without_squares,
        the_farthest, nearest_to_the_mean,
    ],
    "label_shares": [
        steps_upwards, multiplies_by_the_rate, forgets_the_rate, forgets_the_prediction,
        only_the_likeliest, the_gradient,
    ],
    "epsilon": [
        one_round_only, adds_up_the_rounds, logarithm_to_ten, forgets_the_first_part,
        noise_helps_once, forgets_the_root,
    ],
}  # fmt: skip
