"""Real numbers to whole ones: five ways, which differ on halves or in direction."""

from __future__ import annotations

import numpy as np

ROUNDINGS = ("even", "away", "up", "down", "zero")


def rounded(x: np.ndarray, rounding: str) -> np.ndarray:
    """Return the whole numbers next to real ones, as floats of the same dtype.

    Parameters
    ----------
    x : floats, any shape.
    rounding : "even", "away" and "up" take the nearest, and halves to the even one, to the
        one further from 0, or to the larger one; "down" and "zero" only ever go down, or
        towards 0.

    Raises
    ------
    ValueError
        If there is no such rounding.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    # Adding 0.5 first would round 0.49999997 to 1: the sum needs one bit too many.
    if rounding == "even":
        return np.rint(x)
    if rounding == "away":
        return np.copysign(rounded(np.abs(x), "up"), x)
    if rounding == "up":
        return np.floor(x) + (x - np.floor(x) >= 0.5)
    if rounding == "down":
        return np.floor(x)
    if rounding == "zero":
        return np.trunc(x)
    raise ValueError(f"expected one of the roundings {', '.join(ROUNDINGS)}, got {rounding!r}")
