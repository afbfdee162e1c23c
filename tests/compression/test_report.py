"""The compressed networks that come with the course keep the budget, and reports say the truth."""

from __future__ import annotations

import numpy as np
import pytest

from edge_course import data, fashion_mnist, measure
from edge_course.compression import budget, report, slim
from edge_course.compression.budget import Budget, Measured
from edge_course.compression.report import CONTROLS, CUT, FILES, PREDICTIONS, STEPS
from edge_course.runtimes import litert


@pytest.fixture(scope="module")
def test_set() -> tuple[np.ndarray, np.ndarray]:
    test = fashion_mnist.load("test")
    return fashion_mnist.preprocess(test.images), test.labels


@pytest.fixture(scope="module")
def found() -> report.Accuracies:
    return report.accuracies()


def test_each_file_is_170_times_smaller_and_int8() -> None:
    original = data.read(report.REFERENCE)
    for name in FILES:
        file = data.read(name)
        assert len(original) / len(file) >= budget.AIM.smaller
        runner = litert.Runner(file, require_int8=True)
        assert runner.input_shape == (28, 28, 1)
        assert slim.slim_file(file) == file  # nothing is left to drop


def test_at_most_half_a_point_is_lost_with_certainty(found: report.Accuracies) -> None:
    assert len(found.compressed) == len(found.reference) == 3
    mean = found.compressed.mean() - found.reference.mean()
    assert found.difference == pytest.approx(mean, abs=1e-12)
    assert -budget.REQUIRED.points / 100 <= found.low < found.difference < found.high


def test_the_interval_is_that_of_the_bootstrap(test_set, found: report.Accuracies) -> None:
    images, labels = test_set
    classes = np.stack([litert.Runner(data.read(name)).predict(images) for name in FILES])
    right, reference = classes == labels, report.reference_classes() == labels
    random, means = np.random.default_rng(0), []
    for _ in range(1000):
        chosen = random.integers(0, len(labels), len(labels))
        means.append(right[:, chosen].mean() - reference[:, chosen].mean())
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)


def test_the_first_row_of_the_reference_is_the_shipped_seed_cnn(test_set) -> None:
    classes = litert.Runner(data.read(report.REFERENCE)).predict(test_set[0])
    np.testing.assert_array_equal(report.reference_classes()[0], classes)


def test_the_last_step_is_what_the_files_predict(test_set) -> None:
    rows = report.predictions(STEPS)["fine_tuned"]
    for row, name in zip(rows, FILES, strict=True):
        np.testing.assert_array_equal(row, litert.Runner(data.read(name)).predict(test_set[0]))


@pytest.mark.parametrize("name", [PREDICTIONS, STEPS, CONTROLS, CUT])
def test_predictions_are_of_the_three_seeds_and_no_guesses(name: str, test_set) -> None:
    for classes in report.predictions(name).values():
        assert (classes.shape, classes.dtype) == ((3, 10000), np.uint8)
        shares = (classes == test_set[1]).mean(axis=1)
        assert (shares > 0.85).all()
        assert len({row.tobytes() for row in classes}) == 3


def test_predictions_of_other_seeds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SEEDS", (1, 2, 3))
    with pytest.raises(data.DataError, match=r"of the seeds \[20 21 22\], not \(1, 2, 3\)"):
        report.predictions(CONTROLS)


def test_measured_takes_the_worst_of_the_files(found: report.Accuracies) -> None:
    seconds = {report.REFERENCE: np.full(4, 10.0)}
    seconds |= {name: np.full(4, float(i)) for i, name in enumerate(FILES, 1)}
    now = report.measured(found, measure.Latency(seconds))
    assert now.faster == pytest.approx(10 / 3)
    largest = max(len(data.read(name)) for name in FILES)
    assert now.smaller == len(data.read(report.REFERENCE)) / largest
    assert now.points == -100 * found.difference


def test_the_table_says_by_how_much() -> None:
    lines = report.table(Measured(150, 0.75, 5.0)).splitlines()
    assert lines[1].endswith("150.00   required 100: met   aim 170: missed by 12%")
    assert lines[2].endswith("0.75   required 0.5: missed by 0.25   aim 0.5: missed by 0.25")
    assert lines[3].endswith("5.00   required 5: met   aim 10: missed by 50%")
    own = report.table(Measured(150, -1.0, 5.0), {"mine": Budget(10, 0, 1)})
    assert "mine 10: met" in own
    assert "mine 0: met" in own


def test_judge_measures_one_file(found: report.Accuracies) -> None:
    now, (low, high) = report.judge(data.read(FILES[0]), seconds=0.2)
    assert now.smaller == len(data.read(report.REFERENCE)) / len(data.read(FILES[0]))
    lost = 100 * (found.reference.mean() - found.compressed[0])
    assert low < now.points < high
    assert now.points == pytest.approx(lost)
    assert now.faster > 0


def test_a_readers_pipeline_is_checked() -> None:
    file, easy = data.read(FILES[0]), Budget(1, 5, 1e-6)

    def verdict(file: object, wanted: Budget = easy) -> str:
        return report.check_pipeline(lambda: file, wanted, seconds=0.2)

    assert verdict(None).startswith("⬜")
    assert verdict(file).startswith("✅")
    assert verdict(file, Budget(1e6, 5, 1e-6)).startswith("❌ the budget is missed")
    for wrong in (b"no model", 7, data.read(report.REFERENCE)):  # the last one is not int8
        assert verdict(wrong).startswith("❌ expected the content of an int8 .tflite file")
    raised = report.check_pipeline(lambda: 1 // 0, easy)
    assert raised == "❌ your function raised ZeroDivisionError: integer division or modulo by zero"


def test_the_report_has_everything(capsys: pytest.CaptureFixture, found) -> None:
    report.main(["--report"])
    text = capsys.readouterr().out
    for name in (report.REFERENCE, *FILES):
        assert f"{name:28}{len(data.read(name)):10,}" in text
    for share in (*found.compressed, *found.reference):
        assert f"{share:.2%}" in text
    assert f"{100 * found.difference:+.2f} points" in text
    with pytest.raises(SystemExit):
        report.main([])
    assert "--report, or --out FILE" in capsys.readouterr().err
