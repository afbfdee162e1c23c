"""The recipe of the traffic counts in ``data/``."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from edge_course import data
from edge_course.crossing import CROSSING_FILE, MISSING

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
    table = parquet.read_table(io.BytesIO(_from_wheel())).to_pydict()
    times = np.array(table["timestamp"], "datetime64[m]")
    detectors, column = np.unique(table["detector"], return_inverse=True)
    row = (times - times.min()).astype(int) // 15
    counts = np.full((row.max() + 1, len(detectors)), MISSING, np.uint8)
    counts[row, column] = table["total"]
    start = np.array(str(times.min()))
    return {CROSSING_FILE: data.npz({"start": start, "detectors": detectors, "counts": counts})}


def _from_wheel() -> bytes:
    """Return a file of a package on PyPI, without installing the package."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder]
        fetched = subprocess.run([*command, _PACKAGE], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if fetched.returncode or len(wheels) != 1:
            raise data.DataError(f"pip cannot fetch {_PACKAGE}: {fetched.stderr.strip()}")
        content = wheels[0].read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _WHEEL_SHA256:
        raise data.DataError(f"{_PACKAGE}: expected sha256 {_WHEEL_SHA256}, found {found}")
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        return wheel.read(_MEMBER)
