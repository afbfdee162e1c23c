"""Masks: which weights to remove, and how many at which step of training; NumPy only.

A mask is a boolean array in the shape of a weight: True is kept, False is removed. The scores
that decide come from `importance`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Masks = Mapping[str, np.ndarray]
Scores = Mapping[str, np.ndarray]


def magnitude_mask(weights: np.ndarray, sparsity: float) -> np.ndarray:
    """Return the mask that removes a share of the weights: those with the smallest magnitude.

    Han et al. (2015), "Learning both Weights and Connections for Efficient Neural Networks".

    Parameters
    ----------
    weights : real numbers, any shape, finite.
    sparsity : share to remove, from 0 to 1; sparsity · count is rounded to a whole number.
        Of equal magnitudes, the first in the array is removed first.

    Returns
    -------
    np.ndarray
        bool, the shape of the weights, True for a weight that is kept.

    Raises
    ------
    ValueError
        If there are no weights, NaN or infinity, or the sparsity is not from 0 to 1.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return layer_mask(np.abs(weights), sparsity)


def layer_mask(scores: np.ndarray, sparsity: float) -> np.ndarray:
    """Return the mask that removes a share of one layer's weights: those of the lowest score.

    Parameters
    ----------
    scores : real numbers, any shape, finite; larger is more important.
    sparsity : share to remove, from 0 to 1; sparsity · count is rounded to a whole number.
        Of equal scores, the first in the array is removed first.

    Returns
    -------
    np.ndarray
        bool, the shape of the scores, True for a weight that is kept.

    Raises
    ------
    ValueError
        If there are no scores, NaN or infinity, or the sparsity is not from 0 to 1.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    scores = _checked(scores, "scores")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"expected a sparsity from 0 (keep all) to 1 (remove all), got {sparsity}")
    mask = np.ones(scores.size, bool)
    removed = round(sparsity * scores.size)
    mask[np.argsort(scores, axis=None, kind="stable")[:removed]] = False
    return mask.reshape(scores.shape)


def layer_masks(scores: Scores, sparsity: float) -> dict[str, np.ndarray]:
    """Return masks that remove the same share of every layer, see `layer_mask`.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return {name: layer_mask(values, sparsity) for name, values in scores.items()}


