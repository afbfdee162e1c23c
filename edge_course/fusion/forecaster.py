"""A node's small model: from its own counts and the clock to the total of the whole crossing.

It is linear, so a node trains it by solving one system of equations and runs it in a microsecond;
LiteRT runs it as a file of one dense layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edge_course.crossing import QUARTERS_A_WEEK

RECENT = 4  # the last hour
_MONDAY = np.datetime64("1970-01-05", "m")


def clock(times: np.ndarray, waves: int = 2, weekend_shape: bool = False) -> np.ndarray:
    """Return what a clock says, as numbers that a linear model can use.

    Parameters
    ----------
    times : datetime64, (n,).
    waves : sines and cosines of so many periods: a day, half a day, a third …
    weekend_shape : give the weekend waves of its own; else it is a constant more or less.

    Returns
    -------
    np.ndarray
        float64, (n, 2 · waves + 1), or twice the waves with ``weekend_shape``.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    minutes = (np.asarray(times, "datetime64[m]") - _MONDAY).astype(int)
    turn = 2 * np.pi * (minutes % 1440) / 1440
    weekend = (minutes // 1440 % 7 >= 5).astype(float)[:, np.newaxis]  # (n, 1)
    waved = [f(k * turn) for k in range(1, waves + 1) for f in (np.sin, np.cos)]
    waved = np.stack(waved, axis=1)  # (n, 2 · waves)
    return np.concatenate([waved, weekend] + [waved * weekend] * weekend_shape, axis=1)


def features(
    counts: np.ndarray, steps: Sequence[int] | np.ndarray, ahead: int, of_the_clock: np.ndarray
) -> np.ndarray:
    """Return what a node knows at some steps about a later one.

    Its last four counts, its count a week before the step that is asked for, and the clock there.

    Parameters
    ----------
    counts : without gaps, (t,).
    steps : whole numbers, (n,): when the forecast is made; from a week less ``ahead`` on.
    ahead : steps from there to what is forecast, from 1 to a week.
    of_the_clock : what the clock says at ``steps + ahead``, (n, k), see `clock`.

    Returns
    -------
    np.ndarray
        float32, (n, 5 + k).

    Raises
    ------
    ValueError
        If a step is too early or too late, or something has another shape.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    counts, steps = np.asarray(counts, float), np.asarray(steps)
    if not 1 <= ahead <= QUARTERS_A_WEEK or counts.ndim != 1:
        raise ValueError(
            f"expected counts (t,) and a forecast of 1 to {QUARTERS_A_WEEK} steps, got "
            f"{counts.shape} and {ahead}"
        )
    first = max(QUARTERS_A_WEEK - ahead, RECENT - 1)
    if len(steps) != len(of_the_clock) or not len(steps):
        raise ValueError(f"expected a clock for each of {len(steps)} steps")
    if steps.min() < first or steps.max() >= len(counts):
        raise ValueError(
            f"expected steps from {first}, a week after the first count, to {len(counts) - 1}, "
            f"got {steps.min()} to {steps.max()}"
        )
    own = [counts[steps - back] for back in range(RECENT)]
    own.append(counts[steps + ahead - QUARTERS_A_WEEK])
    return np.concatenate([np.stack(own, axis=1), of_the_clock], axis=1).astype(np.float32)


class LinearModel(NamedTuple):
    """A weighted sum of features that were brought to mean 0 and standard deviation 1.

    Attributes
    ----------
    mean, scale : of each feature where the model was fitted, float64 (features,).
    weights : float64, (features,).
    bias : one number.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    def normalise(self, x: np.ndarray) -> np.ndarray:
        """Return (x − mean) / scale, float32 (n, features): what the model's file takes.

        Parameters
        ----------
        x : real numbers, (n, features).
        """
        return ((np.asarray(x, float) - self.mean) / self.scale).astype(np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return a forecast for each row of features, float64 (n,).

        Parameters
        ----------
        x : real numbers, (n, features).
        """
        return self.normalise(x) @ self.weights + self.bias


def fit_linear(x: np.ndarray, y: np.ndarray, strength: float = 1.0) -> LinearModel:
    """Return the linear model of the smallest squared error plus ``strength`` · ‖weights‖².

    Ridge regression (Hoerl and Kennard, 1970), on features of mean 0 and standard deviation 1.

    Parameters
    ----------
    x : real numbers, (n, features).
    y : what is right, (n,).
    strength : from 0; more of it keeps the weights smaller.

    Raises
    ------
    ValueError
        If the shapes do not fit, something is not finite, or the strength is negative.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 2 or y.shape != x.shape[:1] or not x.size or strength < 0:
        raise ValueError(
            f"expected x (n, features), y (n,) and a strength from 0, got {x.shape}, {y.shape} "
            f"and {strength}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("expected finite numbers, got NaN or infinity: fill the gaps first")
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9  # a feature that never changes stays 0
    z = (x - mean) / scale
    weights = np.linalg.solve(z.T @ z + strength * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return LinearModel(mean, scale, weights, float(y.mean()))


def to_litert(tf, models: Sequence[tuple], examples: Sequence[np.ndarray]) -> list[bytes]:
    """Return linear models as the contents of int8 LiteRT files, each with one dense layer.

    For `in_tensorflow.with_tensorflow`, which calls it in a process of its own.

    Parameters
    ----------
    tf : TensorFlow.
    models : weights (features,) and bias of each.
    examples : for each, some normalised inputs, float32 (m, features), to choose scales by.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    import keras
    import numpy as np

    from edge_course.runtimes import litert

    files = []
    for (weights, bias), inputs in zip(models, examples, strict=True):
        network = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(1)])
        network.set_weights([weights.reshape(-1, 1), np.array([bias])])
        files.append(litert.convert(network, "int8", inputs))
    return files
