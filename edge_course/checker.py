"""Exercises that check themselves.

A student's function is compared with the packaged one on inputs that Hypothesis
generates, and on named edge cases; the smallest input that tells them apart is shown.
"""

from __future__ import annotations

import contextlib
import copy
import dis
import html
import inspect
import re
import textwrap
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import Flaky, HypothesisWarning, NoSuchExample
from hypothesis.strategies import SearchStrategy, fixed_dictionaries

from edge_course.student_call import Outcome, call_student, unwrapped

EXAMPLES = 100  # inputs to try
PHASES = (Phase.generate, Phase.shrink)
FEWEST_EXAMPLES = 10  # right on fewer than these, and on all named cases, is not enough to pass
SEARCH_SECONDS = 3.0  # the search for a counterexample, and for a smaller one


@dataclass(frozen=True)
class Hint:
    """Help for an exercise in three steps, none of which is the solution.

    Attributes
    ----------
    approach : how to think about it.
    example : "`a call` → `its result`", worked out by hand.
    trap : what wrong answers usually get wrong.
    """

    approach: str
    example: str
    trap: str

    def _repr_html_(self) -> str:
        return "".join(
            f"<details><summary>Hint: {step}</summary>{_html(getattr(self, step))}</details>"
            for step in ("approach", "example", "trap")
        )


def _html(text: str) -> str:
    """Return a text as HTML, in which what stands between `backticks` is code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", html.escape(text))


@dataclass(frozen=True)
class Exercise:
    """What a student is asked to write, and how to tell whether it is right.

    Attributes
    ----------
    reference : the packaged function; the student's has its name and parameters.
    inputs : parameter name → Hypothesis strategy; a parameter of the reference that has a
        default may be left out, and the student's function then needs none.
    why : one sentence that explains the expected result, shown with a counterexample.
    hint : shown folded, as long as the answer is not right.
    edge_cases : name → the parameters of a case that is always tried, first.
    tolerance : relative and absolute difference allowed between real numbers.
    """

    reference: Callable[..., Any]
    inputs: Mapping[str, SearchStrategy]
    why: str
    hint: Hint
    edge_cases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Report:
    """The outcome of one check, as text and as a small table."""

    status: str  # "not written yet", "passed", "failed" or "not finished"
    headline: str
    rows: tuple[tuple[str, str], ...] = ()
    hint: Hint | None = None

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self.rows), default=0)
        lines = [self.headline]
        for label, text in self.rows:
            indented = text.replace("\n", "\n" + " " * (width + 4))
            lines.append(f"  {label:<{width}}  {indented}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{html.escape(label)}</th>"
            "<td style='text-align:left'><pre style='margin:0;background:none'>"
            f"{html.escape(text)}</pre></td></tr>"
            for label, text in self.rows
        )
        table = f"<table>{rows}</table>" if rows else ""
        hint = self.hint._repr_html_() if self.hint else ""
        return f"<p>{html.escape(self.headline)}</p>{table}{hint}"


class _Enough(BaseException):
    """Ends Hypothesis' search; not an Exception, so that it is not taken for a finding."""


