"""What the compressed networks that come with the course save and lose, and that reports say it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_course import data, fashion_mnist, measure
from edge_course.compression import budget, shipped, slim
from edge_course.compression.shipped import (
    CONTROLS,
    CUT,
    FILES,
    PLAIN,
    PREDICTIONS,
    REFERENCES,
    STEPS,
)
from edge_course.cost_models.activation_memory import peak_bytes
from edge_course.runtimes import litert


@pytest.fixture(scope="module")
def test_set() -> tuple[np.ndarray, np.ndarray]:
    test = fashion_mnist.load("test")
    return fashion_mnist.preprocess(test.images), test.labels


@pytest.fixture(scope="module")
def shares() -> shipped.Accuracies:
    return shipped.accuracies()


def test_each_file_is_170_times_smaller_and_int8() -> None:
    original = data.read(shipped.REFERENCE)
    for name in FILES:
        file = data.read(name)
        assert len(original) / len(file) >= budget.AIM.smaller
        runner = litert.Runner(file, require_int8=True)
        assert runner.input_shape == (28, 28, 1)
        assert slim.slim_file(file) == file  # nothing is left to drop


def test_the_budget_of_accuracy_is_missed_against_networks_trained_as_well(shares) -> None:
    assert len(shares.compressed) == len(shares.reference) == 3
    mean = shares.compressed.mean() - shares.reference.mean()
    assert shares.difference == pytest.approx(mean, abs=1e-12)
    assert -0.015 < shares.low < shares.difference < -budget.REQUIRED.points / 100
    assert shares.high < 0  # lost for certain, as far as other pictures go


def test_against_a_weak_reference_it_looks_like_a_gain(shares, test_set) -> None:
    weak = shipped.predictions(PREDICTIONS)["classes"] == test_set[1]
    assert weak.mean() + 0.02 < shares.compressed.mean()


def test_the_plain_opponent(test_set) -> None:
    rows = shipped.predictions(PLAIN)
    for width in shipped.PLAIN_WIDTHS:
        file = data.read(f"plain_cnn_{width}.tflite")
        answers = litert.Runner(file, require_int8=True).predict(test_set[0])
        np.testing.assert_array_equal(answers, rows[f"width_{width}"][0])
        assert peak_bytes(file) == 7 * 7 * (2 + 4) * width  # of the last convolution


def test_the_interval_is_that_of_the_bootstrap(test_set, shares: shipped.Accuracies) -> None:
    images, labels = test_set
    classes = np.stack([litert.Runner(data.read(name)).predict(images) for name in FILES])
    right, reference = classes == labels, shipped.reference_classes() == labels
    random, means = np.random.default_rng(0), []
    for _ in range(1000):
        chosen = random.integers(0, len(labels), len(labels))
        means.append(right[:, chosen].mean() - reference[:, chosen].mean())
    low, high = np.percentile(means, [2.5, 97.5])
    assert (shares.low, shares.high) == pytest.approx((low, high), abs=5e-4)


def test_the_first_row_of_the_short_trainings_is_the_shipped_seed_cnn(test_set) -> None:
    classes = litert.Runner(data.read(shipped.REFERENCE)).predict(test_set[0])
    np.testing.assert_array_equal(shipped.predictions(PREDICTIONS)["classes"][0], classes)


def test_the_last_step_is_what_the_files_predict(test_set) -> None:
    rows = shipped.predictions(STEPS)["fine_tuned"]
    for row, name in zip(rows, FILES, strict=True):
        np.testing.assert_array_equal(row, litert.Runner(data.read(name)).predict(test_set[0]))


@pytest.mark.parametrize("name", [PREDICTIONS, REFERENCES, PLAIN, STEPS, CONTROLS, CUT])
def test_predictions_are_of_the_three_seeds_and_no_guesses(name: str, test_set) -> None:
    for classes in shipped.predictions(name).values():
        assert (classes.shape, classes.dtype) == ((3, 10000), np.uint8)
        assert ((classes == test_set[1]).mean(axis=1) > 0.85).all()
        assert len({row.tobytes() for row in classes}) == 3


def test_predictions_of_other_seeds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "SEEDS", (1, 2, 3))
    with pytest.raises(data.DataError, match=r"of the seeds \[20 21 22\], not \(1, 2, 3\)"):
        shipped.predictions(CONTROLS)


def test_measured_takes_the_worst_of_the_files(shares: shipped.Accuracies) -> None:
    seconds = {shipped.REFERENCE: np.full(4, 10.0)}
    seconds |= {name: np.full(4, float(i)) for i, name in enumerate(FILES, 1)}
    now = shipped.measured(shares, measure.Latency(seconds))
    assert now.faster == pytest.approx(10 / 3)
    largest = max(len(data.read(name)) for name in FILES)
    assert now.smaller == len(data.read(shipped.REFERENCE)) / largest
    assert now.points == -100 * shares.difference
    assert now.leaner == 108_160 / 7_232


def test_the_report_has_everything(capsys: pytest.CaptureFixture, shares) -> None:
    shipped.main([])
    text = capsys.readouterr().out
    for name in (shipped.REFERENCE, *FILES):
        assert f"{name:28}{len(data.read(name)):10,}" in text
        assert f"{peak_bytes(data.read(name)):,}" in text
    for share in (*shares.compressed, *shares.reference):
        assert f"{share:.2%}" in text
    assert f"{100 * shares.difference:+.2f} points" in text
    with pytest.raises(SystemExit, match="0"):  # before anything is measured
        shipped.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m edge_course.compression.shipped")
