"""What a compressed network costs beside the seed CNN: bytes, accuracy, latency.

`python -m edge_course.compression.report --report` measures the files in ``data/``; with
`--out FILE` the pipeline runs, and what it made is measured.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_course import data, fashion_mnist, measure, process, terminal
from edge_course.compression.budget import (
    AIM,
    REQUIRED,
    Budget,
    Measured,
    missed,
    paired_difference,
)
from edge_course.networks import keras_training
from edge_course.runtimes import litert

SEEDS = (
    keras_training.SEED,
    keras_training.SEED + 1,
    keras_training.SEED + 2,
)  # of both; the first is the course's
FILES = tuple(f"compressed_{seed}.tflite" for seed in SEEDS)
PREDICTIONS = "seed_cnn_predictions.npz"
STEPS = "compressed_steps.npz"
CONTROLS = "compressed_controls.npz"
CUT = "compressed_cut.npz"
REFERENCE = "seed_cnn_float32.tflite"
NAMES = ("times smaller", "points lost", "times faster")  # the parts of a budget


class Accuracies(NamedTuple):
    """The accuracies on the test images, one for each seed, and their difference.

    Attributes
    ----------
    compressed, reference : float64 (seeds,), from 0 to 1.
    difference, low, high : the mean of the compressed less that of the seed CNN, and its 95 %
        interval over test pictures.
    """

    compressed: np.ndarray
    reference: np.ndarray
    difference: float
    low: float
    high: float


def predictions(name: str) -> dict[str, np.ndarray]:
    """Return what a recipe kept of its networks' answers: name → uint8 (seeds, 10000).

    Parameters
    ----------
    name : of the file in ``data/``: `PREDICTIONS`, `STEPS` or one of the controls.

    Raises
    ------
    edge_course.data.DataError
        If the file is missing or altered, or of other seeds.
    """
    with np.load(io.BytesIO(data.read(name)), allow_pickle=False) as file:
        arrays = dict(file)
    if tuple(seeds := arrays.pop("seeds")) != SEEDS:
        raise data.DataError(f"data/{name} is of the seeds {seeds}, not {SEEDS}")
    return arrays


def reference_classes() -> np.ndarray:
    """Return what the seed CNNs trained from `SEEDS` predict, uint8 (seeds, 10000)."""
    return predictions(PREDICTIONS)["classes"]


def accuracies() -> Accuracies:
    """Return the accuracies of the shipped files, computed by LiteRT on all test images.

    Raises
    ------
    edge_course.data.DataError
        If a file is missing or altered.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    test = fashion_mnist.load("test")
    images = fashion_mnist.preprocess(test.images)
    classes = np.stack([litert.Runner(data.read(name)).predict(images) for name in FILES])
    right, reference = classes == test.labels, reference_classes() == test.labels
    return Accuracies(
        right.mean(axis=1), reference.mean(axis=1), *paired_difference(right, reference)
    )


def course_latency(seconds: float = 3.0) -> measure.Latency:
    """Time the seed CNN in float32 and the compressed files in turn: one picture, one thread.

    Parameters
    ----------
    seconds : time to spend, roughly.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    x = fashion_mnist.preprocess(fashion_mnist.load("test").images[:1])
    runs = {name: litert.Runner(data.read(name)).invoker(x) for name in (REFERENCE, *FILES)}
    return measure.latency(runs, seconds=seconds)


def judge(file: bytes, *, seconds: float = 1.0) -> tuple[Measured, tuple[float, float]]:
    """Measure one int8 LiteRT file beside the seed CNN that comes with the course.

    Parameters
    ----------
    file : the content of a ``.tflite`` file that takes and returns int8.
    seconds : to spend on timing, roughly.

    Returns
    -------
    tuple
        The three numbers of a budget; and the 95 % interval of the points lost, over test
        pictures, against the mean of the seed CNNs from all `SEEDS`.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is not such a file.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    runner = litert.Runner(file, require_int8=True)
    test = fashion_mnist.load("test")
    images, original = fashion_mnist.preprocess(test.images), data.read(REFERENCE)
    right = (runner.predict(images) == test.labels)[np.newaxis]
    gained, low, high = paired_difference(right, reference_classes() == test.labels)
    x, reference = images[:1], litert.Runner(original)
    runs = {"file": runner.invoker(x), REFERENCE: reference.invoker(x)}
    faster = measure.latency(runs, seconds=seconds).ratio(REFERENCE, "file").median
    smaller = measure.file_bytes(original) / measure.file_bytes(file)
    return Measured(smaller, -100 * gained, faster), (-100 * high, -100 * low)


