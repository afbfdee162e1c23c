"""Exercises that check themselves.

A student's function is compared with the packaged one on inputs that Hypothesis
generates, and on named edge cases; the smallest input that tells them apart is shown.
Taught in: notebooks/00_start_here.ipynb
"""

from __future__ import annotations

import copy
import ctypes
import dis
import html
import inspect
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy, fixed_dictionaries

EXAMPLES = 100  # inputs to try
CALL_SECONDS = 1.5  # one call of the student's function
CHECK_SECONDS = 3.0  # the search for a counterexample, and for a smaller one


@dataclass(frozen=True)
class Exercise:
    """What a student is asked to write, and how to tell whether it is right.

    Attributes
    ----------
    reference : the packaged function; the student's has its name and parameters.
    inputs : parameter name → Hypothesis strategy; a parameter of the reference that has a
        default may be left out, and the student's function then needs none.
    why : one sentence that explains the expected result, shown with a counterexample.
    edge_cases : name → the parameters of a case that is always tried, first.
    tolerance : relative and absolute difference allowed between real numbers.
    """

    reference: Callable[..., Any]
    inputs: Mapping[str, SearchStrategy]
    why: str
    edge_cases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Report:
    """The outcome of one check, as text and as a small table."""

    status: str  # "not written yet", "passed" or "failed"
    headline: str
    rows: tuple[tuple[str, str], ...] = ()

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
            f"<td style='text-align:left'><pre style='margin:0'>{html.escape(text)}</pre></td></tr>"
            for label, text in self.rows
        )
        table = f"<table>{rows}</table>" if rows else ""
        return f"<p>{html.escape(self.headline)}</p>{table}"


class _TooSlow(BaseException):
    """Raised inside the student's function when its time is up."""


class _Enough(BaseException):
    """Ends Hypothesis' search; not an Exception, so that it is not taken for a finding."""


@dataclass(frozen=True)
class _Outcome:
    """What a call of the student's function came to."""

    value: Any = None
    problem: str = ""


def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> _Outcome:
    """Call a function in a thread of its own and end it when it takes too long."""
    outcome = [_Outcome(problem=f"it did not finish within {CALL_SECONDS} s: an endless loop?")]

    def run() -> None:
        try:
            outcome[0] = _Outcome(function(**arguments))
        except _TooSlow:
            pass
        except BaseException as error:  # whatever a student's code raises is a finding
            text = f": {error}" if str(error) else ""
            outcome[0] = _Outcome(problem=f"it raised {type(error).__name__}{text}".splitlines()[0])

    # The thread is a daemon: one stuck in compiled code cannot be ended, only left behind.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(CALL_SECONDS)
    if thread.is_alive():
        slow = outcome[0]
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(_TooSlow)
        )
        thread.join(0.2)
        return slow
    return outcome[0]


def _is_stub(function: Callable[..., Any]) -> bool:
    """Tell whether a function's body is only ``...`` or ``pass``, with or without a docstring."""
    code = list(dis.get_instructions(function))
    harmless = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    constants = [i.argval for i in code if i.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(i.opname in harmless for i in code) and constants == [None]


def _difference(value: Any, expected: Any, tolerance: float) -> str:
    """Return in one line how a result differs from the expected one; empty if it does not."""
    if value is None:
        return "it returned None: is a return missing?"
    if isinstance(expected, tuple):
        if not isinstance(value, tuple | list) or len(value) != len(expected):
            return f"expected {len(expected)} results, got {_short(value)}"
        parts = (_difference(v, e, tolerance) for v, e in zip(value, expected, strict=True))
        return next(filter(None, parts), "")
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
class _Counterexample:
    arguments: Mapping[str, Any]
    outcome: _Outcome
    expected: Any
    problem: str
    name: str = ""


def _compare(
    exercise: Exercise, function: Callable[..., Any], arguments: Mapping[str, Any], name: str = ""
) -> _Counterexample | None:
    """Compare the two functions on one input; None if they agree."""
    expected = exercise.reference(**copy.deepcopy(dict(arguments)))
    given = copy.deepcopy(dict(arguments))
    outcome = _call(function, given)
    if outcome.problem:
        problem = outcome.problem
    else:
        try:
            problem = _difference(outcome.value, expected, exercise.tolerance)
        except Exception:
            problem = f"expected {_kind(expected)}, got something that cannot be compared with it"
        if not problem and not _same(given, arguments):
            problem = "the result is right, but your function changed its input: work on a copy"
    return _Counterexample(arguments, outcome, expected, problem, name) if problem else None


def _same(given: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    return all(np.array_equal(given[k], arguments[k], equal_nan=_real(given[k])) for k in arguments)


def _real(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fc"


def _counterexample(exercise: Exercise, function: Callable[..., Any]) -> _Counterexample | None:
    """Look for the smallest input on which a function is wrong; None if there is none."""
    end = time.monotonic() + CHECK_SECONDS
    for name, arguments in exercise.edge_cases.items():
        if time.monotonic() < end and (found := _compare(exercise, function, arguments, name)):
            return found
    smallest: list[_Counterexample] = []

    def wrong(arguments: dict[str, Any]) -> bool:
        found = _compare(exercise, function, arguments)
        if found:
            smallest[:] = [found]
        if time.monotonic() > end or (found and "did not finish" in found.problem):
            raise _Enough
        return found is not None

    try:
        least = find(
            fixed_dictionaries(dict(exercise.inputs)),
            wrong,
            settings=settings(
                derandomize=True,
                database=None,
                max_examples=EXAMPLES,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    except NoSuchExample:
        return None
    except _Enough:
        return smallest[0] if smallest else None
    return _compare(exercise, function, least) or smallest[0]


def compare(exercise: Exercise, function: Callable[..., Any]) -> Report:
    """Compare a student's function with an exercise's packaged one.

    Parameters
    ----------
    exercise : the exercise.
    function : the student's function.

    Returns
    -------
    Report
        ⬜ the body is still a stub; ✅ no difference found; ❌ the smallest
        counterexample found, within five seconds whatever the function does.

    Taught in: notebooks/00_start_here.ipynb
    """
    name = exercise.reference.__name__
    parameters = inspect.signature(exercise.reference).parameters
    wanted = [parameter for parameter in parameters if parameter in exercise.inputs]
    if _is_stub(function):
        return Report("not written yet", f"⬜ {name}: not written yet")
    names = list(inspect.signature(function).parameters)
    if names[: len(wanted)] != wanted:
        return Report(
            "failed",
            f"❌ {name}: expected the parameters ({', '.join(wanted)}), got ({', '.join(names)})",
        )
    found = _counterexample(exercise, function)
    if found is None:
        return Report("passed", f"✅ {name}: right on every input tried")
    rows = [(key, _short(value)) for key, value in found.arguments.items()]
    if not found.outcome.problem:
        rows.append(("you returned", _short(found.outcome.value)))
    rows += [("expected", _short(found.expected)), ("why", exercise.why)]
    case = f" ({found.name})" if found.name else ""
    return Report("failed", f"❌ {name}{case}: {found.problem}", tuple(rows))
