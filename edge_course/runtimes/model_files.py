"""What the runtimes share: model files given by path or content, and inputs that are checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator

import numpy as np

from edge_course.data import FileContent, file_content

ADVICE = "if it was cut short or altered, copy or convert it anew"


class ModelError(ValueError):
    """A file is not a model, or not the kind of model that was asked for."""


def name(model: bytes | str | os.PathLike) -> str:
    """Return what to call a model in a message: its path, or "these bytes" if there is none."""
    if isinstance(model, bytes | bytearray):
        return getattr(model, "name", "these bytes")
    return str(model)


def content(model: bytes | str | os.PathLike) -> FileContent:
    """Return the content of a model file given by its path or its content.

    Raises
    ------
    ModelError
        If the file cannot be read.
    TypeError
        If it is neither a path nor bytes.
    """
    try:
        return file_content(model)
    except OSError as error:
        raise ModelError(f"cannot read the model {model}: {error.strerror}") from None


def fingerprint(model: bytes | str | os.PathLike) -> str:
    """Return half the SHA-256 of a model file: by it both ends know that they mean the same.

    Parameters
    ----------
    model : the content of a model file, or its path.

    Returns
    -------
    str
        32 hexadecimal digits: 128 bits, so that no two files share them by accident.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    return hashlib.sha256(content(model)).hexdigest()[:32]


@contextlib.contextmanager
def explained(
    name: str,
    doing: str,
    *,
    runtime: str,
    errors: tuple[type[Exception], ...] = (ValueError, RuntimeError),
    advice: str = ADVICE,
) -> Iterator[None]:
    """Turn what a runtime raises about a model into a ModelError that names it.

    Parameters
    ----------
    name : what to call the model.
    doing : what the runtime was to do with it: "load", "run", …
    runtime : the runtime's name.
    errors : what this runtime raises.
    advice : what to do about it.
    """
    try:
        yield
    except ModelError:
        raise  # says what is wrong already
    except errors as error:
        raise ModelError(
            f"{name}: {runtime} cannot {doing} this model ({str(error).strip()}); {advice}"
        ) from None


def checked_inputs(x: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return inputs as they are, or say what is wrong with them.

    Parameters
    ----------
    x : expected to be float32, shape (n, *shape), finite, n at least 1.
    shape : the shape of one input.
    what : what the inputs are, for the message.

    Raises
    ------
    ValueError
        If they are of another dtype or shape, there are none, or there is NaN or infinity.
    """
    x = np.asarray(x)
    expected = f"({', '.join(map(str, ('n', *shape)))})"
    if x.dtype != np.float32:
        raise ValueError(f"{what}: expected float32, got {x.dtype}; use .astype('float32')")
    if x.shape[1:] != shape or x.ndim != len(shape) + 1:
        raise ValueError(f"{what}: expected shape {expected}, got {x.shape}")
    if not len(x):
        raise ValueError(f"{what}: it is empty, expected at least one input")
    if not np.isfinite(x).all():
        raise ValueError(f"{what}: it has NaN or infinity in it, expected finite numbers")
    return x


def checked_threads(threads: int) -> int:
    """Return a number of threads as it is; raise a ValueError if it is not an int from 1."""
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"expected at least 1 thread, got {threads!r}")
    return threads
