"""One file beside the seed CNN, and the pipeline of a reader."""

from __future__ import annotations

import pytest

from edge_course import data, fashion_mnist
from edge_course.compression import judge, shipped
from edge_course.compression.budget import Savings


def test_judge_measures_one_file() -> None:
    now, (low, high) = judge.judge(data.read(shipped.FILES[0]), seconds=0.2)
    sizes = [len(data.read(name)) for name in (shipped.REFERENCE, shipped.FILES[0])]
    assert now.smaller == sizes[0] / sizes[1]
    labels = fashion_mnist.load("test").labels
    answers = shipped.predictions(shipped.STEPS)["fine_tuned"][0]  # as the recipe kept them
    lost = (shipped.reference_classes() == labels).mean() - (answers == labels).mean()
    assert low < now.points < high
    assert now.points == pytest.approx(100 * lost)
    assert now.faster > 0


def test_a_readers_pipeline_is_checked() -> None:
    file, easy = data.read(shipped.FILES[0]), Savings(1, 5, 1e-6)

    def verdict(file: object, wanted: Savings = easy) -> str:
        return judge.check_pipeline(lambda: file, wanted, seconds=0.2)

    assert verdict(None).startswith("⬜")
    assert verdict(file).startswith("✅")
    assert verdict(file, Savings(1e6, 5, 1e-6)).startswith("❌ the budget is missed")
    for wrong in (b"no model", 7, data.read(shipped.REFERENCE)):  # the last one is not int8
        assert verdict(wrong).startswith("❌ expected the content of an int8 .tflite file")
    raised = judge.check_pipeline(lambda: 1 // 0, easy)
    assert raised == "❌ your function raised ZeroDivisionError: integer division or modulo by zero"