def global_masks(scores: Scores, sparsity: float) -> dict[str, np.ndarray]:
    """Return masks that remove a share of all weights: those of the lowest score in any layer.

    Parameters
    ----------
    scores : name of a layer → real numbers, finite; larger is more important. They are
        compared across layers.
    sparsity : share of all weights to remove, as in `layer_mask`.

    Returns
    -------
    dict[str, np.ndarray]
        Name of the layer → bool, the shape of its scores, True for a weight that is kept.

    Raises
    ------
    ValueError
        If there is no layer, NaN or infinity, or the sparsity is not from 0 to 1.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    if not scores:
        raise ValueError("expected the scores of at least one layer, got none")
    arrays = {name: _checked(values, f"scores of {name}") for name, values in scores.items()}
    mask = layer_mask(np.concatenate([a.ravel() for a in arrays.values()]), sparsity)
    ends = np.cumsum([a.size for a in arrays.values()])[:-1]
    parts = np.split(mask, ends)
    return {
        name: part.reshape(array.shape)
        for (name, array), part in zip(arrays.items(), parts, strict=True)
    }


def within_budget(
    first: np.ndarray, second: np.ndarray, budget: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of two layers, of which together only the largest are left, by magnitude.

    Parameters
    ----------
    first, second : real numbers, any shapes, finite.
    budget : how many weights stay in both together, at least 0; all, if there are not more.

    Returns
    -------
    tuple of np.ndarray
        Copies of both, with 0 for each weight that is removed.

    Raises
    ------
    ValueError
        If there are no weights, NaN or infinity, or the budget is negative.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    if budget < 0:
        raise ValueError(f"expected a budget of at least 0 weights, got {budget}")
    weights = {"first": np.asarray(first), "second": np.asarray(second)}
    count = sum(w.size for w in weights.values())
    share = 1 - min(budget, count) / count if count else 0
    kept = global_masks({name: np.abs(w) for name, w in weights.items()}, share)
    return tuple(np.where(kept[name], w, w.dtype.type(0)) for name, w in weights.items())


def n_of_m_mask(scores: np.ndarray, n: int = 2, m: int = 4) -> np.ndarray:
    """Return the mask that keeps, of every m neighbours in a row, the n of the highest score.

    With 2 of 4 it is the pattern that some graphics processors skip in hardware: Mishra et
    al. (2021), "Accelerating Sparse Deep Neural Networks". A row is what belongs to one
    output: everything behind the first axis, in the order of memory.

    Parameters
    ----------
    scores : real numbers, at least two axes, finite; larger is more important. Of equal
        scores, the first is removed first.
    n : how many to keep, from 0 to m.
    m : how many neighbours, at least 1. Fewer than m at the end of a row are a group too.

    Returns
    -------
    np.ndarray
        bool, the shape of the scores, True for a weight that is kept.

    Raises
    ------
    ValueError
        If the scores or the numbers are not as above.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    scores = _checked(scores, "scores")
    if scores.ndim < 2 or not 0 <= n <= m or m < 1:
        raise ValueError(
            f"expected scores of at least two axes and 0 ≤ n ≤ m, got the shape {scores.shape}, "
            f"n {n}, m {m}"
        )
    rows = scores.reshape(len(scores), -1)  # (outputs, inputs, …) → (outputs, weights of each)
    length = rows.shape[1]
    # What fills up the last group scores lowest and goes first; then it is cut off.
    filled = np.pad(rows.astype(np.float64), ((0, 0), (0, -length % m)), constant_values=-np.inf)
    groups = filled.reshape(len(rows), -1, m)  # (outputs, groups, m)
    mask = np.ones(groups.shape, bool)
    lowest = np.argsort(groups, axis=2, kind="stable")[..., : m - n]
    np.put_along_axis(mask, lowest, False, axis=2)
    return mask.reshape(len(rows), -1)[:, :length].reshape(scores.shape)


def gradual_sparsity(step: int, begin: int, end: int, final: float, initial: float = 0.0) -> float:
    """Return the sparsity at a step of training: it rises fast at first, then ever slower.

    final + (initial − final) · (1 − (step − begin) / (end − begin))³ between begin and end,
    ``initial`` before and ``final`` after. Zhu and Gupta (2018), "To prune, or not to prune".

    Parameters
    ----------
    step : of training.
    begin, end : steps between which weights are removed, begin < end.
    final, initial : sparsities from 0 to 1.

    Raises
    ------
    ValueError
        If end is not after begin, or a sparsity is not from 0 to 1.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    check_schedule(begin, end, final, initial)
    done = min(max((step - begin) / (end - begin), 0), 1)
    return final + (initial - final) * (1 - done) ** 3


def check_schedule(begin: int, end: int, final: float, initial: float = 0.0) -> None:
    """Raise a ValueError if `gradual_sparsity` has no such schedule."""
    if not begin < end or not (0 <= initial <= 1 and 0 <= final <= 1):
        raise ValueError(
            f"expected begin < end and sparsities from 0 to 1, got begin {begin}, end {end}, "
            f"initial {initial}, final {final}"
        )


def sparsity(masks: Masks) -> float:
    """Return the share of all weights that masks remove, from 0 to 1.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return 1 - sum(int(m.sum()) for m in masks.values()) / sum(m.size for m in masks.values())


def _checked(scores: np.ndarray, what: str) -> np.ndarray:
    scores = np.asarray(scores)
    if not scores.size or scores.dtype.kind not in "fiu" or not np.isfinite(scores).all():
        raise ValueError(
            f"expected {what} that are finite real numbers, at least one, "
            f"got {scores.dtype} {scores.shape}"
        )
    return scores