def check_pipeline(
    pipeline: Callable[[], bytes | None], budget: Budget, *, seconds: float = 1.0
) -> str:
    """Run somebody's pipeline and say whether the file that it returns keeps a budget.

    Parameters
    ----------
    pipeline : takes nothing, returns the content of an int8 ``.tflite`` file.
    budget : what the file may cost.
    seconds : to spend on timing, roughly.

    Returns
    -------
    str
        ⬜ nothing was returned; ❌ it raised something, it is no such file, or it misses
        something; ✅ all is met.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    try:
        file = pipeline()
    except Exception as error:  # whatever a reader's code raises is a finding
        return f"❌ your function raised {type(error).__name__}: {error}"
    if file is None:
        return "⬜ not written yet: your function returns None"
    try:
        now, (low, high) = judge(file, seconds=seconds)
    except (litert.ModelError, TypeError, ValueError) as error:
        return f"❌ expected the content of an int8 .tflite file: {error}"
    verdict = "❌ the budget is missed" if any(missed(now, budget)) else "✅ within the budget"
    return (
        f"{verdict}\n{table(now, {'budget': budget})}\n"
        f"95 % interval of the points lost: {low:.2f} to {high:.2f}"
    )


def measured(found: Accuracies, timed: measure.Latency) -> Measured:
    """Return the three numbers of the budget: of the largest file, and of the slowest."""
    sizes = [measure.file_bytes(data.read(name)) for name in FILES]
    return Measured(
        smaller=measure.file_bytes(data.read(REFERENCE)) / max(sizes),
        points=-100 * found.difference,
        faster=min(timed.ratio(REFERENCE, name).median for name in FILES),
    )


def table(now: Measured, budgets: dict[str, Budget] | None = None) -> str:
    """Return the three numbers beside each budget, and by how much it is met or missed.

    Parameters
    ----------
    now : what was measured.
    budgets : name → budget; by default what the course requires and what it aims at.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    lines = [f"{'':16}{'measured':>9}"]
    budgets = {"required": REQUIRED, "aim": AIM} if budgets is None else budgets
    for i, name in enumerate(NAMES):
        line = f"{name:16}{now[i]:9.2f}"
        for title, budget in budgets.items():
            short = missed(now, budget)[i]
            by = f"{short:.2f}" if name == "points lost" else f"{short:.0%}"
            line += f"   {title} {budget[i]:g}: " + (f"missed by {by}" if short else "met")
        lines.append(line)
    return "\n".join(lines)


def text(seconds: float = 3.0) -> str:
    """Return everything about the shipped files as text: sizes, accuracies, latencies, verdict.

    Parameters
    ----------
    seconds : to spend on timing.
    """
    found, timed = accuracies(), course_latency(seconds)
    lines = [f"{'file':28}{'bytes':>10}{'gzip':>10}{'accuracy':>10}   µs for a picture"]
    shares = dict(zip(FILES, found.compressed, strict=True))
    shares[REFERENCE] = found.reference[0]
    for name in (REFERENCE, *FILES):
        content = data.read(name)
        sizes = f"{measure.file_bytes(content):10,}{measure.gzip_bytes(content):10,}"
        lines.append(f"{name:28}{sizes}{shares[name]:10.2%}   {timed.microseconds(name)}")
    lines += [
        "",
        f"seed CNN, seeds {SEEDS}: " + ", ".join(f"{share:.2%}" for share in found.reference),
        f"compressed, seeds {SEEDS}: " + ", ".join(f"{share:.2%}" for share in found.compressed),
        f"compressed less seed CNN: {100 * found.difference:+.2f} points, "
        f"95 % interval {100 * found.low:+.2f} to {100 * found.high:+.2f}",
        "",
        table(measured(found, timed)),
    ]
    return "\n".join(lines)


def train_again(seed: int, **epochs: int) -> bytes:
    """Return the file that the pipeline makes of the course's student from a seed.

    With a seed and the epochs of the files in ``data/``, it is the same file.

    Parameters
    ----------
    seed : of the training.
    epochs : "epochs" and "fine_epochs" of `compress.compress`.
    """
    import torch

    from edge_course.compression import compress
    from edge_course.networks import students, torch_models

    teacher = torch_models.trained_depthwise_cnn()
    torch.manual_seed(seed)
    student = students.swift_cnn()
    pictures = fashion_mnist.load("train")
    images = fashion_mnist.preprocess(pictures.images)
    with process.another() as call:
        return compress.compress(student, teacher, images, pictures.labels, call, **epochs).file


def main(arguments: list[str] | None = None) -> None:
    """Report on the shipped files, or run the pipeline and report on what it made."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.compression.report", description=__doc__
    )
    parser.add_argument("--report", action="store_true", help="measure the files in data/")
    parser.add_argument("--seed", type=int, default=keras_training.SEED, help="of the training")
    parser.add_argument("--epochs", type=int, help="under the teacher")
    parser.add_argument("--fine-epochs", type=int, help="with rounding")
    parser.add_argument("--out", type=Path, help="write the new file here")
    chosen = parser.parse_args(arguments)
    if chosen.report:
        print(text())
        return
    if chosen.out is None:
        parser.error("expected --report, or --out FILE to train and write a new file")
    given = {"epochs": chosen.epochs, "fine_epochs": chosen.fine_epochs}
    file = train_again(
        chosen.seed, **{name: count for name, count in given.items() if count is not None}
    )
    chosen.out.write_bytes(file)
    print(f"{chosen.out}: {len(file):,} bytes")
    now, (low, high) = judge(file)
    print(f"points lost to the seed CNN: {now.points:.2f}, 95 % interval {low:.2f} to {high:.2f}")
    print(table(now))


if __name__ == "__main__":
    terminal.run_command(main)
