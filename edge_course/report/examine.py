"""Reads, runs and compares model files: the facts of a report."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_course import measure
from edge_course.compression import scoreboard
from edge_course.data import FileContent
from edge_course.measure import Accuracy, Spread
from edge_course.networks import layout
from edge_course.report.arrays import LabelledArrays, read_arrays
from edge_course.report.contents import load_model, read_contents
from edge_course.report.facts import (
    Comparison,
    LayerErrors,
    ModelFacts,
    ReportFacts,
    Unknown,
    known_or_why,
)
from edge_course.report.layers import layer_errors
from edge_course.runtimes import litert, ort
from edge_course.runtimes.model_files import ModelError, checked_inputs

SECONDS = 1.8  # of timing


class Candidate(NamedTuple):
    """A file that its runtime has loaded.

    Attributes
    ----------
    name, format, content : of the file.
    runner : what runs it.
    inputs : the data in the order that it takes; None without data.
    scores : what it answers, (n, classes); None without data.
    """

    name: str
    format: str
    content: FileContent
    runner: litert.Runner | ort.Runner | Unknown
    inputs: np.ndarray | None
    scores: np.ndarray | Unknown | None


def examine(model: Path, data: Path | None = None, against: Path | None = None) -> ReportFacts:
    """Return everything that a report says about a model file.

    An altered file can end the process that runs it: call this in a process of its own.

    Parameters
    ----------
    model : a ``.tflite`` or an ``.onnx`` file.
    data : an ``.npz`` file as `edge_course.report.arrays.read_arrays` takes it.
    against : another model file for the same inputs.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If one of the files is not a model that its runtime loads.
    ValueError
        If the data cannot be read or does not fit the models.
    """
    arrays = None if data is None else read_arrays(data)
    labels = None if arrays is None else arrays.labels
    candidates = [_candidate(path, arrays) for path in (model, against) if path is not None]
    microseconds, faster = _timed(candidates)
    facts = [
        ModelFacts(
            c.name, c.format, measure.file_bytes(c.content), measure.gzip_bytes(c.content),
            read_contents(c.format, c.content), time, _accuracy(c.scores, labels),
        )
        for c, time in zip(candidates, microseconds, strict=True)
    ]  # fmt: skip
    samples = 0 if arrays is None else len(arrays.inputs)
    if against is None:
        return ReportFacts(facts[0], samples)
    agreement = None if arrays is None else known_or_why(_agreement, candidates)
    layers = known_or_why(_layers, candidates)
    return ReportFacts(facts[0], samples, Comparison(facts[1], faster, agreement, layers))


def examine_quietly(model: Path, data: Path | None, against: Path | None) -> ReportFacts:
    """Return what `examine` does, in a process of its own, which prints nothing any more.

    What goes wrong is raised.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # runtimes print to both, past sys.stdout and sys.stderr
        os.dup2(nowhere, stream)
    return examine(model, data, against)


def _candidate(path: Path, arrays: LabelledArrays | None) -> Candidate:
    kind, content = load_model(path)
    runner = known_or_why(_runner, content)
    inputs = scores = None
    if arrays is not None and isinstance(runner, Unknown):
        scores = runner
    elif arrays is not None:
        inputs = layout.arranged(arrays.inputs, runner.input_shape)
        inputs = checked_inputs(inputs, runner.input_shape, f"the data for {path}")
        scores = known_or_why(_scores, runner, inputs)
        if arrays.labels is not None and isinstance(scores, np.ndarray):
            _check_classes(str(path), arrays.labels, scores.shape[1])
    return Candidate(str(path), kind, content, runner, inputs, scores)


def _runner(content: FileContent) -> litert.Runner | ort.Runner:
    return scoreboard.runner(content)[1]


def _scores(runner: litert.Runner | ort.Runner, inputs: np.ndarray) -> np.ndarray:
    """Return the scores (n, classes), computed one by one: some files take no other batch."""
    scores = runner.scores(inputs, batch=1)
    if scores.ndim != 2 or scores.shape[1] < 2:
        shape = ", ".join(map(str, ("n", *scores.shape[1:])))
        raise ModelError(f"its output has the shape ({shape}), expected scores (n, classes)")
    if not np.isfinite(scores).all():
        raise ModelError("its scores have NaN or infinity in them")
    return scores


def _check_classes(name: str, labels: np.ndarray, classes: int) -> None:
    if labels.max() >= classes:
        raise ValueError(
            f"the labels go up to {labels.max()}, but {name} knows the classes 0 to {classes - 1}"
        )


def _timed(
    candidates: list[Candidate],
) -> tuple[list[Spread | Unknown], Spread | Unknown]:
    """Return each file's microseconds, and how many times faster the first is than the last."""
    invokers = [known_or_why(_invoker, candidate) for candidate in candidates]
    able = {n: run for n, run in enumerate(invokers) if not isinstance(run, Unknown)}
    if not able:
        return invokers, invokers[-1]
    latency = measure.latency(able, seconds=SECONDS)
    last = len(candidates) - 1
    why_not = next((run for run in invokers if isinstance(run, Unknown)), None)
    times = [latency.microseconds(n) if n in able else run for n, run in enumerate(invokers)]
    return times, why_not or latency.ratio(last, 0)


def _invoker(candidate: Candidate) -> Callable[[], None]:
    if isinstance(candidate.runner, Unknown):
        raise ModelError(candidate.runner.reason)
    if candidate.inputs is None:
        shape = (1, *candidate.runner.input_shape)
        return candidate.runner.invoker(np.random.default_rng(0).random(shape, np.float32))
    return candidate.runner.invoker(candidate.inputs[:1])


def _accuracy(
    scores: np.ndarray | Unknown | None, labels: np.ndarray | None
) -> Accuracy | Unknown | None:
    if labels is None or scores is None or isinstance(scores, Unknown):
        return None if labels is None else scores
    return measure.accuracy(scores.argmax(axis=1), labels)


def _agreement(candidates: list[Candidate]) -> float:
    for candidate in candidates:
        if isinstance(candidate.scores, Unknown):
            raise ModelError(f"{candidate.name}: {candidate.scores.reason}")
    first, second = (candidate.scores for candidate in candidates)
    if first.shape != second.shape:
        raise ModelError(f"one knows {first.shape[1]} classes, the other {second.shape[1]}")
    return measure.agreement(first.argmax(axis=1), second.argmax(axis=1))


def _layers(candidates: list[Candidate]) -> LayerErrors:
    first, second = candidates
    if first.format != second.format:
        raise ModelError("a TFLite and an ONNX file call their tensors by other names")
    for candidate in candidates:
        if isinstance(candidate.runner, Unknown):
            raise ModelError(candidate.runner.reason)
        if candidate.inputs is None:
            raise ModelError("the error depends on the inputs: give some with --data")
    inputs = first.inputs, second.inputs
    return layer_errors(first.format, first.content, second.content, inputs)
