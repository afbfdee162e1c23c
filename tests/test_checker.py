"""The checker tells right from wrong, and says in one friendly line what is wrong."""

import copy
import functools
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import checker, student_call

HINT = checker.Hint("Think of `x < 2`.", "`double([1])` → `[2]`: twice.", "Not the square.")


def double(values: np.ndarray) -> np.ndarray:
    """Return twice the values."""
    return 2 * values


DOUBLE = checker.Exercise(
    double,
    {"values": arrays(np.int32, st.integers(0, 4), elements=st.integers(-9, 9))},
    why="Two times each value.",
    hint=HINT,
)


def named(name: str, body: str):
    """A student's function, made from source."""
    namespace: dict[str, Any] = {"np": np}
    exec(
        f"def {name}(values):\n" + "\n".join(f"    {line}" for line in body.splitlines()), namespace
    )
    return namespace[name]


@pytest.mark.parametrize("body", ["...", "pass", '"""With a docstring."""', '"""Doc."""\n...'])
def test_what_counts_as_a_stub(body: str) -> None:
    assert checker.compare(DOUBLE, named("double", body)).status == "not written yet"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('no idea\\nat all')", "it raised ValueError: no idea"),
        ("while True: pass", "it did not finish within 0.3 s"),
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
def test_misbehaviour_is_reported_in_one_line(
    body: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student_call, "CALL_SECONDS", 0.3)
    report = checker.compare(DOUBLE, named("double", body))
    assert report.status == "failed"
    assert expected in report.headline
    assert "\n" not in report.headline


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ({"a": 1, "b": (2, 3)}, ""),
        ({"b": (2, 3), "a": 1}, ""),
        ({"a": 1, "b": (2, 4)}, "the values differ"),
        ({"a": 1}, "expected a dict with the keys ['a', 'b'], got {'a': 1}"),
        ([1, (2, 3)], "expected a dict"),
    ],
)
def test_results_with_names(result, problem: str) -> None:
    def named_parts(values):
        return {"a": 1, "b": (2, 3)}

    exercise = checker.Exercise(named_parts, DOUBLE.inputs, why="Known.", hint=HINT)
    report = checker.compare(exercise, lambda values: result)
    assert (report.status == "passed") == (not problem)
    assert problem in report.headline


def test_nan_is_named() -> None:
    halve = checker.Exercise(lambda x: x / 2, {"x": st.floats(0, 1)}, why="Half.", hint=HINT)
    assert "NaN" in checker.compare(halve, lambda x: float("nan")).headline


def test_the_counterexample_is_the_smallest() -> None:
    report = checker.compare(DOUBLE, named("double", "return np.abs(2 * values)"))
    assert dict(report.rows)["values"].splitlines()[0] == "[-1]"


def test_inputs_are_the_same_on_every_run() -> None:
    seen: list[list[int]] = []

    def note(values: np.ndarray) -> np.ndarray:
        seen[-1].append(values.tolist())
        return 2 * values

    for _ in range(2):
        seen.append([])
        checker.compare(DOUBLE, note)
    assert seen[0] == seen[1]
    assert len({str(v) for v in seen[0]}) > 20


def test_wrong_parameters_are_named() -> None:
    report = checker.compare(DOUBLE, lambda x: x)
    assert report.headline == "❌ double: expected the parameters (values), got (x)"


def test_an_optional_parameter_can_be_left_out_of_an_exercise() -> None:
    def scaled(values: np.ndarray, factor: int = 2) -> np.ndarray:
        return factor * values

    exercise = checker.Exercise(scaled, DOUBLE.inputs, why="Two times each value.", hint=HINT)
    assert checker.compare(exercise, lambda values: 2 * values).status == "passed"
    assert checker.compare(exercise, lambda values: 3 * values).status == "failed"


