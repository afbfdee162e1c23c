"""What a teacher says beyond the label, in NumPy: soft targets, their loss, its gradient.

Hinton, Vinyals, Dean (2015), "Distilling the Knowledge in a Neural Network", sections 2 and 2.1.
Taught in: notebooks/12_distillation.ipynb
"""

from __future__ import annotations

import numpy as np

from edge_course.networks import nn


def soften(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return scores as softened probabilities: softmax(z / T) in every row.

    T = 1 is the ordinary softmax. A larger T pulls all classes towards the same probability,
    and so shows how the unlikely ones compare; the order of the classes stays.

    Parameters
    ----------
    logits : z, real numbers, shape (n, classes).
    temperature : T, positive.

    Returns
    -------
    np.ndarray
        float64, shape (n, classes), from 0 to 1; each row sums to 1.

    Raises
    ------
    ValueError
        If the shape is another one, there is NaN or infinity, or the temperature is not positive.

    Taught in: notebooks/12_distillation.ipynb
    """
    check_temperature(temperature)
    return nn.softmax(np.asarray(logits) / np.float64(temperature))


def soft_loss(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """Return how far the student's softened probabilities are from the teacher's, times T².

    T² · Σ p (log p − log q), the mean over the rows, with p = softmax(teacher / T) and
    q = softmax(student / T): the Kullback–Leibler divergence of q from p. It is 0 if, and only
    if, p = q. (The paper has the cross-entropy − Σ p log q. It differs by the entropy of p,
    which the student cannot change, so that the gradient is the same.)

    Parameters
    ----------
    student, teacher : scores (logits) of the same pictures, both of shape (n, classes).
    temperature : T, positive.

    Returns
    -------
    float
        In nats (times T²), at least 0.

    Raises
    ------
    ValueError
        If the shapes differ, there is NaN or infinity, or the temperature is not positive.

    Taught in: notebooks/12_distillation.ipynb
    """
    p, _ = _both(student, teacher, temperature)
    log_p, log_q = (_log_softmax(np.asarray(z) / temperature) for z in (teacher, student))
    return float(temperature**2 * np.mean(np.sum(p * (log_p - log_q), axis=1)))


def soft_loss_gradient(student: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    """Return the gradient of `soft_loss` with respect to the student's scores: T (q − p) / n.

    The divergence alone has the gradient (q − p) / (T n), and q − p itself shrinks like 1 / T:
    the factor T² keeps the size of the gradient when T changes. For a large T it approaches
    (v − w) / (classes · n), with v the student's scores and w the teacher's, each less its mean
    over the classes: the student then simply learns the teacher's scores (section 2.1).

    Parameters
    ----------
    student, teacher : scores (logits) of the same pictures, both of shape (n, classes).
    temperature : T, positive.

    Returns
    -------
    np.ndarray
        float64, shape (n, classes); each row sums to 0.

    Raises
    ------
    ValueError
        If the shapes differ, there is NaN or infinity, or the temperature is not positive.

    Taught in: notebooks/12_distillation.ipynb
    """
    p, q = _both(student, teacher, temperature)
    return temperature * (q - p) / len(p)


def kl_div_arguments(
    student: np.ndarray, teacher: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `torch.nn.functional.kl_div` takes for the divergence of softened scores.

    The logarithms of the student's probabilities come first, the teacher's probabilities second;
    with ``reduction="batchmean"`` it returns `soft_loss` without the factor T².

    Parameters
    ----------
    student, teacher : scores (logits) of the same pictures, both of shape (n, classes).
    temperature : T, positive.

    Returns
    -------
    tuple of np.ndarray
        ``input`` and ``target``, float64 (n, classes) each.

    Raises
    ------
    ValueError
        If the shapes differ, there is NaN or infinity, or the temperature is not positive.

    Taught in: notebooks/12_distillation.ipynb
    """
    target, _ = _both(student, teacher, temperature)
    return _log_softmax(np.asarray(student) / np.float64(temperature)), target


def distillation_loss(
    student: np.ndarray,
    teacher: np.ndarray,
    labels: np.ndarray,
    temperature: float,
    soft_share: float,
) -> float:
    """Return the loss a student learns by: some of `soft_loss`, the rest from the labels.

    soft_share · soft_loss + (1 − soft_share) · cross-entropy of the labels, this one at T = 1.

    Parameters
    ----------
    student, teacher : scores (logits) of the same pictures, both of shape (n, classes).
    labels : the right classes, integers from 0 to classes − 1, shape (n,).
    temperature : T, positive.
    soft_share : from 0 (labels only) to 1 (teacher only).

    Raises
    ------
    ValueError
        If the shapes do not fit, there is NaN or infinity, a label is no class, or the
        temperature or the share is out of its range.

    Taught in: notebooks/12_distillation.ipynb
    """
    check_share(soft_share)
    soft = soft_loss(student, teacher, temperature)
    return soft_share * soft + (1 - soft_share) * nn.cross_entropy(student, labels)


def check_temperature(temperature: float) -> None:
    """Raise a ValueError if a temperature is not a positive, finite number."""
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"expected a positive, finite temperature, got {temperature}")


def check_share(soft_share: float) -> None:
    """Raise a ValueError if the share of the soft loss is not from 0 to 1."""
    if not 0 <= soft_share <= 1:
        raise ValueError(
            f"expected a share of the soft loss from 0 (labels only) to 1 (teacher only), "
            f"got {soft_share}"
        )


def _both(
    student: np.ndarray, teacher: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (p, q): the softened probabilities of the teacher and of the student."""
    if np.shape(student) != np.shape(teacher):
        raise ValueError(
            f"expected scores of the same pictures and classes, got the student's of shape "
            f"{np.shape(student)} and the teacher's of shape {np.shape(teacher)}"
        )
    return soften(teacher, temperature), soften(student, temperature)


def _log_softmax(z: np.ndarray) -> np.ndarray:
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
