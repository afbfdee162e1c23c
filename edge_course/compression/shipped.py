"""What the course's compressed networks save beside the seed CNN: bytes, accuracy, latency.

`python -m edge_course.compression.shipped` measures the files in ``data/`` and prints it.
"""

from __future__ import annotations

import argparse
import io
from typing import NamedTuple

import numpy as np

from edge_course import data, fashion_mnist, measure, terminal
from edge_course.compression.budget import Savings, budget_table, paired_difference
from edge_course.cost_models.activation_memory import peak_bytes
from edge_course.distillation import paired
from edge_course.networks import keras_training
from edge_course.runtimes import litert

SEEDS = tuple(keras_training.SEED + i for i in range(3))  # of both; the first is the course's
FILES = tuple(f"compressed_{seed}.tflite" for seed in SEEDS)
PREDICTIONS = "seed_cnn_predictions.npz"
REFERENCES = "seed_cnn_taught.npz"
STEPS = "compressed_steps.npz"
CONTROLS = "compressed_controls.npz"
CUT = "compressed_cut.npz"
PLAIN_WIDTHS = (16, 20, 24)  # 20: as many bytes as the compressed files
PLAIN = "plain_cnn_predictions.npz"
REFERENCE = "seed_cnn_float32.tflite"


class Accuracies(NamedTuple):
    """The accuracies on the test images, one for each seed, and their difference.

    Attributes
    ----------
    compressed, reference : float64 (seeds,), from 0 to 1.
    difference, low, high : the mean of the compressed less that of the seed CNN, and its 95 %
        interval over test pictures.

    The seed CNNs are the references: trained by the same recipe as the compressed networks.
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
    """Return what the references predict, uint8 (seeds, 10000).

    They are seed CNNs from `SEEDS`, trained as the compressed networks are: as many epochs, under
    the same teacher, with pictures mirrored and moved.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    return predictions(REFERENCES)["classes"]


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


def measured(shares: Accuracies, timed: measure.Latency) -> Savings:
    """Return the four numbers of a budget: of the largest file, the slowest, the hungriest."""
    files = [data.read(name) for name in FILES]
    original = data.read(REFERENCE)
    return Savings(
        smaller=measure.file_bytes(original) / max(map(measure.file_bytes, files)),
        points=-100 * shares.difference,
        faster=min(timed.ratio(REFERENCE, name).median for name in FILES),
        leaner=peak_bytes(original) / max(map(peak_bytes, files)),
    )


def shipped_text(seconds: float = 3.0) -> str:
    """Return everything about the shipped files as text: sizes, accuracies, latencies, verdict.

    Parameters
    ----------
    seconds : to spend on timing.
    """
    rights, timed = accuracies(), course_latency(seconds)
    header = f"{'file':28}{'bytes':>10}{'gzip':>10}{'peak RAM':>10}{'accuracy':>10}"
    lines = [f"{header}   µs for a picture"]
    shares = dict(zip(FILES, rights.compressed, strict=True))
    plain = predictions(PREDICTIONS)["classes"] == fashion_mnist.load("test").labels
    shares[REFERENCE] = plain[0].mean()
    for name in (REFERENCE, *FILES):
        content = data.read(name)
        sizes = f"{measure.file_bytes(content):10,}{measure.gzip_bytes(content):10,}"
        sizes += f"{peak_bytes(content):10,}"
        lines.append(f"{name:28}{sizes}{shares[name]:10.2%}   {timed.microseconds(name)}")
    lines += [
        "",
        f"seed CNN after 5 epochs, seeds {SEEDS}: "
        + ", ".join(f"{share:.2%}" for share in plain.mean(axis=1)),
        f"the same recipe, seeds {SEEDS}: "
        + ", ".join(f"{share:.2%}" for share in rights.reference),
        f"compressed, seeds {SEEDS}: " + ", ".join(f"{share:.2%}" for share in rights.compressed),
        f"compressed less seed CNN, both by the same recipe: {100 * rights.difference:+.2f} "
        f"points, 95 % interval over pictures {100 * rights.low:+.2f} to {100 * rights.high:+.2f}",
        f"over seeds: {paired.gain(rights.reference, rights.compressed)}",
        "",
        budget_table(measured(rights, timed)),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.compression.shipped", description=__doc__
    )
    parser.parse_args(arguments)
    print(shipped_text())


if __name__ == "__main__":
    terminal.run_command(main)