def _is_stub(function: Callable[..., Any]) -> bool:
    """Tell whether a function's body is only ``...`` or ``pass``, with or without a docstring."""
    body = getattr(unwrapped(function), "__code__", None)
    if body is None:
        return False  # not written in Python with def: a class, or compiled
    code = list(dis.get_instructions(body))
    harmless = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    constants = [i.argval for i in code if i.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(i.opname in harmless for i in code) and constants == [None]


def _wrong_parameters(function: Callable[..., Any], wanted: list[str]) -> str:
    """Return how a function's parameters are not those of the exercise; empty if they are."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # compiled, without a signature: its call will tell
        return ""
    try:
        signature.bind(**dict.fromkeys(wanted))
    except TypeError:
        got = ", ".join(signature.parameters)
        return f"expected the parameters ({', '.join(wanted)}), got ({got})"
    return ""


def _difference(value: Any, expected: Any, tolerance: float) -> str:
    """Return in one line how a result differs from the expected one; empty if it does not."""
    if value is None:
        return "it returned None: is a return missing?"
    if isinstance(expected, tuple | list):
        if not isinstance(value, tuple | list) or len(value) != len(expected):
            return f"expected {len(expected)} results, got {_short(value)}"
        parts = (_difference(v, e, tolerance) for v, e in zip(value, expected, strict=True))
        return next(filter(None, parts), "")
    if isinstance(expected, dict):
        if not isinstance(value, dict) or value.keys() != expected.keys():
            return f"expected a dict with the keys {_short(list(expected))}, got {_short(value)}"
        return _difference([value[key] for key in expected], [*expected.values()], tolerance)
    if isinstance(expected, str | bool | np.bool_):
        if isinstance(expected, str) != isinstance(value, str):
            return f"expected a {type(expected).__name__}, got a {type(value).__name__}"
        # Compared by identity of type too: 1 is not an answer to a yes-or-no question.
        same_kind = isinstance(value, str | bool | np.bool_) and np.ndim(value) == 0
        return "" if same_kind and value == expected else "the values differ"
    if not isinstance(value, np.ndarray | np.generic | int | float):
        return f"expected {_kind(expected)}, got a {type(value).__name__}"
    if isinstance(expected, np.ndarray) and expected.ndim:
        if np.shape(value) != expected.shape:
            return f"the shape is {np.shape(value)}, expected {expected.shape}"
        if value.dtype != expected.dtype:
            return f"the dtype is {value.dtype}, expected {expected.dtype}"
    elif np.ndim(value):
        return f"expected one number, got an array of shape {np.shape(value)}"
    if np.isnan(value).any() and not np.isnan(expected).any():
        return "the result has NaN (not a number) in it"
    return "" if _close(value, expected, tolerance) else "the values differ"


def _close(value: Any, expected: Any, tolerance: float) -> bool:
    if np.issubdtype(np.asarray(expected).dtype, np.integer):
        return bool(np.array_equal(value, expected))
    return bool(np.allclose(value, expected, rtol=tolerance, atol=tolerance, equal_nan=True))


def _kind(expected: Any) -> str:
    return f"an array of {expected.dtype}" if np.ndim(expected) else "a number"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        text = np.array2string(value, precision=4, threshold=50, separator=", ")
        return f"{text}\nshape {value.shape}, dtype {value.dtype}" if value.ndim else text
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_short(part) for part in value) + ")"
    return textwrap.shorten(repr(value.item() if isinstance(value, np.generic) else value), 300)


@dataclass(frozen=True)
class _Comparison:
    """The two functions' results on one input."""

    arguments: Mapping[str, Any]
    outcome: Outcome
    expected: Any
    problem: str  # empty if they agree
    case: str = ""  # the name of a named case


def _compare(
    exercise: Exercise, function: Callable[..., Any], arguments: Mapping[str, Any], case: str = ""
) -> _Comparison:
    expected = exercise.reference(**copy.deepcopy(dict(arguments)))
    given = copy.deepcopy(dict(arguments))
    outcome = call_student(function, given)
    if outcome.problem:
        problem = outcome.problem
    else:
        try:
            problem = _difference(outcome.value, expected, exercise.tolerance)
        except Exception:
            problem = f"expected {_kind(expected)}, got something that cannot be compared with it"
        if not problem and not _same(given, arguments):
            problem = "the result is right, but your function changed its input: work on a copy"
    return _Comparison(arguments, outcome, expected, problem, case)


def _same(given: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    return all(_unchanged(given[k], value) for k, value in arguments.items())


def _unchanged(given: Any, value: Any) -> bool:
    if isinstance(value, bytes | dict):  # NumPy takes long bytes for a number
        return given == value
    if isinstance(value, list):  # of arrays, which may have different shapes
        return len(given) == len(value) and all(map(_unchanged, given, value))
    return np.array_equal(given, value, equal_nan=_real(given))


def _real(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fc"


@dataclass
class _Search:
    """What the search for a counterexample came to."""

    counterexample: _Comparison | None = None  # the smallest so far
    tried: int = 0  # generated inputs
    finished: bool = True  # and not ended by the time


def _search(exercise: Exercise, function: Callable[..., Any]) -> _Search:
    """Try all named cases, then look for the smallest wrong one among generated inputs."""
    for case, arguments in exercise.edge_cases.items():
        comparison = _compare(exercise, function, arguments, case)
        if comparison.problem:
            return _Search(comparison)
    search = _Search()
    end = time.monotonic() + SEARCH_SECONDS

    def is_wrong(arguments: dict[str, Any]) -> bool:
        nonlocal end
        if time.monotonic() > end:
            search.finished = False
            raise _Enough
        comparison = _compare(exercise, function, arguments)
        search.tried += 1
        end += comparison.outcome.import_seconds
        if comparison.problem:
            search.counterexample = comparison
        if comparison.outcome.too_slow:
            raise _Enough  # a smaller input would take as long
        return bool(comparison.problem)

    # Flaky: an answer that differs from call to call. What was wrong once is shown.
    with contextlib.suppress(NoSuchExample, _Enough, Flaky), warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # a model file has a long repr
        find(
            fixed_dictionaries(dict(exercise.inputs)),
            is_wrong,
            settings=settings(
                derandomize=True,
                database=None,
                max_examples=EXAMPLES,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=PHASES,
            ),
        )
    return search


def compare(exercise: Exercise, function: Callable[..., Any]) -> Report:
    """Compare a student's function with an exercise's packaged one.

    All named cases are tried, each within 1.5 seconds, and then generated inputs for three
    seconds. Importing a module takes none of that time.

    Parameters
    ----------
    exercise : the exercise.
    function : the student's function.

    Returns
    -------
    Report
        ⬜ the body is still a stub; ✅ no difference found; ❌ the smallest counterexample found;
        ⏳ no difference found, but time was up after too few inputs.
    """
    name, hint = exercise.reference.__name__, exercise.hint
    parameters = inspect.signature(exercise.reference).parameters
    wanted = [parameter for parameter in parameters if parameter in exercise.inputs]
    if _is_stub(function):
        return Report("not written yet", f"⬜ {name}: not written yet", hint=hint)
    if problem := _wrong_parameters(function, wanted):
        return Report("failed", f"❌ {name}: {problem}", hint=hint)
    search = _search(exercise, function)
    if search.counterexample:
        return _failed(exercise, search.counterexample)
    if search.finished:
        return Report("passed", f"✅ {name}: right on every input tried")
    if search.tried >= FEWEST_EXAMPLES:
        right = f"✅ {name}: right on all {search.tried} inputs tried until time was up"
        return Report("passed", right)
    return Report(
        "not finished",
        f"⏳ {name}: right so far, but time was up after {search.tried} of {EXAMPLES} inputs, too "
        "few to tell; look for what takes so long, or try again when the machine is less busy",
        hint=hint,
    )


def _failed(exercise: Exercise, wrong: _Comparison) -> Report:
    rows = [(key, _short(value)) for key, value in wrong.arguments.items()]
    if not wrong.outcome.problem:
        rows.append(("you returned", _short(wrong.outcome.value)))
    rows += [("expected", _short(wrong.expected)), ("why", exercise.why)]
    case = f" ({wrong.case})" if wrong.case else ""
    headline = f"❌ {exercise.reference.__name__}{case}: {wrong.problem}"
    return Report("failed", headline, tuple(rows), exercise.hint)
