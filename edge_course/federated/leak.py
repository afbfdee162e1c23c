"""What a server reads out of an update that shows no recording."""

from __future__ import annotations

import numpy as np


def label_shares(bias_change: np.ndarray, rate: float, predicted: np.ndarray) -> np.ndarray:
    """Return which share of a person's examples has which label, from one step of training.

    The gradient of a class's last bias is the mean of (probability − label), and the step is
    −rate times that.

    Parameters
    ----------
    bias_change : of the biases of the scores, real numbers (classes,).
    rate : of the one step of gradient descent, positive.
    predicted : mean probability of each class before the step, (classes,); the server can work it
        out with any pictures, or take 1 / classes for a model that knows nothing yet.

    Returns
    -------
    np.ndarray
        float64 (classes,); exact if ``predicted`` is.

    Raises
    ------
    ValueError
        If the shapes differ or the rate is not positive.

    Source: Zhao and others (2020), "iDLG: Improved Deep Leakage from Gradients".

    Taught in: notebooks/17_federated_learning.ipynb
    """
    if np.shape(bias_change) != np.shape(predicted) or not rate > 0:
        raise ValueError(
            f"expected as many changes as probabilities and a positive rate, got "
            f"{np.shape(bias_change)}, {np.shape(predicted)}, {rate}"
        )
    return np.asarray(predicted, np.float64) + np.asarray(bias_change, np.float64) / rate
