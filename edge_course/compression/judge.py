"""Does somebody's file keep a budget? It is measured beside the network that it replaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edge_course import data, fashion_mnist, measure
from edge_course.compression.budget import Savings, budget_table, missed, paired_difference
from edge_course.compression.shipped import REFERENCE, reference_classes
from edge_course.cost_models.activation_memory import peak_bytes
from edge_course.runtimes import litert

PARTS = {"all": slice(None), "choose": slice(0, 5000), "verdict": slice(5000, None)}


class Original(NamedTuple):
    """What a file is measured against: the network that it is to replace, and labelled inputs.

    Attributes
    ----------
    file : the content of its ``.tflite`` file, usually in float32.
    images : float32 (n, …), as the file takes them.
    labels : integer classes (n,).
    right : bool (networks, n): what it got right, and others like it from other seeds.
    """

    file: bytes
    images: np.ndarray
    labels: np.ndarray
    right: np.ndarray


def to_replace(file: bytes, images: np.ndarray, labels: np.ndarray) -> Original:
    """Return a network with labelled inputs, as something to `judge` other files against.

    Parameters
    ----------
    file : the content of a ``.tflite`` file, in float32 or int8, that gives scores (n, classes).
    images : float32 (n, …), at least two, as the file takes them: of any shape.
    labels : integer classes (n,).

    Raises
    ------
    ValueError
        If the images are not as the file takes them, or the labels are not its classes.
    edge_course.runtimes.model_files.ModelError
        If it is no such file.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    answers = _right(litert.Runner(file), images, labels)
    return Original(file, images, labels, answers[np.newaxis])


def course_original(part: str = "all") -> Original:
    """Return the seed CNN with test pictures; its accuracy is that of the reference networks.

    Size, time and memory are those of the shipped file. Right or wrong are the seed CNNs that
    were trained as the compressed ones are, from all `shipped.SEEDS`.

    Parameters
    ----------
    part : "all" test pictures; or the halves to "choose" by, and for the "verdict" afterwards.

    Raises
    ------
    ValueError
        If there is no such part.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    if part not in PARTS:
        raise ValueError(f"expected one of the parts {', '.join(PARTS)}, got {part!r}")
    test, chosen = fashion_mnist.load("test"), PARTS[part]
    images, labels = fashion_mnist.preprocess(test.images[chosen]), test.labels[chosen]
    return Original(data.read(REFERENCE), images, labels, reference_classes()[:, chosen] == labels)


def judge(
    file: bytes, against: Original | None = None, *, seconds: float = 1.0
) -> tuple[Savings, tuple[float, float]]:
    """Measure one int8 LiteRT file beside the network that it is to replace.

    Parameters
    ----------
    file : the content of a ``.tflite`` file that takes and returns int8, of any input shape and
        number of classes.
    against : as `to_replace` returns it; by default `course_original`.
    seconds : to spend on timing, roughly.

    Returns
    -------
    tuple
        The four numbers of a budget; and the 95 % interval of the points lost, over pictures.

    Raises
    ------
    ValueError
        If the file does not take those pictures, or the labels are not its classes.
    edge_course.runtimes.model_files.ModelError
        If it is not such a file.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    against = course_original() if against is None else against
    runner, first = litert.Runner(file, require_int8=True), litert.Runner(against.file)
    right = _right(runner, against.images, against.labels)[np.newaxis]
    gained, low, high = paired_difference(right, against.right)
    x = against.images[:1]
    timed = measure.latency(
        {"file": runner.invoker(x), "original": first.invoker(x)}, seconds=seconds
    )
    now = Savings(
        smaller=measure.file_bytes(against.file) / measure.file_bytes(file),
        points=-100 * gained,
        faster=timed.ratio("original", "file").median,
        leaner=peak_bytes(against.file) / peak_bytes(file),
    )
    return now, (-100 * high, -100 * low)


def check_pipeline(
    pipeline: Callable[[], bytes | None],
    budget: Savings,
    against: Original | None = None,
    *,
    seconds: float = 1.0,
) -> str:
    """Run somebody's pipeline and say whether the file that it returns keeps a budget.

    Parameters
    ----------
    pipeline : takes nothing, returns the content of an int8 ``.tflite`` file.
    budget : what the file may cost.
    against : as `to_replace` returns it; by default `course_original`.
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
        now, (low, high) = judge(file, against, seconds=seconds)
    except (litert.ModelError, TypeError, ValueError) as error:
        return f"❌ expected the content of an int8 .tflite file: {error}"
    verdict = "❌ the budget is missed" if any(missed(now, budget)) else "✅ within the budget"
    return (
        f"{verdict}\n{budget_table(now, {'budget': budget})}\n"
        f"95 % interval of the points lost: {low:.2f} to {high:.2f}"
    )


def _right(runner: litert.Runner, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which labelled pictures a network is right about, bool (n,)."""
    scores, labels = runner.scores(images), np.asarray(labels)
    if scores.ndim != 2:
        raise ValueError(f"expected a network that gives scores (n, classes), got {scores.shape}")
    count, classes = scores.shape
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(f"expected {count} integer labels, got {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"expected labels from 0 to {classes - 1}, as the network gives {classes} scores, got "
            f"{labels.min()} to {labels.max()}"
        )
    return scores.argmax(axis=1) == labels
