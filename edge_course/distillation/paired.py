"""Is the gain more than luck? Differences of pairs that share all but one thing, or of strangers.

Taught in: notebooks/12_distillation.ipynb
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Student's t distribution: 95 % of it lie between −t and t, for 1 to 30 degrees of freedom.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Gain:
    """The mean of some differences, how much they vary, and how sure the mean is.

    Attributes
    ----------
    mean : of the differences.
    deviation : their standard deviation, with n − 1.
    low, high : ends of the 95 % confidence interval of the mean.
    """

    mean: float
    deviation: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it in points, that is in hundredths."""
        mean, deviation, low, high = (
            100 * v for v in (self.mean, self.deviation, self.low, self.high)
        )
        return (
            f"{mean:+.2f} points, standard deviation {deviation:.2f}, "
            f"95 % interval {low:+.2f} to {high:+.2f}"
        )


def gain(baseline: np.ndarray, other: np.ndarray) -> Gain:
    """Return the mean gain over pairs with its spread, as `paired_interval` computes it.

    Parameters
    ----------
    baseline, other : a measure of each pair, such as the accuracy from 0 to 1, shape (n,).

    Raises
    ------
    ValueError
        If there are not from 2 to 31 pairs of finite numbers.

    Taught in: notebooks/12_distillation.ipynb
    """
    count = len(_differences(baseline, other))
    return Gain(*paired_interval(baseline, other, t_quantile(count)))


def unpaired_gain(baseline: np.ndarray, other: np.ndarray) -> Gain:
    """Return the difference of two means with its spread, where nothing makes pairs of them.

    Welch (1947), "The Generalization of 'Student's' Problem When Several Different Population
    Variances Are Involved". The degrees of freedom are rounded down, which makes the interval a
    little too wide. The deviation is that of one of the others less one of the baselines.

    Parameters
    ----------
    baseline, other : a measure of each, shapes (n,) and (m,); not all may be equal on both sides.

    Raises
    ------
    ValueError
        If a side has fewer than two numbers, or one that is not finite, or none of them varies.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    groups = [np.asarray(numbers, np.float64) for numbers in (baseline, other)]
    for numbers in groups:
        if numbers.ndim != 1 or len(numbers) < 2 or not np.isfinite(numbers).all():
            raise ValueError(f"expected two or more finite numbers on each side, got {numbers}")
    variances = [numbers.var(ddof=1) for numbers in groups]
    errors = [v / len(numbers) for v, numbers in zip(variances, groups, strict=True)]
    if not sum(errors):
        raise ValueError("expected numbers that vary, got equal ones on both sides")
    parts = [e**2 / (len(numbers) - 1) for e, numbers in zip(errors, groups, strict=True)]
    freedom = int(sum(errors) ** 2 / sum(parts) + 1e-9)  # 1e-9: 4 may come out as 3.99…
    reach = t_quantile(min(freedom, len(_T95)) + 1) * sum(errors) ** 0.5
    mean = groups[1].mean() - groups[0].mean()
    deviation = sum(variances) ** 0.5
    return Gain(*map(float, (mean, deviation, mean - reach, mean + reach)))


def paired_interval(
    baseline: np.ndarray, other: np.ndarray, t: float
) -> tuple[float, float, float, float]:
    """Return (mean, standard deviation, low, high) of the differences ``other − baseline``.

    Pair i shares everything (the seed, the order of the pictures) but what is compared, and so
    what the seed does to both cancels. The interval is mean ± t · s / √n, where s is the
    standard deviation with n − 1. Gosset ("Student", 1908), "The Probable Error of a Mean".

    Parameters
    ----------
    baseline, other : real numbers, shape (n,), at least two.
    t : how many standard errors the interval reaches to each side; see `t_quantile`.

    Raises
    ------
    ValueError
        If the shapes differ or are not (n,), there are fewer than two pairs, or there is NaN or
        infinity.

    Taught in: notebooks/12_distillation.ipynb
    """
    differences = _differences(baseline, other)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    reach = t * deviation / len(differences) ** 0.5
    return mean, deviation, mean - reach, mean + reach


def t_quantile(count: int) -> float:
    """Return t for a 95 % interval from ``count`` differences: ``count − 1`` degrees of freedom.

    With five differences it is 2.776, not the 1.960 of the normal distribution, because the
    standard deviation itself is known only roughly.

    Parameters
    ----------
    count : from 2 to 31.

    Raises
    ------
    ValueError
        If the count is another one.
    """
    if not 2 <= count <= len(_T95) + 1:
        raise ValueError(f"expected from 2 to {len(_T95) + 1} differences, got {count}")
    return _T95[count - 2]


def _differences(baseline: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return ``other − baseline`` as float64 (n,), or raise what is wrong with them."""
    baseline, other = np.asarray(baseline, np.float64), np.asarray(other, np.float64)
    if baseline.ndim != 1 or baseline.shape != other.shape or len(baseline) < 2:
        raise ValueError(
            f"expected two or more pairs, as two arrays of one length, got shapes "
            f"{baseline.shape} and {other.shape}"
        )
    if not (np.isfinite(baseline).all() and np.isfinite(other).all()):
        raise ValueError("there is NaN or infinity among the pairs, expected finite numbers")
    return other - baseline
