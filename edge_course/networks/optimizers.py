"""What moves the parameters after each batch, in NumPy."""

from __future__ import annotations

import numpy as np


def adam_step(
    theta: np.ndarray,
    gradient: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    t: int,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the parameters and both running averages after one step of Adam.

    Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", algorithm 1:
    m ← β₁ m + (1 − β₁) ∇L and v ← β₂ v + (1 − β₂) ∇L², then
    θ ← θ − α m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ). The averages start
    from zero, and so are too small at first; the last two divisions make up for it.

    Parameters
    ----------
    theta : θ, real numbers, any shape.
    gradient : ∇L at θ, the shape of ``theta``.
    m, v : running averages of ∇L and ∇L² (number by number); zeros before the first step.
    t : number of this step, from 1.
    learning_rate : α, positive.
    beta1, beta2 : share of the old average that stays, from 0 to below 1.
    epsilon : ε, positive; keeps the division possible where v is 0.

    Returns
    -------
    theta, m, v : new arrays, the shape of ``theta``. (``m`` and ``v`` are the averages
        themselves, not m̂ and v̂.)

    Raises
    ------
    ValueError
        If the shapes differ, the gradient has NaN or infinity, ``t`` is below 1, or a
        setting is outside its range.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    theta, gradient, m, v = map(np.asarray, (theta, gradient, m, v))
    if not theta.shape == gradient.shape == m.shape == v.shape:
        raise ValueError(
            "theta, gradient, m and v need one shape, "
            f"got {theta.shape}, {gradient.shape}, {m.shape} and {v.shape}"
        )
    if not np.isfinite(gradient).all():
        raise ValueError("the gradient has NaN or infinity in it: try a smaller learning rate")
    if t < 1:
        raise ValueError(f"steps are counted from 1, got t = {t}")
    if not (learning_rate > 0 and epsilon > 0 and 0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise ValueError(
            "expected a positive learning rate and epsilon, and betas from 0 to below 1, got "
            f"{learning_rate}, {epsilon}, {beta1} and {beta2}"
        )
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v
