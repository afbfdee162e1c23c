"""How much noise hides one person: differential privacy and its price."""

from __future__ import annotations

import math


def epsilon(rounds: int, noise: float, delta: float) -> float:
    """Return ε: how much better than before one can tell whether a person took part.

    All people take part in all rounds; in each, normal noise of ``noise`` times the clipping norm
    is added to the sum of their clipped updates. With Rényi differential privacy, so many rounds
    give r/(2σ²) + √(2 r ln(1/δ))/σ: an upper bound, which holds up to the chance δ.

    Parameters
    ----------
    rounds : r, at least 1.
    noise : σ, positive.
    delta : δ, between 0 and 1; less than one in the number of people.

    Raises
    ------
    ValueError
        If a number is not as above.

    Source: Mironov (2017), "Rényi Differential Privacy": proposition 3 with the best order α of
    corollary 3.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    if rounds < 1 or not noise > 0 or not 0 < delta < 1:
        raise ValueError(
            "expected at least one round, positive noise and a δ between 0 and 1, got "
            f"{rounds}, {noise}, {delta}"
        )
    return rounds / (2 * noise**2) + math.sqrt(2 * rounds * math.log(1 / delta)) / noise
