"""One model of many, some of whom lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_course.federated.averaging import check_models


def coordinate_median(models: Sequence[np.ndarray]) -> np.ndarray:
    """Return the median of each parameter over the clients.

    As long as fewer than half of them lie, each number lies between two honest ones.

    Parameters
    ----------
    models : each client's parameters in one row, real numbers (parameters,).

    Raises
    ------
    ValueError
        If there is no model, or they are of several shapes.

    Source: Yin and others (2018), "Byzantine-Robust Distributed Learning".

    Taught in: notebooks/17_federated_learning.ipynb
    """
    check_models(models)
    return np.median(np.stack(models), axis=0)


def krum(models: Sequence[np.ndarray], liars: int) -> int:
    """Return the number of the client whose model has the closest neighbours.

    Each client's score is the sum of the squared distances to the n − liars − 2 models next to
    its own; the smallest score wins, and of equal ones the first.

    Parameters
    ----------
    models : each client's parameters in one row, real numbers (parameters,).
    liars : how many to reckon with, at least 0; n must be at least liars + 3.

    Raises
    ------
    ValueError
        If the models are of several shapes, or too few for so many liars.

    Source: Blanchard and others (2017), "Machine Learning with Adversaries: Byzantine Tolerant
    Gradient Descent".

    Taught in: notebooks/17_federated_learning.ipynb
    """
    check_models(models)
    neighbours = len(models) - liars - 2
    if liars < 0 or neighbours < 1:
        raise ValueError(f"expected at least {max(liars, 0) + 3} models, got {len(models)}")
    rows = np.stack(models).astype(np.float64)
    scores = []
    for i, row in enumerate(rows):
        distances = ((np.delete(rows, i, axis=0) - row) ** 2).sum(axis=1)
        scores.append(np.sort(distances)[:neighbours].sum())
    return int(np.argmin(scores))
