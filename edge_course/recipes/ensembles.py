"""The recipe of the classifiers of notebook 16: two networks averaged, a gate with two specialists.

Each is compared with one dense network of about as many parameters.
"""

from __future__ import annotations

import numpy as np

from edge_course import data, fashion_mnist
from edge_course.fashion_mnist import CLASS_NAMES

_SEEDS = range(5)
_TOPS = [CLASS_NAMES.index(name) for name in ("T-shirt", "pullover", "dress", "coat", "shirt")]
_EPOCHS = 20


def make_ensembles() -> dict[str, bytes]:
    """Return what five kinds of classifiers say about the test pictures, as an .npz file.

    ``one`` and ``other`` have 32 hidden neurons each, ``averaged`` is the mean of their
    probabilities, ``wide`` has 64, and ``gated`` is a gate of 16 with two specialists of 24.
    """
    answers = {name: [] for name in ("one", "other", "averaged", "wide", "gated")}
    labels = fashion_mnist.load("train").labels.astype(int)
    for seed in _SEEDS:
        one, other = (_probabilities(s, 32, labels) for s in (seed, seed + 100))
        found = (one, other, (one + other) / 2, _probabilities(seed, 64, labels), _gated(seed))
        for name, p in zip(answers, found, strict=True):
            answers[name].append(p.argmax(axis=1).astype(np.uint8))
    arrays = {name: np.stack(classes) for name, classes in answers.items()}
    return {"ensemble_answers.npz": data.npz({"seeds": np.uint8(_SEEDS)} | arrays)}


def _gated(seed: int) -> np.ndarray:
    """Return P(class) = P(group) · P(class | group), float32 (10000, 10).

    The gate says whether a picture shows a top; one specialist tells the tops apart, the other
    the rest.
    """
    labels = fashion_mnist.load("train").labels.astype(int)
    gate = _probabilities(seed, 16, np.isin(labels, _TOPS).astype(int))
    rest = [c for c in range(len(CLASS_NAMES)) if c not in _TOPS]
    whole = np.zeros((len(gate), len(CLASS_NAMES)), np.float32)
    for group, classes in enumerate((rest, _TOPS)):
        place = np.full(len(CLASS_NAMES), -1)
        place[classes] = np.arange(len(classes))
        inside = _probabilities(seed + 10 * (1 + group), 24, place[labels])
        whole[:, classes] = gate[:, group : group + 1] * inside
    return whole


def _probabilities(seed: int, hidden: int, labels: np.ndarray) -> np.ndarray:
    """Train a network of two dense layers; return what it says about the test pictures.

    Parameters
    ----------
    seed : for the weights at the start and the order of the pictures.
    hidden : neurons of the layer in between.
    labels : of the training pictures, int (10000,): 0, 1, …; −1 leaves a picture out.
    """
    import torch
    from torch import nn

    from edge_course.networks import torch_training

    torch.manual_seed(seed)
    layers = nn.Linear(28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, int(labels.max()) + 1)
    network, used = nn.Sequential(nn.Flatten(), *layers), labels >= 0
    x = fashion_mnist.preprocess(fashion_mnist.load("train").images[used])
    torch_training.fit(network, x, labels[used], epochs=_EPOCHS, rate=3e-3)
    test = fashion_mnist.preprocess(fashion_mnist.load("test").images)
    scores = torch.from_numpy(torch_training.scores(network, test))
    return torch.softmax(scores, dim=1).numpy()
