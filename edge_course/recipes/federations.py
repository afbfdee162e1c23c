"""The recipe of the accuracies of many federations, for notebook 17."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edge_course import data
from edge_course.federated import watch

if TYPE_CHECKING:
    from edge_course.federated.rounds import Federation
    from edge_course.federated.watch import Wearer

FEDERATIONS, DEFENCES = "federations.npz", "federation_defences.npz"
FOLDS = FEDERATION_SEEDS = (0, 1, 2)
ROUNDS, LIARS, CLIP = 10, 2, 1.0
NOISES = (0.3, 1.0)

Way = Callable[["Sequence[Wearer]", "Sequence[Wearer]", int], "Federation"]


def make_federations() -> dict[str, bytes]:
    """Train in several ways from three seeds, in three folds; return how each did, by round.

    Of each way an array float32 (3, 3, 11): folds, seeds, rounds from 0 on; "alone" and "pooled",
    which have no rounds, (3, 3). And ``NAME.bytes``, int64 (3, 3): what clients sent in all.
    About six minutes on one core.
    """
    import torch
    from flwr.serverapp.strategy import FedAvg, FedProx

    from edge_course.federated import flower, local
    from edge_course.federated.rounds import run_rounds
    from edge_course.networks import torch_training

    def alone(people: Sequence[Wearer], unseen: Sequence[Wearer], seed: int) -> float:
        """Return the share that is right of a network for all these people's windows."""
        torch.manual_seed(seed)
        model = local.watch_cnn()
        x, y = _together(people)
        local.train_locally(model, x, y, epochs=ROUNDS, seed=seed)
        theirs, right = _together(unseen)
        return float(np.mean(torch_training.scores(model, theirs).argmax(axis=1) == right))

    quiet = {"fraction_evaluate": 0.0}
    small = {
        "int8": flower.small_int8,
        "top": flower.small_largest(0.05, remember=False),
        "top_memory": flower.small_largest(0.05, remember=True),
    }
    settings = {
        "fedavg": (FedAvg, 1),
        "fedavg_4": (FedAvg, 4),
        "fedprox": (partial(FedProx, proximal_mu=0.1), 1),
    }
    ways: dict[str, Way] = {
        name: lambda p, u, s, make=make, epochs=epochs: run_rounds(
            make(**quiet), p, u, rounds=ROUNDS, seed=s, epochs=epochs
        )
        for name, (make, epochs) in settings.items()
    }
    for name, pack in small.items():
        ways[name] = lambda p, u, s, pack=pack: run_rounds(
            flower.SmallUpdates(**quiet), p, u, rounds=ROUNDS, seed=s, pack=pack
        )
    arrays, wearers = _all(ways), watch.load_wearers()
    for name, groups in (("alone", lambda p: [[w] for w in p]), ("pooled", lambda p: [p])):
        arrays[name] = np.array([
            [np.mean([alone(g, unseen, seed) for g in groups(part)]) for seed in FEDERATION_SEEDS]
            for part, unseen in (watch.fold(wearers, number) for number in FOLDS)
        ], np.float32)  # fmt: skip
    return {FEDERATIONS: data.npz(arrays)}


def make_federation_defences() -> dict[str, bytes]:
    """As `make_federations`, where two of eight people lie, and where noise hides each of them.

    "liars" is FedAvg, "liars_median" and "liars_krum" are Flower's other strategies; "noise_0.3"
    and so on is Flower's differential privacy on the server. About four minutes on one core.
    """
    from flwr.serverapp import strategy

    from edge_course.federated.rounds import run_rounds

    quiet = {"fraction_evaluate": 0.0}

    def lying(make: Callable) -> Way:
        return lambda p, u, s: run_rounds(make(**quiet), with_liars(p), u, rounds=ROUNDS, seed=s)

    def noisy(noise: float) -> Way:
        def way(people: Sequence[Wearer], unseen: Sequence[Wearer], seed: int) -> Federation:
            private = strategy.DifferentialPrivacyServerSideFixedClipping(
                strategy.FedAvg(**quiet), noise, CLIP, len(people)
            )
            return run_rounds(private, people, unseen, rounds=ROUNDS, seed=seed, equal=True)

        return way

    ways = {
        "liars": lying(strategy.FedAvg),
        "liars_median": lying(strategy.FedMedian),
        "liars_krum": lying(lambda **k: strategy.Krum(num_malicious_nodes=LIARS, **k)),
    } | {f"noise_{noise:g}": noisy(noise) for noise in NOISES}
    return {DEFENCES: data.npz(_all(ways))}


def with_liars(people: Sequence[Wearer]) -> list[Wearer]:
    """Return the people, the first two of them with each movement called by another name.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    last = len(watch.MOVEMENTS) - 1
    lying = [wearer._replace(labels=last - wearer.labels) for wearer in people[:LIARS]]
    return [*lying, *people[LIARS:]]


def _together(people: Sequence[Wearer]) -> tuple[np.ndarray, np.ndarray]:
    windows = np.concatenate([wearer.windows for wearer in people])
    return windows, np.concatenate([wearer.labels for wearer in people])


def _all(ways: dict[str, Way]) -> dict[str, np.ndarray]:
    """Return accuracies and bytes of each way, over folds and seeds."""
    from tqdm.auto import tqdm

    arrays, wearers = {}, watch.load_wearers()
    folds = [watch.fold(wearers, number) for number in FOLDS]
    for name, way in tqdm(ways.items(), desc="federations"):
        outcomes = [[way(*people, seed) for seed in FEDERATION_SEEDS] for people in folds]
        arrays[name] = np.array([[o.accuracy for o in row] for row in outcomes], np.float32)
        arrays[f"{name}.bytes"] = np.array([[o.bytes_up() for o in row] for row in outcomes])
    return arrays
