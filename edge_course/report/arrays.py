"""The data for a report: inputs and, if there are any, labels, from an ``.npz`` file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

INPUT_NAMES, LABEL_NAMES = ("images", "x"), ("labels", "y")


class LabelledArrays(NamedTuple):
    """Inputs (n, …) as they are in the file, and integer labels (n,) or None."""

    inputs: np.ndarray
    labels: np.ndarray | None


def read_arrays(path: Path) -> LabelledArrays:
    """Return the inputs and labels in an ``.npz`` file.

    Parameters
    ----------
    path : a file with an array "images" or "x" and, for an accuracy, "labels" or "y".

    Raises
    ------
    ValueError
        If it cannot be read, holds pickled Python objects, lacks an array or has it under both
        names, or the labels are not one whole number from 0 for each input.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {
                name: file[name] for name in (*INPUT_NAMES, *LABEL_NAMES) if name in file.files
            }
            names = file.files
    except OSError as error:
        raise ValueError(f"{path}: cannot read the data: {error.strerror or error}") from None
    except Exception as error:  # NumPy, zipfile and zlib have errors of their own
        raise ValueError(
            f"{path}: is no readable .npz file of plain arrays ({error}); "
            "save it with np.savez(path, images=…, labels=…)"
        ) from None
    inputs = _one_of(path, arrays, INPUT_NAMES)
    labels = _one_of(path, arrays, LABEL_NAMES)
    if inputs is None:
        held = ", ".join(names) or "nothing"
        raise ValueError(f"{path}: expected an array called images or x, got {held}")
    if not inputs.ndim or not len(inputs):
        raise ValueError(f"{path}: expected at least one input, got an array {inputs.shape}")
    if labels is not None:
        _check_labels(path, labels, len(inputs))
    return LabelledArrays(inputs, labels)


def _one_of(path: Path, arrays: dict[str, np.ndarray], names: tuple[str, str]) -> np.ndarray | None:
    """Return the array that has one of two names; None if there is none."""
    there = [name for name in names if name in arrays]
    if len(there) > 1:
        raise ValueError(f"{path}: has both {' and '.join(names)}: which is meant? keep one")
    return arrays[there[0]] if there else None


def _check_labels(path: Path, labels: np.ndarray, count: int) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise ValueError(
            f"{path}: expected {count} labels, whole numbers of shape ({count},), one for each "
            f"input, got {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0:
        raise ValueError(f"{path}: expected labels from 0, got {labels.min()}")
