"""Movements of ten people, recorded by a watch on the wrist (Burns and others, 2018)."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np

from edge_course import data

RECORDINGS = "watch_movements.npz"
# Exercises for the shoulder, as the study calls them (arXiv:1802.01489).
MOVEMENTS = (
    "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation",
    "trapezius extension", "upright row",
)  # fmt: skip
RATE_HZ = 12.5  # of the windows: the recordings have 50, and each four samples are averaged
WINDOW = 50  # samples: four seconds, one or two repetitions
_SCALE = np.array([1, 1, 1, 2, 2, 2], np.float32)  # g and rad/s to numbers of about 1, for everyone
UNSEEN = ((1, 2), (3, 4), (5, 6))  # the people that take no part, in each of three folds


class Wearer(NamedTuple):
    """One person's movements in windows of four seconds.

    Attributes
    ----------
    person : the number, 1 to 10.
    windows : float32 (n, 50, 1, 6): a picture 50 high and 1 wide, with six channels.
    labels : int64 (n,), an index into `MOVEMENTS`.
    """

    person: int
    windows: np.ndarray
    labels: np.ndarray


def load_wearers() -> list[Wearer]:
    """Return the ten people with their movements, each window half over the one before it.

    Raises
    ------
    edge_course.data.DataError
        If the file is missing or altered.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    with np.load(io.BytesIO(data.read(RECORDINGS)), allow_pickle=False) as arrays:
        ends = np.cumsum(arrays["lengths"])
        recordings = np.split(arrays["samples"].astype(np.float32) / _SCALE, ends[:-1])
        movement, person = arrays["movement"].astype(np.int64), arrays["person"]
    wearers = []
    for number in np.unique(person):
        parts = [(_windows(recordings[i]), movement[i]) for i in np.flatnonzero(person == number)]
        labels = np.repeat([label for _, label in parts], [len(part) for part, _ in parts])
        wearers.append(Wearer(int(number), np.concatenate([part for part, _ in parts]), labels))
    return wearers


def fold(wearers: list[Wearer], number: int) -> tuple[list[Wearer], list[Wearer]]:
    """Return the eight people that take part, and the two whom nobody has seen.

    Parameters
    ----------
    wearers : all ten.
    number : of the fold, 0 to 2.

    Raises
    ------
    IndexError
        If there is no such fold.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    unseen = UNSEEN[number]
    taking_part = [wearer for wearer in wearers if wearer.person not in unseen]
    return taking_part, [wearer for wearer in wearers if wearer.person in unseen]


def _windows(samples: np.ndarray) -> np.ndarray:
    """Cut a recording (t, 6) into windows (n, 50, 1, 6); what is left at its end is dropped."""
    slow = samples[: len(samples) // 4 * 4].reshape(-1, 4, samples.shape[1]).mean(axis=1)
    cut = np.lib.stride_tricks.sliding_window_view(slow, WINDOW, axis=0)[:: WINDOW // 2]
    return np.ascontiguousarray(cut.transpose(0, 2, 1)[:, :, None])
