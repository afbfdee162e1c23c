"""Sums of what nobody shows: each pair of people adds a number that the other one subtracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_STEPS = 2**16  # fixed-point steps in 1


def pair_seed(own: X25519PrivateKey, other: X25519PublicKey) -> int:
    """Return the number that two people share, and nobody who sees only their public keys.

    Both work it out, each from the own private and the other's public key (Diffie and Hellman,
    1976, on the curve X25519).

    Taught in: notebooks/17_federated_learning.ipynb
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    secret = HKDF(SHA256(), 32, salt=None, info=b"edge_course pair").derive(own.exchange(other))
    return int.from_bytes(secret, "big")


def pair_mask(seed: int, size: int) -> np.ndarray:
    """Return the numbers that a pair draws from its seed, uint32 (size,), all equally likely.

    NumPy's generator is no cipher: this shows the idea, and protects nobody.
    """
    return np.random.default_rng(seed).integers(0, 2**32, size, np.uint32)


def hide(codes: np.ndarray, person: int, seeds: Mapping[int, int]) -> np.ndarray:
    """Return fixed-point numbers under one person's masks; the masks of all cancel in the sum.

    The mask of a pair is added by the person of the smaller number and subtracted by the other,
    modulo 2³².

    Parameters
    ----------
    codes : uint32 (n,), as `to_fixed_point` makes them.
    person : the number of this person.
    seeds : number of each other person → what both share, see `pair_seed`.

    Raises
    ------
    ValueError
        If a person is a pair with itself.

    Source: Bonawitz and others (2017), "Practical Secure Aggregation for Privacy-Preserving
    Machine Learning".

    Taught in: notebooks/17_federated_learning.ipynb
    """
    if person in seeds:
        raise ValueError(f"person {person} is no pair with itself")
    hidden = codes.astype(np.uint32)  # sums of these wrap around at 2³²
    for other, seed in seeds.items():
        mask = pair_mask(seed, len(codes))
        hidden = hidden + mask if person < other else hidden - mask
    return hidden


def to_fixed_point(values: np.ndarray) -> np.ndarray:
    """Return real numbers in steps of 2⁻¹⁶, uint32 modulo 2³²; sums are right below 2¹⁵.

    Raises
    ------
    ValueError
        If one of them is not between −2¹⁵ and 2¹⁵.
    """
    if not (np.abs(values) < 2**15).all():
        raise ValueError("expected numbers between −2¹⁵ and 2¹⁵")
    return np.round(np.asarray(values, np.float64) * _STEPS).astype(np.int64).astype(np.uint32)


def from_fixed_point(codes: np.ndarray) -> np.ndarray:
    """Return the real numbers of such codes, or of a sum of them: float64 (n,)."""
    return codes.astype(np.uint32).view(np.int32) / _STEPS
