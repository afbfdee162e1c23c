"""Vehicle counts of one real crossing: 22 detectors, 26 days, every quarter of an hour."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np

from edge_course import data

CROSSING_FILE = "crossing_counts.npz"
QUARTERS_A_DAY = 96
QUARTERS_A_WEEK = 7 * QUARTERS_A_DAY
MISSING = 255  # in the file, where a count is one byte


class CrossingCounts(NamedTuple):
    """What the detectors of a crossing counted.

    Attributes
    ----------
    start : when the first quarter of an hour began, datetime64[m], in local time.
    detectors : the numbers of the detectors, int (d,).
    counts : vehicles in a quarter of an hour, float64 (t, d); NaN where nothing was recorded.
    """

    start: np.datetime64
    detectors: np.ndarray
    counts: np.ndarray

    def times(self) -> np.ndarray:
        """Return when each quarter of an hour began, datetime64[m] (t,)."""
        return self.start + np.arange(len(self.counts)) * np.timedelta64(15, "m")


def load_crossing() -> CrossingCounts:
    """Return the counts of the crossing, 2,496 quarters of an hour from a Thursday on.

    Raises
    ------
    edge_course.data.DataError
        If the file is missing or altered.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    with np.load(io.BytesIO(data.read(CROSSING_FILE)), allow_pickle=False) as arrays:
        counts = arrays["counts"].astype(float)
        counts[arrays["counts"] == MISSING] = np.nan
        return CrossingCounts(np.datetime64(str(arrays["start"]), "m"), arrays["detectors"], counts)
