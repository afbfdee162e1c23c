"""What cutting channels does to the arrays of a network, in NumPy, and in which order they go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cut_pair(
    weight: np.ndarray, bias: np.ndarray, next_weight: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two layers in a row without some of the channels between them.

    A channel is one filter of the first layer, with its bias, and one input of the second.

    Parameters
    ----------
    weight : of the first layer, in PyTorch's order: (channels, channels_in, height, width), or
        (neurons, inputs) of a dense layer.
    bias : shape (channels,).
    next_weight : of the second layer: (channels_out, channels, …).
    kept : integers (k,): the channels that stay, in the order in which they shall stand.

    Returns
    -------
    weight, bias, next_weight : new arrays with k channels.

    Raises
    ------
    ValueError
        If the layers do not fit each other, or a kept channel is not there or stands twice.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    weight, bias, next_weight = map(np.asarray, (weight, bias, next_weight))
    if weight.ndim < 2 or next_weight.ndim < 2:
        raise ValueError(
            f"expected weights (channels, inputs, …), got {weight.shape} and {next_weight.shape}"
        )
    channels = len(weight)
    if bias.shape != (channels,) or next_weight.shape[1] != channels:
        raise ValueError(
            f"{channels} filters need {channels} biases and {channels} inputs of the next layer, "
            f"got {bias.shape} and {next_weight.shape[1]}"
        )
    kept = checked_kept(kept, channels, "kept")
    return weight[kept], bias[kept], next_weight[:, kept]


def emptied(weight: np.ndarray, bias: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a convolution whose filters of the smallest L2 norm give 0 everywhere.

    Parameters
    ----------
    weight : real numbers (filters, inputs, height, width).
    bias : shape (filters,).
    count : how many filters to empty, from 0 to all.

    Returns
    -------
    weight, bias : copies with 0 in all that belongs to an emptied filter.

    Raises
    ------
    ValueError
        If weight and bias do not fit, or there are not so many filters.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    weight, bias = np.array(weight), np.array(bias)
    if weight.ndim != 4 or bias.shape != weight.shape[:1] or not 0 <= count <= len(weight):
        raise ValueError(
            "expected a weight (filters, inputs, height, width), a bias (filters,) and a count of "
            f"its filters, got {weight.shape}, {bias.shape} and {count}"
        )
    norms = np.sqrt((weight.reshape(len(weight), -1) ** 2).sum(axis=1))
    smallest = np.argsort(norms, kind="stable")[:count]
    weight[smallest], bias[smallest] = 0, 0
    return weight, bias


def flattened_columns(kept: np.ndarray, places: int) -> np.ndarray:
    """Return the columns of a dense layer that belong to some channels of what was flattened.

    Flattening (n, channels, height, width) puts channel after channel, each with all its
    ``places``: channel c becomes the columns c·places, c·places + 1, …, c·places + places − 1.

    Parameters
    ----------
    kept : integers (k,): channels, in any order.
    places : height · width of one channel, at least 1.

    Returns
    -------
    np.ndarray
        int64 (k · places,), block after block in the order of ``kept``.

    Raises
    ------
    ValueError
        If the channels are not integers from 0 in a row, or there is no place.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    kept = np.asarray(kept)
    if kept.ndim != 1 or kept.dtype.kind not in "iu" or (kept < 0).any():
        raise ValueError(f"expected channels as integers from 0, shape (k,), got {kept!r}")
    if places < 1:
        raise ValueError(f"expected at least 1 place, got {places}")
    return (kept.astype(np.int64)[:, None] * places + np.arange(places)).ravel()


def tied(count: int, ties: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return for each of some things the smallest one that it is tied to, directly or by others.

    Each thing points to another one of its group, or to itself if it is the smallest; following
    the pointers to their end gives the group's name. A tie lets one end point to the other.
    Galler and Fischer (1964), "An improved equivalence algorithm": union-find.

    Parameters
    ----------
    count : there are the things 0, 1, …, count − 1.
    ties : pairs of things that belong together.

    Returns
    -------
    np.ndarray
        int64 (count,): two things have the same number if, and only if, they are tied.

    Raises
    ------
    ValueError
        If the count is negative, or a tie is no pair of things that are there.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    if count < 0:
        raise ValueError(f"expected a count from 0, got {count}")
    parent = list(range(count))

    def end(thing: int) -> int:
        while parent[thing] != thing:
            thing = parent[thing]
        return thing

    for pair in ties:
        if len(pair) != 2 or not all(0 <= thing < count for thing in pair):
            raise ValueError(f"expected ties between two of 0 to {count - 1}, got {tuple(pair)}")
        low, high = sorted(map(end, pair))
        parent[high] = low
    return np.array([end(thing) for thing in range(count)], np.int64)


def removal_order(importance: np.ndarray, macs: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the channels in the order in which they go: least importance for its cost first.

    The last channel of a group never goes: without it nothing could pass.

    Parameters
    ----------
    importance : of each channel of the network, real numbers (n,).
    macs : multiply-accumulates that go with the channel, positive, shape (n,).
    group : the number of the group that each channel is in, integers (n,).

    Returns
    -------
    np.ndarray
        int64: indices of channels, by importance / macs, the smallest first, of equal ones the
        one that stands first; of each group the one that would come last is left out.

    Raises
    ------
    ValueError
        If the shapes differ, an importance is not finite, or a cost is not positive.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    importance, macs, group = map(np.asarray, (importance, macs, group))
    if importance.ndim != 1 or not importance.shape == macs.shape == group.shape:
        raise ValueError(
            "expected importance, macs and group of one shape (n,), "
            f"got {importance.shape}, {macs.shape} and {group.shape}"
        )
    if not np.isfinite(importance).all() or not (macs > 0).all():
        raise ValueError("expected finite importances and positive multiply-accumulates")
    order = np.argsort(importance / macs, kind="stable")
    left = [int(np.flatnonzero(group[order] == g)[-1]) for g in np.unique(group)]
    return np.delete(order, left)


def checked_kept(kept: np.ndarray, channels: int, name: str) -> np.ndarray:
    """Return channels to keep as int64 (k,), or say what is wrong with them.

    Raises
    ------
    ValueError
        If they are not integers in one row, there is none, or one is not there or stands twice.
    """
    kept = np.asarray(kept)
    if kept.ndim != 1 or kept.dtype.kind not in "iu":
        hint = "; np.flatnonzero turns a mask into indices" if kept.dtype == bool else ""
        raise ValueError(
            f"{name}: expected the channels to keep as integers (k,), "
            f"got {kept.dtype} {kept.shape}{hint}"
        )
    if not len(kept):
        raise ValueError(f"{name}: at least one of its {channels} channels has to stay")
    if kept.min() < 0 or kept.max() >= channels:
        raise ValueError(f"{name}: has the channels 0 to {channels - 1}, got {kept.tolist()}")
    if len(np.unique(kept)) < len(kept):
        raise ValueError(f"{name}: a channel stands twice in {kept.tolist()}")
    return kept.astype(np.int64)
