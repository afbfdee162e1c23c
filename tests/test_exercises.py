"""Every exercise: the stub is not written yet, the reference passes, wrong answers are caught.

Quick and --thorough differ in the number of inputs on which a reference is held against itself,
and in whether the smallest counterexample of a wrong answer is looked for. Every wrong answer
is rejected in both.
"""

import ast
import inspect
import math
import re
import textwrap
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase

from edge_course import checker, data, exercises
from edge_course.exercises import EXERCISES, check, solution
from edge_course.microcontroller.memory_plan import Lifetime
from tests.support.effort import effort
from tests.wrong_answers import WRONG


def stub(**parameters: Any):
    """The stub that a notebook offers."""
    ...


@pytest.mark.parametrize("name", EXERCISES)
def test_stub_is_not_written_yet_and_gets_the_hint(name: str) -> None:
    report = checker.compare(EXERCISES[name], stub)
    assert report.status == "not written yet"
    assert report.hint is EXERCISES[name].hint


@pytest.mark.parametrize("name", EXERCISES)
def test_reference_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "EXAMPLES", effort(20, checker.EXAMPLES))
    monkeypatch.setattr(checker, "SEARCH_SECONDS", 60)  # on a busy machine too
    report = checker.compare(EXERCISES[name], EXERCISES[name].reference)
    assert report.status == "passed", report
    assert report.hint is None


@pytest.mark.parametrize("name", EXERCISES)
def test_there_are_five_wrong_answers(name: str) -> None:
    assert len({wrong.__name__ for wrong in WRONG[name]}) >= 5


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # an overflow may be the mistake
@pytest.mark.parametrize(
    ("name", "wrong"),
    [pytest.param(n, w, id=f"{n}-{w.__name__}") for n, answers in WRONG.items() for w in answers],
)
def test_wrong_answer_is_rejected_with_a_counterexample(
    name: str, wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = checker.PHASES[: effort(1, 2)]
    assert Phase.generate in phases
    monkeypatch.setattr(checker, "PHASES", phases)
    report = checker.compare(EXERCISES[name], wrong)
    assert report.status == "failed"
    shown = dict(report.rows)
    assert set(EXERCISES[name].inputs) <= set(shown), "the input is shown"
    assert "expected" in shown and "why" in shown


def worked_example(name: str) -> tuple[dict[str, Any], Any]:
    """Return the arguments and the result that a hint's example shows."""
    example = EXERCISES[name].hint.example
    call, result = re.match(r"`(.+?)` → `(.+?)`: \S", example).groups()
    values = {"inf": math.inf, "nan": math.nan, "data": data, "Lifetime": Lifetime}
    assert call.startswith(f"{name}(")
    given = eval(f"[{call[len(name) + 1 : -1]}]", values)
    parameters = inspect.signature(EXERCISES[name].reference).parameters
    arguments = dict(zip(parameters, given, strict=False))
    for key, known in next(iter(EXERCISES[name].edge_cases.values())).items():
        if isinstance(known, np.ndarray):  # written as a list there
            arguments[key] = np.array(arguments[key], known.dtype)
    return arguments, eval(result, values)


def parts(result: Any) -> list:
    """Return the arrays, numbers or words that a result is made of."""
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_example_of_a_hint_is_right(name: str) -> None:
    arguments, expected = worked_example(name)
    result = EXERCISES[name].reference(**arguments)
    assert len(parts(result)) == len(parts(expected))
    for part, shown in zip(parts(result), parts(expected), strict=True):
        assert np.shape(part) == np.shape(shown)
        if isinstance(shown, str | bool):
            assert part == shown
        else:
            assert np.allclose(part, shown, rtol=0, atol=0.0051), "rounded to two digits"


@pytest.mark.parametrize("name", EXERCISES)
def test_a_hint_has_three_steps_and_none_is_the_source(name: str) -> None:
    hint = EXERCISES[name].hint
    steps = (hint.approach, hint.example, hint.trap)
    for step in steps:
        assert 40 <= len(step) <= 300
        assert step.endswith((".", "?"))
        assert step.count("`") % 2 == 0
    function = ast.parse(textwrap.dedent(inspect.getsource(EXERCISES[name].reference))).body[0]
    text = re.sub(r"\s", "", " ".join(steps))
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp | ast.Call | ast.Compare | ast.Subscript | ast.ListComp):
            source = re.sub(r"\s", "", ast.unparse(node))
            assert len(source) < 12 or source not in text, source


def test_two_exercises_of_one_name_are_refused() -> None:
    exercise = EXERCISES["standard_error"]
    with pytest.raises(ValueError, match="two exercises are called 'standard_error'"):
        exercises._by_name([exercise, exercise])


def test_every_wrong_answer_belongs_to_an_exercise() -> None:
    assert WRONG.keys() == EXERCISES.keys()


def test_unknown_name_lists_the_exercises() -> None:
    with pytest.raises(ValueError, match=r"no exercise called 'stub'.*standard_error"):
        check(stub)
    with pytest.raises(ValueError, match=r"no exercise called '<lambda>'; write it with def"):
        check(lambda share, count: share)


@pytest.mark.parametrize("result", [None, 0.05])
def test_a_result_instead_of_a_function_is_named(result) -> None:
    with pytest.raises(TypeError, match="expected the function itself"):
        check(result)


def test_the_solution_is_folded_and_without_a_long_docstring(capsys) -> None:
    def quantize(): ...

    solution(quantize)
    shown = capsys.readouterr().out
    assert "def quantize(" in shown and EXERCISES["quantize"].why in shown
    assert "Parameters" not in shown
