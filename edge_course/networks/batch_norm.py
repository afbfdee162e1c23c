"""Batch normalisation, and how it disappears into the convolution before it.

Ioffe and Szegedy (2015), "Batch Normalization: Accelerating Deep Network Training by
Reducing Internal Covariate Shift".
"""

from __future__ import annotations

import numpy as np


def fold_batch_norm(
    weight: np.ndarray,
    bias: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of one layer that does what a layer and its batch norm did.

    A trained batch normalisation turns each channel y into γ (y − μ) / √(σ² + ε) + β. With
    y = w·x + b, that is w'·x + b' with w' = f w, b' = f (b − μ) + β and f = γ / √(σ² + ε):
    one multiplication and one addition less for every number, and exactly as right. (Jacob
    et al. 2018, "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", section 3.2.)

    Parameters
    ----------
    weight : of a convolution or dense layer, real numbers, shape (channels_out, …).
    bias : shape (channels_out,); zeros for a layer without.
    gamma, beta : what the normalisation has learned, shape (channels_out,).
    mean, variance : μ and σ², the averages it has kept, shape (channels_out,).
    epsilon : ε, which keeps the root away from 0.

    Returns
    -------
    weight, bias : new arrays, the shapes of those given.

    Raises
    ------
    ValueError
        If a shape does not fit, there is NaN or infinity, or σ² + ε is not positive.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    weight = np.asarray(weight)
    if weight.ndim < 2 or not weight.size:
        raise ValueError(f"weight: expected shape (channels_out, …), got {weight.shape}")
    vectors = {"bias": bias, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    for name, values in vectors.items():
        if np.shape(values) != weight.shape[:1]:
            raise ValueError(
                f"{name}: expected one number for each of the weight's {len(weight)} output "
                f"channels, got shape {np.shape(values)}"
            )
    for name, values in {"weight": weight, **vectors}.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: it has NaN or infinity in it, expected finite numbers")
    bias, gamma, beta, mean, variance = map(np.asarray, vectors.values())
    if not (variance + epsilon > 0).all():
        raise ValueError("variance + epsilon: expected positive numbers")
    f = gamma / np.sqrt(variance + epsilon)  # (channels_out,)
    per_channel = f.reshape(-1, *[1] * (weight.ndim - 1))  # (channels_out, 1, …)
    return per_channel * weight, f * (bias - mean) + beta
