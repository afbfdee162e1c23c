"""How good a language model is: the bits that it needs for a symbol of a text."""

from __future__ import annotations

import numpy as np


def bits_of(probabilities: np.ndarray) -> np.ndarray:
    """Return −log₂ p: how many bits a symbol costs that was given the probability p.

    Shannon (1948), "A Mathematical Theory of Communication": an ideal coder spends just as many.

    Parameters
    ----------
    probabilities : above 0 and at most 1, any shape.

    Raises
    ------
    ValueError
        If one of them is no probability.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    probabilities = np.asarray(probabilities, float)
    if not ((probabilities > 0) & (probabilities <= 1)).all():
        raise ValueError("expected probabilities above 0 and at most 1")
    return -np.log2(probabilities)


def perplexity(probabilities: np.ndarray) -> float:
    """Return 2 to the mean bits: among how many equally likely symbols a model seems to choose.

    Parameters
    ----------
    probabilities : that a model gave to the symbols that came, above 0, (n,).

    Raises
    ------
    ValueError
        If there are none, or one of them is no probability.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    bits = bits_of(probabilities)
    if not bits.size:
        raise ValueError("expected at least one probability")
    return float(2 ** bits.mean())


def bits_of_logits(logits: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Return the bits of symbols under a softmax of scores, float64 (n,).

    Parameters
    ----------
    logits : real numbers, (n, symbols).
    symbols : the codes that came, (n,).

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    logits = np.asarray(logits, float)
    highest = logits.max(axis=-1)
    total = highest + np.log(np.exp(logits - highest[..., np.newaxis]).sum(axis=-1))
    chosen = np.take_along_axis(logits, np.asarray(symbols, int)[..., np.newaxis], -1)[..., 0]
    return (total - chosen) / np.log(2)


def block_interval(values: np.ndarray, blocks: int = 50) -> tuple[float, float]:
    """Return the mean of values in a row and the half width of its 95 % interval.

    Neighbours in a text resemble each other, so means of whole blocks are compared and not single
    values.

    Parameters
    ----------
    values : real numbers, (n,), in the order of the text.
    blocks : to divide them into, at least 2.

    Raises
    ------
    ValueError
        If there are fewer values than blocks.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    values = np.asarray(values, float)
    if not 2 <= blocks <= len(values):
        raise ValueError(f"expected 2 to {len(values)} blocks, got {blocks}")
    means = np.array([part.mean() for part in np.array_split(values, blocks)])
    return float(values.mean()), float(1.96 * means.std(ddof=1) / np.sqrt(blocks))
