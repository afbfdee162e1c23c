"""Many model files measured in one run: bytes, memory, accuracy and latency side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from edge_course import measure, process
from edge_course.networks import layout
from edge_course.runtimes import litert, model_files, ort

MIB = 2**20


class Row(NamedTuple):
    """What one model file costs and what it gives.

    Attributes
    ----------
    name : as given.
    runtime : what computes it, LiteRT or ONNX Runtime.
    bytes, gzip : of the file, and of the file after gzip.
    memory : bytes that loading it and computing one picture add to a process of its own.
    peak : largest resident memory of that process in bytes, Python and the runtime included.
    accuracy : on the pictures given.
    microseconds : for one picture on one thread.
    faster : how many times faster than the reference, round by round.
    """

    name: str
    runtime: str
    bytes: int
    gzip: int
    memory: int
    peak: int
    accuracy: measure.Accuracy
    microseconds: measure.Spread
    faster: measure.Spread


def runner(file: bytes) -> tuple[str, litert.Runner | ort.Runner]:
    """Return the name of the runtime of a file, and what runs it there.

    Parameters
    ----------
    file : the content of a ``.tflite`` or an ``.onnx`` file.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is neither.
    """
    if bytes(file[4:8]) == b"TFL3":
        return "LiteRT", litert.Runner(file)
    return "ONNX Runtime", ort.Runner(file)


def memory(file: bytes) -> tuple[int, int]:
    """Return the bytes that a model adds to this process, and the largest that it ever had.

    To be called in a new process: memory that was once freed would be used again, unseen.

    Parameters
    ----------
    file : the content of a ``.tflite`` or an ``.onnx`` file that takes one picture.

    Returns
    -------
    tuple of int
        What loading it and computing pictures adds; the largest resident memory.
    """
    import onnxruntime  # noqa: F401 (here, so that it is not counted)
    from ai_edge_litert import interpreter  # noqa: F401

    with measure.peak_memory(every=0.005) as peak:
        before = peak.bytes
        _, model = runner(file)
        run = model.invoker(np.zeros((1, *model.input_shape), np.float32))
        for _ in range(20):
            run()
        peak.sample()
    return peak.bytes - before, peak.bytes


def scoreboard(
    files: Mapping[str, bytes],
    images: np.ndarray,
    labels: np.ndarray,
    reference: str,
    *,
    seconds: float = 6.0,
) -> list[Row]:
    """Measure model files, all in one run, their latencies in turn.

    Parameters
    ----------
    files : name → content of a ``.tflite`` or an ``.onnx`` file; all take the same pictures.
    images : float32 (n, height, width, channels), or any other input (n, …).
    labels : integer classes (n,).
    reference : the name of the file that the others are compared with.
    seconds : to spend on timing, roughly.

    Returns
    -------
    list of Row
        In the order of the files.

    Raises
    ------
    ValueError
        If the reference is not among the files, or pictures or labels are not as above.
    edge_course.runtimes.model_files.ModelError
        If a file is not a model.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    if reference not in files:
        raise ValueError(f"expected the reference among {', '.join(files)}, got {reference!r}")
    images = model_files.checked_inputs(images, np.shape(images)[1:], "pictures")
    held, timed = {}, {}
    for name, file in tqdm(files.items(), desc="memory and accuracy"):
        runtime, model = runner(file)
        x = layout.arranged(images, model.input_shape)
        accuracy = measure.accuracy(model.predict(x), np.asarray(labels))
        with process.another() as call:
            held[name] = (runtime, accuracy, *call(memory, file))
        timed[name] = model.invoker(x[:1])
    latency = measure.latency(timed, seconds=seconds)
    return [
        Row(
            name, runtime, measure.file_bytes(files[name]), measure.gzip_bytes(files[name]),
            added, peak, accuracy, latency.microseconds(name), latency.ratio(reference, name),
        )
        for name, (runtime, accuracy, added, peak) in held.items()
    ]  # fmt: skip


def scoreboard_text(rows: list[Row]) -> str:
    """Return the rows as a table to print.

    Parameters
    ----------
    rows : as `scoreboard` returns them.
    """
    lines = [
        f"{'model':30}{'runtime':14}{'bytes':>10}{'gzip':>10}{'memory':>9}{'peak':>7}"
        f"{'accuracy':>10}{'µs':>8}{'faster':>8}"
    ]
    lines += [
        f"{r.name:30}{r.runtime:14}{r.bytes:10,}{r.gzip:10,}{r.memory / MIB:9.1f}"
        f"{r.peak / MIB:7.0f}{100 * r.accuracy.value:10.2f}{r.microseconds.median:8.1f}"
        f"{r.faster.median:7.1f}×"
        for r in rows
    ]
    return "\n".join([*lines, "memory and peak in MiB, accuracy in percent"])
