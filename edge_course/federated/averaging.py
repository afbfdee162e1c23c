"""One model of many: the mean of what the clients have learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def weighted_mean(models: Sequence[np.ndarray], counts: Sequence[int]) -> np.ndarray:
    """Return the mean of some models, each with the weight of its examples: FedAvg's step.

    Parameters
    ----------
    models : each client's parameters in one row, real numbers (parameters,).
    counts : examples that each client has trained on, positive.

    Raises
    ------
    ValueError
        If there is no model, they are of several shapes, or the counts are not as many.

    Source: McMahan and others (2017), "Communication-Efficient Learning of Deep Networks from
    Decentralized Data", algorithm 1.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    check_models(models)
    if len(counts) != len(models) or min(counts) <= 0:
        raise ValueError(f"expected {len(models)} positive counts, got {list(counts)}")
    mean = np.zeros_like(models[0])
    for model, count in zip(models, counts, strict=True):
        mean = mean + model * (count / sum(counts))
    return mean


def check_models(models: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if there is no model, or they are not rows of one length."""
    shapes = {np.shape(model) for model in models}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(f"expected models as rows of one length, got shapes {sorted(shapes)}")
