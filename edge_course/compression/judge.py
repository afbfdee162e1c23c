"""Does somebody's file keep a budget? It is measured beside the seed CNN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_course import data, fashion_mnist, measure
from edge_course.compression.budget import Savings, budget_table, missed, paired_difference
from edge_course.compression.shipped import REFERENCE, reference_classes
from edge_course.runtimes import litert


def judge(file: bytes, *, seconds: float = 1.0) -> tuple[Savings, tuple[float, float]]:
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
    return Savings(smaller, -100 * gained, faster), (-100 * high, -100 * low)


def check_pipeline(
    pipeline: Callable[[], bytes | None], budget: Savings, *, seconds: float = 1.0
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
        f"{verdict}\n{budget_table(now, {'budget': budget})}\n"
        f"95 % interval of the points lost: {low:.2f} to {high:.2f}"
    )
