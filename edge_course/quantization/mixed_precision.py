"""Which layer gets how many bits, when all of them together have to fit."""

from __future__ import annotations

import itertools

import numpy as np

MOST_CHOICES = 2_000_000  # to try one by one


def weight_bytes(counts: np.ndarray, bits: np.ndarray) -> int:
    """Return the bytes of packed weights: ⌈count · bits / 8⌉ of each layer, added up.

    Scales and biases come on top, and are the same for all bits.

    Parameters
    ----------
    counts : weights of each layer, shape (layers,), at least 0.
    bits : of each layer's weights, shape (layers,), from 1.

    Raises
    ------
    ValueError
        If the shapes differ, or a count or a number of bits is not as above.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    counts, bits = np.asarray(counts), np.asarray(bits)
    if counts.shape != bits.shape or counts.ndim != 1:
        raise ValueError(f"expected bits for each layer, got {counts.shape} and {bits.shape}")
    if (counts < 0).any() or (bits < 1).any():
        raise ValueError(f"expected counts from 0 and bits from 1, got {counts} and {bits}")
    return int(np.sum(-(-counts * bits // 8)))


def choose_bits(
    losses: np.ndarray, counts: np.ndarray, choices: tuple[int, ...], budget: int
) -> tuple[int, ...]:
    """Return the bits of each layer that cost least loss, of all that fit a size.

    What a layer costs is measured with all others left alone, and the costs are added, as if
    layers did not influence each other. That is only nearly true, so measure what comes out.
    Every combination is tried. Of equally good ones the first wins, in the order in which a
    counter runs through them: the last layer changes fastest.

    Parameters
    ----------
    losses : real numbers (layers, choices): the loss when one layer alone gets those bits.
    counts : weights of each layer, shape (layers,).
    choices : bits to choose from, one for each column of ``losses``.
    budget : the most bytes of packed weights, see `weight_bytes`.

    Returns
    -------
    tuple of int
        The bits of each layer.

    Raises
    ------
    ValueError
        If the shapes do not fit, a loss is not finite, nothing fits the budget, or there are
        more than `MOST_CHOICES` combinations.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    losses, counts = np.asarray(losses, np.float64), np.asarray(counts)
    layers = len(counts)
    if losses.shape != (layers, len(choices)) or not losses.size or not np.isfinite(losses).all():
        raise ValueError(
            f"expected finite losses of {layers} layers and {len(choices)} choices, at least one "
            f"of each, got {losses.shape}"
        )
    if len(choices) ** layers > MOST_CHOICES:
        raise ValueError(f"{len(choices)}^{layers} combinations are too many to try")
    best, least = None, np.inf
    for columns in itertools.product(range(len(choices)), repeat=layers):
        loss = sum(losses[layer, column] for layer, column in enumerate(columns))
        bits = [choices[column] for column in columns]
        if loss < least and weight_bytes(counts, bits) <= budget:
            best, least = tuple(bits), loss
    if best is None:
        smallest = weight_bytes(counts, [min(choices)] * layers)
        raise ValueError(f"{budget} bytes are too few: the smallest choice has {smallest}")
    return best
