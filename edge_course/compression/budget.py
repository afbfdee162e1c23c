"""What a compressed network has to save, and whether it does: four counts at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_course.distillation.paired import paired_interval


class Savings(NamedTuple):
    """What a network saves beside the one that it replaces: wanted (a budget) or measured.

    Attributes
    ----------
    smaller : so many times fewer bytes; a budget: at least.
    points : so many percentage points of accuracy less, negative if it has more; at most.
    faster : so many times faster; at least.
    leaner : so many times less peak activation memory; at least.
    """

    smaller: float
    points: float
    faster: float
    leaner: float


REQUIRED = Savings(smaller=100, points=0.5, faster=5, leaner=10)
AIM = Savings(smaller=170, points=0.5, faster=10, leaner=14)
_PARTS = ("times smaller", "points lost", "times faster", "times less RAM")


def missed(measured: Savings, budget: Savings) -> tuple[float, float, float, float]:
    """Return by how much each part of a budget is missed; 0 for a part that is met.

    Parameters
    ----------
    measured : what a network saves.
    budget : what it has to save.

    Returns
    -------
    tuple of float
        In the order of the budget: the share of the wanted factor that is missing in bytes,
        1 − measured / budget; the points lost too many, measured − budget; the shares that are
        missing in speed and in memory.

    Raises
    ------
    ValueError
        If a number is not finite, or a ratio is not positive.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    measured, budget = Savings(*measured), Savings(*budget)
    for numbers in (measured, budget):
        ratios = (numbers.smaller, numbers.faster, numbers.leaner)
        if not np.isfinite(numbers).all() or min(ratios) <= 0:
            raise ValueError(f"expected finite numbers and positive ratios, got {tuple(numbers)}")
    return (
        max(0.0, 1 - measured.smaller / budget.smaller),
        max(0.0, measured.points - budget.points),
        max(0.0, 1 - measured.faster / budget.faster),
        max(0.0, 1 - measured.leaner / budget.leaner),
    )


def budget_table(measured: Savings, budgets: dict[str, Savings] | None = None) -> str:
    """Return what was measured beside each budget, and by how much it is met or missed.

    Parameters
    ----------
    measured : what a network saves.
    budgets : name → budget; by default what the course requires and what it aims at.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    budgets = {"required": REQUIRED, "aim": AIM} if budgets is None else budgets
    lines = [f"{part:16}{value:9.2f}" for part, value in zip(_PARTS, measured, strict=True)]
    for title, budget in budgets.items():
        short = missed(measured, budget)
        for row, (part, limit, by) in enumerate(zip(_PARTS, budget, short, strict=True)):
            amount = f"{by:.2f}" if part == "points lost" else f"{by:.0%}"
            lines[row] += f"   {title} {limit:g}: " + (f"missed by {amount}" if by else "met")
    return "\n".join([f"{'':16}{'measured':>9}", *lines])


def paired_difference(right: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Return how much more often some networks are right than others, with a 95 % interval.

    All have seen the same pictures, so for each picture there is one difference: the share of
    the networks that are right about it less the share of the reference networks. Pictures
    that are easy or hopeless for all give 0, and so the mean is known better than from two
    accuracies on different pictures. The interval is that of `paired.paired_interval`, with
    1.96 standard errors to each side, as n is large: what another choice of n test pictures
    might have given with these networks. It says nothing about networks from other seeds.

    Parameters
    ----------
    right : bool (networks, n): which network is right about which picture.
    reference : bool (networks, n), the same pictures in the same order; any number of networks.

    Returns
    -------
    tuple of float
        Mean, low and high, each from −1 to 1: above 0 if the first networks are better.

    Raises
    ------
    ValueError
        If they are not bool, not of two dimensions, or of other pictures, or there are fewer
        than two pictures.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    right, reference = np.asarray(right), np.asarray(reference)
    for answers in (right, reference):
        if answers.dtype != bool or answers.ndim != 2 or not len(answers):
            raise ValueError(
                f"expected bool (networks, pictures), got {answers.dtype} {answers.shape}; "
                "compare predictions with the labels"
            )
    mean, _, low, high = paired_interval(reference.mean(axis=0), right.mean(axis=0), 1.96)
    return mean, low, high


def pareto(costs: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
    """Return which networks nobody beats: none costs less and is as accurate, or more so.

    A network is beaten by another one that is at least as good in both, and better in one.
    What is left is the Pareto front: whoever wants less cost has to give up accuracy.

    Parameters
    ----------
    costs : of each network, bytes or microseconds, shape (n,), finite.
    accuracies : of each network, shape (n,), finite.

    Returns
    -------
    np.ndarray
        bool (n,), True for those on the front.

    Raises
    ------
    ValueError
        If the shapes differ or are not (n,), or not all numbers are finite.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    costs, accuracies = np.asarray(costs, np.float64), np.asarray(accuracies, np.float64)
    if costs.ndim != 1 or costs.shape != accuracies.shape:
        raise ValueError(
            f"expected a cost and an accuracy of each network, got shapes {costs.shape} and "
            f"{accuracies.shape}"
        )
    if not (np.isfinite(costs).all() and np.isfinite(accuracies).all()):
        raise ValueError("expected finite costs and accuracies, got NaN or infinity")
    no_dearer = costs[:, np.newaxis] <= costs  # [i, j]: i costs no more than j
    no_worse = accuracies[:, np.newaxis] >= accuracies
    better = (costs[:, np.newaxis] < costs) | (accuracies[:, np.newaxis] > accuracies)
    return ~(no_dearer & no_worse & better).any(axis=0)


def codebook_bytes(
    weights: int, kept: float, code_bits: int, index_bits: int, *, codebooks: int = 1
) -> float:
    """Return the bytes of a pruned layer with shared weights, as "Deep Compression" counts them.

    Each weight that is kept costs the number of its shared value and the distance from the
    last weight kept; each codebook costs its values, 2^code_bits float32 numbers. Not
    counted: zeros kept because a distance needs more bits, biases, the shape, the
    program that reads it. No runtime of this course computes from such a file.

    Han, Mao, Dally (2016), "Deep Compression", sections 2 and 3.

    Parameters
    ----------
    weights : of the layer, at least 1.
    kept : the share that was not pruned, above 0 to 1.
    code_bits : of the number of a shared value, 1 to 16.
    index_bits : of a distance, 0 (nothing was pruned) to 16.
    codebooks : usually one for each layer.

    Raises
    ------
    ValueError
        If a number is not as above.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    if weights < 1 or not 0 < kept <= 1 or codebooks < 1:
        raise ValueError(
            f"expected at least 1 weight and 1 codebook, and a share above 0 to 1, "
            f"got {weights}, {codebooks}, {kept}"
        )
    if code_bits not in range(1, 17) or index_bits not in range(17):
        raise ValueError(
            f"expected codes of 1 to 16 bits and distances of 0 to 16, got {code_bits} and "
            f"{index_bits}"
        )
    bits = weights * kept * (code_bits + index_bits) + codebooks * 2**code_bits * 32
    return bits / 8
