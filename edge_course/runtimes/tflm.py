"""TensorFlow Lite Micro (TFLM), Google's interpreter for microcontrollers, run on this machine.

The package `tflite-micro` has it for Linux on x86-64 only; elsewhere `missing` says so.
"""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from edge_course.data import FileContent
from edge_course.runtimes import model_files, tflite_file
from edge_course.runtimes.model_files import ModelError

LARGEST_ARENA = 2**24  # bytes: room for every network that a microcontroller can hold
_ALONE = threading.Lock()  # all threads of a process share one standard error


class RecordedArena(NamedTuple):
    """Bytes of RAM that TFLM took of the arena it was given.

    Attributes
    ----------
    head : activations, laid out by its memory planner.
    tail : what the interpreter keeps of tensors and operators, and its kernels' constants.
    """

    head: int
    tail: int

    @property
    def total(self) -> int:
        """The smallest arena that will do."""
        return self.head + self.tail


def missing() -> str:
    """Return why TFLM cannot run here, or nothing."""
    if importlib.util.find_spec("tflite_micro"):
        return ""
    return "tflite-micro is not installed; there is one for Linux on x86-64"


def micro_outputs(
    model: bytes | str | os.PathLike, x: np.ndarray, arena: int = LARGEST_ARENA
) -> dict[int, np.ndarray]:
    """Return every output of a model as TFLM computes it: index of the tensor → its content.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path; one input.
    x : in the input's own dtype, shape (n, …), n a multiple of the file's own (mostly 1).
    arena : bytes of RAM that TFLM may use.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If TFLM is missing, the file is no TFLite model, has several inputs, an operator that
        TFLM does not know or cannot compute, or does not fit into the arena.
    ValueError
        If x has another dtype or shape.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    model = model_files.content(model)
    graph = tflite_file.read_tflite(model)
    if len(graph.inputs) != 1:
        raise ModelError(f"{model.name}: expected one input, got {len(graph.inputs)}")
    (given,) = graph.inputs
    n, *shape = given.shape
    x = np.asarray(x)
    if x.dtype != given.dtype or list(x.shape[1:]) != shape or not len(x) or len(x) % n:
        raise ValueError(
            f"expected {given.dtype} (n, {', '.join(map(str, shape))}) with n a multiple of {n}, "
            f"got {x.dtype} {x.shape}"
        )
    interpreter, parts = _interpreter(model, arena), []
    with _explained(model.name, "run it"):
        for i in range(0, len(x), n):
            interpreter.set_input(np.ascontiguousarray(x[i : i + n]), 0)
            interpreter.invoke()
            parts.append([interpreter.get_output(k) for k in range(len(graph.outputs))])
    joined = [np.concatenate(same) for same in zip(*parts, strict=True)]
    return dict(zip((t.index for t in graph.outputs), joined, strict=True))


def recorded_arena(model: bytes | str | os.PathLike) -> RecordedArena:
    """Return how much RAM TFLM needs for a model, as it records it while it loads it.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        As `micro_outputs`.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    model = model_files.content(model)
    tflite_file.read_tflite(model)
    interpreter = _interpreter(model, LARGEST_ARENA)
    with _stderr() as said:
        interpreter.print_allocations()
        sizes = dict(re.findall(r"Arena allocation (\w+) (\d+) bytes", said()))
    return RecordedArena(int(sizes["head"]), int(sizes["tail"]))


def _interpreter(model: FileContent, arena: int):
    """Load a file that was read before: TFLM does not check how a file is built."""
    if reason := missing():
        raise ModelError(reason)
    from tflite_micro import runtime

    with _explained(model.name, f"load it into {arena:,} bytes"):
        return runtime.Interpreter.from_bytes(model, arena_size=arena)


@contextmanager
def _explained(name: str, doing: str) -> Iterator[None]:
    """Turn what TFLM raises into a ModelError with what it writes meanwhile."""
    with _stderr() as said:
        try:
            yield
        except RuntimeError as error:
            why = " ".join(said().split()) or str(error)
            raise ModelError(f"{name}: TFLM cannot {doing}: {why}") from None


@contextmanager
def _stderr() -> Iterator[Callable[[], str]]:
    """Give a function that returns what C++ code has written to standard error meanwhile."""
    with _ALONE, tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(2, 2**20, 0).decode(errors="replace")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
