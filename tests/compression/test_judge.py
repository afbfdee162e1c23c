"""One file beside the seed CNN, and the pipeline of a reader."""

from __future__ import annotations

import numpy as np
import pytest

from edge_course import data, fashion_mnist, process, stripes
from edge_course.compression import judge, shipped, slim
from edge_course.compression.budget import Savings
from edge_course.runtimes import litert


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
    assert now.leaner == 108_160 / 7_232


def colour_networks() -> tuple[bytes, bytes, np.ndarray, np.ndarray]:
    """A colour network in float32 and in int8, untrained, with pictures and labels of its own."""
    import torch
    from torch import nn

    from edge_course.frameworks import in_tensorflow
    from edge_course.runtimes import ort

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten())
    network = nn.Sequential(network, nn.Linear(4 * 5 * 7, 6)).eval()
    images, labels = stripes.pictures(200, (12, 16, 3), classes=6)
    exported = ort.export(network, (3, 12, 16))
    with process.another() as call:
        real = call(in_tensorflow.litert_file, exported, "float32")
        return real, call(in_tensorflow.litert_file, exported, "int8", images[:50]), images, labels


@pytest.fixture(scope="module")
def colour(call) -> tuple[bytes, bytes, np.ndarray, np.ndarray]:
    return call(colour_networks)


def test_any_labelled_pictures_and_any_original(colour) -> None:
    real, file, images, labels = colour
    now, (low, high) = judge.judge(file, judge.to_replace(real, images, labels), seconds=0.1)
    before, after = (litert.Runner(f).predict(images) == labels for f in (real, file))
    assert now.points == pytest.approx(100 * (before.mean() - after.mean()))
    assert low <= now.points <= high
    assert now.smaller == len(real) / len(file)
    # Float: 12 × 16 × 3 in, 5 × 7 × 4 out, four bytes each; int8: one byte each.
    assert now.leaner == 4
    wanted = Savings(1, 100, 1e-6, 4)
    said = judge.check_pipeline(
        lambda: file, wanted, judge.to_replace(real, images, labels), seconds=0.1
    )
    assert said.startswith("✅")


def test_what_does_not_fit_is_named(colour) -> None:
    real, file, images, labels = colour
    with pytest.raises(ValueError, match="expected labels from 0 to 5, as the network gives 6"):
        judge.to_replace(real, images, labels + 1)
    with pytest.raises(ValueError, match="expected 200 integer labels, got float64"):
        judge.to_replace(real, images, labels.astype(np.float64))
    with pytest.raises(ValueError, match=r"\(200, 28, 28, 1\)"):
        judge.to_replace(real, np.zeros((200, 28, 28, 1), np.float32), labels)
    with pytest.raises(ValueError, match=r"12, 16, 3"):
        judge.judge(file)  # the course's pictures are of another shape
    with pytest.raises(ValueError, match="parts all, choose, verdict, got 'half'"):
        judge.course_original("half")


def test_choice_and_verdict_share_no_picture() -> None:
    parts = [judge.course_original(part) for part in ("choose", "verdict")]
    whole = judge.course_original()
    for field in ("images", "labels"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, field))
    np.testing.assert_array_equal(np.hstack([part.right for part in parts]), whole.right)


def test_the_exercise_can_be_solved_but_not_without_thought() -> None:
    plain, against = data.read("plain_cnn_16.tflite"), judge.course_original("verdict")
    wanted = Savings(smaller=200, points=3, faster=1.5, leaner=20)

    def verdict(file: bytes) -> str:
        return judge.check_pipeline(lambda: file, wanted, against, seconds=0.3)

    assert verdict(slim.slim_file(plain)).startswith("✅")
    for file in (plain, data.read(shipped.FILES[0]), data.read("seed_cnn_int8.tflite")):
        assert verdict(file).startswith("❌ the budget is missed")


def test_a_readers_pipeline_is_checked() -> None:
    file, easy = data.read(shipped.FILES[0]), Savings(1, 5, 1e-6, 1)

    def verdict(file: object, wanted: Savings = easy) -> str:
        return judge.check_pipeline(lambda: file, wanted, seconds=0.2)

    assert verdict(None).startswith("⬜")
    assert verdict(file).startswith("✅")
    assert verdict(file, Savings(1e6, 5, 1e-6, 1)).startswith("❌ the budget is missed")
    for wrong in (b"no model", 7, data.read(shipped.REFERENCE)):  # the last one is not int8
        assert verdict(wrong).startswith("❌ expected the content of an int8 .tflite file")
    raised = judge.check_pipeline(lambda: 1 // 0, easy)
    assert raised == "❌ your function raised ZeroDivisionError: integer division or modulo by zero"