def test_edge_cases_come_first_and_are_named() -> None:
    exercise = checker.Exercise(
        double, DOUBLE.inputs, DOUBLE.why, HINT, edge_cases={"big": {"values": np.array([10**6])}}
    )
    report = checker.compare(exercise, named("double", "return np.minimum(2 * values, 10**6)"))
    assert "(big)" in report.headline


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True), (np.True_, True), (3, 3), (3.0, 3), (np.float32(0.5), 0.5),
        ((1, 2.0), (1, 2.0)), ([1, 2.0], (1, 2.0)), ("cloud", "cloud"), (np.float64("nan"), np.nan),
    ],
)  # fmt: skip
def test_equal_results_are_accepted(value, expected) -> None:
    exercise = checker.Exercise(lambda x: expected, {"x": st.just(0)}, why="", hint=HINT)
    assert checker.compare(exercise, lambda x: copy.copy(value)).status == "passed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, True), (False, True), ("True", True), (4, 3), (3.1, 3), ("edge", "cloud"),
        ((1,), (1, 2)), (5, (1, 2)), ({}, 3), (np.zeros(3), 3.0), (np.nan, 1.0), (object(), 3),
    ],
)  # fmt: skip
def test_other_results_are_rejected(value, expected) -> None:
    exercise = checker.Exercise(lambda x: expected, {"x": st.just(0)}, why="", hint=HINT)
    assert checker.compare(exercise, lambda x: copy.copy(value)).status == "failed"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for a few slow calls, as when each took a second on a slow machine."""
    monkeypatch.setattr(checker, "SEARCH_SECONDS", 0.12)


def slowly(function, seconds: float = 0.05):
    @functools.wraps(function)
    def slow(**arguments):
        time.sleep(seconds)
        return function(**arguments)

    return slow


NAMED = {f"{n} numbers": {"values": np.full(n, -1, np.int32)} for n in range(5)}


def test_named_cases_are_tried_however_slow_the_answer_is(impatient) -> None:
    exercise = checker.Exercise(double, DOUBLE.inputs, "Twice.", HINT, NAMED)
    wrong = named("double", "return np.where(len(values) == 4, 0, 2 * values).astype(np.int32)")
    report = checker.compare(exercise, slowly(wrong))
    assert report.status == "failed"
    assert "(4 numbers)" in report.headline


def test_right_on_a_few_inputs_is_not_passed(impatient) -> None:
    exercise = checker.Exercise(double, DOUBLE.inputs, "Twice.", HINT, NAMED)
    report = checker.compare(exercise, slowly(double))
    assert report.status == "not finished"
    assert report.headline.startswith("⏳ double: right so far, but time was up after ")
    assert report.hint is HINT


def test_right_on_enough_inputs_is_passed_and_says_how_many(monkeypatch) -> None:
    monkeypatch.setattr(checker, "SEARCH_SECONDS", 0.3)
    monkeypatch.setattr(checker, "FEWEST_EXAMPLES", 2)
    report = checker.compare(DOUBLE, slowly(double))
    assert report.status == "passed"
    assert "inputs tried until time was up" in report.headline


def test_a_module_that_is_imported_first_takes_no_time(impatient, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(student_call, "CALL_SECONDS", 0.3)
    (tmp_path / "large_framework.py").write_text(
        "import time\nfor _ in range(40):\n    time.sleep(0.02)\ntwo = 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(checker, "SEARCH_SECONDS", 0.6)
    answer = named("double", "import large_framework\nreturn large_framework.two * values")
    assert checker.compare(DOUBLE, answer).status == "passed"


def test_an_answer_that_differs_from_call_to_call_is_wrong() -> None:
    calls = []

    def double(values):
        calls.append(1)
        return 2 * values + (len(calls) == 7)

    report = checker.compare(DOUBLE, double)
    assert report.status == "failed"
    assert "the values differ" in report.headline


class Doubler:
    def __init__(self, values):
        self.values = 2 * values


@pytest.mark.parametrize(
    ("function", "status"),
    [
        (functools.cache(lambda values: 2 * values), "failed"),  # arrays cannot be looked up
        (functools.partial(lambda factor, values: factor * values, 2), "passed"),
        (np.vectorize(lambda values: 2 * values, otypes=[np.int32]), "passed"),
        (lambda *, values: 2 * values, "passed"),
        (lambda **given: 2 * given["values"], "passed"),
        (np.vectorize(named("double", "...")), "not written yet"),
        (functools.cache(named("double", "...")), "not written yet"),
        (Doubler, "failed"),
        (abs, "failed"),
        (np.negative, "failed"),
    ],
)
def test_whatever_can_be_called_gets_an_answer(function, status: str) -> None:
    report = checker.compare(DOUBLE, function)
    assert report.status == status, report
    assert "\n" not in report.headline


def test_the_hint_is_folded_and_only_where_it_helps() -> None:
    wrong = checker.compare(DOUBLE, named("double", "return 3 * values"))._repr_html_()
    assert wrong.count("<details>") == 3
    assert "Think of <code>x &lt; 2</code>." in wrong
    right = checker.compare(DOUBLE, double)._repr_html_()
    assert "<details>" not in right


def test_report_escapes_html() -> None:
    report = checker.Report("failed", "❌ <b>", (("x", "<script>"),))
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()
