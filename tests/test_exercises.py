"""Every exercise: the stub is not written yet, the reference passes, wrong answers are caught."""

import copy
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import check, listing
from edge_course.exercises import EXERCISES
from edge_course.exercises import check as check_by_name
from tests.wrong_answers import WRONG


def double(values: np.ndarray) -> np.ndarray:
    """Return twice the values."""
    return 2 * values


DOUBLE = check.Exercise(
    double,
    {"values": arrays(np.int32, st.integers(0, 4), elements=st.integers(-9, 9))},
    why="Two times each value.",
)


def stub(**parameters: Any):
    """The stub that a notebook offers."""
    ...


def named(name: str, body: str):
    """A student's function, made from source."""
    namespace: dict[str, Any] = {"np": np}
    exec(
        f"def {name}(values):\n" + "\n".join(f"    {line}" for line in body.splitlines()), namespace
    )
    return namespace[name]


@pytest.mark.parametrize("name", EXERCISES)
def test_stub_is_not_written_yet(name: str) -> None:
    assert check.compare(EXERCISES[name], stub).status == "not written yet"


@pytest.mark.parametrize("name", EXERCISES)
def test_reference_passes(name: str) -> None:
    report = check.compare(EXERCISES[name], EXERCISES[name].reference)
    assert report.status == "passed", report


@pytest.mark.parametrize("name", EXERCISES)
def test_there_are_five_wrong_answers(name: str) -> None:
    assert len({wrong.__name__ for wrong in WRONG[name]}) >= 5


@pytest.mark.parametrize(
    ("name", "wrong"),
    [pytest.param(n, w, id=f"{n}-{w.__name__}") for n, answers in WRONG.items() for w in answers],
)
def test_wrong_answer_is_rejected_with_a_counterexample(name: str, wrong) -> None:
    report = check.compare(EXERCISES[name], wrong)
    assert report.status == "failed"
    shown = dict(report.rows)
    assert set(EXERCISES[name].inputs) <= set(shown), "the input is shown"
    assert "expected" in shown and "why" in shown


@pytest.mark.parametrize("body", ["...", "pass", '"""With a docstring."""', '"""Doc."""\n...'])
def test_what_counts_as_a_stub(body: str) -> None:
    assert check.compare(DOUBLE, named("double", body)).status == "not written yet"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('no idea\\nat all')", "it raised ValueError: no idea"),
        ("while True: pass", "it did not finish within 1.5 s"),
        ("while True:\n    try:\n        pass\n    except Exception:\n        pass", "not finish"),
        ("import time\ntime.sleep(60)", "it did not finish"),
        ("return 2 * values[:-1]", "the shape is"),
        ("return values.reshape(1, -1) * 2", "the shape is"),
        ("return values * 2.0", "the dtype is float64, expected int32"),
        ("return 2 * values.astype('float32') * np.nan", "the dtype is float32"),
        ("return list(2 * values)", "got a list"),
        ("return '2'", "got a str"),
        ("return [values, None]", "got a list"),
        ("values * 2\nreturn", "is a return missing?"),
        ("values *= 2\nreturn values", "changed its input"),
        ("raise SystemExit", "it raised SystemExit"),
        ("return 3 * values", "the values differ"),
    ],
)
def test_misbehaviour_is_reported_in_one_line_within_five_seconds(body: str, expected: str) -> None:
    begin = time.monotonic()
    report = check.compare(DOUBLE, named("double", body))
    assert time.monotonic() - begin < 5
    assert report.status == "failed"
    assert expected in report.headline
    assert "\n" not in report.headline


def test_nan_is_named() -> None:
    halve = check.Exercise(lambda x: x / 2, {"x": st.floats(0, 1)}, why="Half.")
    assert "NaN" in check.compare(halve, lambda x: float("nan")).headline


def test_the_counterexample_is_the_smallest() -> None:
    report = check.compare(DOUBLE, named("double", "return np.abs(2 * values)"))
    assert dict(report.rows)["values"].splitlines()[0] == "[-1]"


def test_inputs_are_the_same_on_every_run() -> None:
    seen: list[list[int]] = []

    def note(values: np.ndarray) -> np.ndarray:
        seen[-1].append(values.tolist())
        return 2 * values

    for _ in range(2):
        seen.append([])
        check.compare(DOUBLE, note)
    assert seen[0] == seen[1]
    assert len({str(v) for v in seen[0]}) > 20


def test_wrong_parameters_are_named() -> None:
    report = check.compare(DOUBLE, lambda x: x)
    assert report.headline == "❌ double: expected the parameters (values), got (x)"


def test_an_optional_parameter_can_be_left_out_of_an_exercise() -> None:
    def scaled(values: np.ndarray, factor: int = 2) -> np.ndarray:
        return factor * values

    exercise = check.Exercise(scaled, DOUBLE.inputs, why="Two times each value.")
    assert check.compare(exercise, lambda values: 2 * values).status == "passed"
    assert check.compare(exercise, lambda values: 3 * values).status == "failed"


def test_unknown_name_lists_the_exercises() -> None:
    with pytest.raises(ValueError, match=r"no exercise called 'stub'.*standard_error"):
        check_by_name(stub)


def test_edge_cases_come_first_and_are_named() -> None:
    exercise = check.Exercise(
        double, DOUBLE.inputs, DOUBLE.why, edge_cases={"big": {"values": np.array([10**6])}}
    )
    report = check.compare(exercise, named("double", "return np.minimum(2 * values, 10**6)"))
    assert "(big)" in report.headline


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True), (np.True_, True), (3, 3), (3.0, 3), (np.float32(0.5), 0.5),
        ((1, 2.0), (1, 2.0)), ([1, 2.0], (1, 2.0)), ("cloud", "cloud"), (np.float64("nan"), np.nan),
    ],
)  # fmt: skip
def test_equal_results_are_accepted(value, expected) -> None:
    exercise = check.Exercise(lambda x: expected, {"x": st.just(0)}, why="")
    assert check.compare(exercise, lambda x: copy.copy(value)).status == "passed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, True), (False, True), ("True", True), (4, 3), (3.1, 3), ("edge", "cloud"),
        ((1,), (1, 2)), (5, (1, 2)), ({}, 3), (np.zeros(3), 3.0), (np.nan, 1.0), (object(), 3),
    ],
)  # fmt: skip
def test_other_results_are_rejected(value, expected) -> None:
    exercise = check.Exercise(lambda x: expected, {"x": st.just(0)}, why="")
    assert check.compare(exercise, lambda x: copy.copy(value)).status == "failed"


def test_show_displays_the_source(capsys: pytest.CaptureFixture) -> None:
    listing.show(double)
    assert "return 2 * values" in capsys.readouterr().out


def test_report_escapes_html() -> None:
    report = check.Report("failed", "❌ <b>", (("x", "<script>"),))
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()
