"""The recipe of the traffic counts in ``data/``."""

from __future__ import annotations

import io

import numpy as np

from edge_course import data
from edge_course.crossing import CROSSING_FILE, MISSING
from edge_course.recipes.wheel import file_in_wheel

_PACKAGE = "traffic-anomaly==2.5.4"
_WHEEL_SHA256 = "050f7801e329990c369372d518a354b816506ce6a358595a0753d1742c958bea"
_MEMBER = "traffic_anomaly/data/sample_counts.parquet"


def make_crossing() -> dict[str, bytes]:
    """Return 22 detectors' counts of 2,496 quarters of an hour, one byte each, as an .npz file.

    Raises
    ------
    edge_course.data.DataError
        If pip cannot fetch the package, it is another one, or pyarrow is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise data.DataError(
            "the counts come in Parquet, which pyarrow reads: python -m pip install pyarrow"
        ) from None
    table = parquet.read_table(
        io.BytesIO(file_in_wheel(_PACKAGE, _WHEEL_SHA256, _MEMBER))
    ).to_pydict()
    times = np.array(table["timestamp"], "datetime64[m]")
    detectors, column = np.unique(table["detector"], return_inverse=True)
    row = (times - times.min()).astype(int) // 15
    counts = np.full((row.max() + 1, len(detectors)), MISSING, np.uint8)
    counts[row, column] = table["total"]
    start = np.array(str(times.min()))
    return {CROSSING_FILE: data.npz({"start": start, "detectors": detectors, "counts": counts})}
