"""The recipe of the comparison in notebook 04: two networks, two trainings, three seeds."""

from __future__ import annotations

import numpy as np

from edge_course import data, fashion_mnist, measure
from edge_course.networks import DEPTHWISE_CONTROLS

CONTROL_SEEDS = (1, 2, 3)
RATES = {"seed_cnn": 0.002, "depthwise_cnn": 0.01}
TRAININGS = {
    "short": {"epochs": 5, "augment": False},
    "long": {"epochs": 10, "augment": True},
}


def make_depthwise_controls() -> dict[str, bytes]:
    """Train both networks in both ways with three seeds; return the shares of right answers.

    The long training is half of `edge_course.recipes.networks.make_depthwise_cnn`, with pictures
    moved and mirrored as there. About seven minutes on one core.
    """
    import torch

    from edge_course.networks import torch_models, torch_training

    torch.use_deterministic_algorithms(True)
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    images, pictures = map(fashion_mnist.preprocess, (train.images, test.images))
    right: dict[str, list[float]] = {}
    for network, rate in RATES.items():
        for name, training in TRAININGS.items():
            for seed in CONTROL_SEEDS:
                torch.manual_seed(seed)
                model = getattr(torch_models, network)()
                torch_training.fit(model, images, train.labels, rate=rate, **training)
                found = torch_training.scores(model, pictures).argmax(axis=1)
                share = measure.accuracy(found, test.labels).value
                right.setdefault(f"{network}.{name}", []).append(share)
    return {DEPTHWISE_CONTROLS: data.npz({k: np.array(v) for k, v in right.items()})}
