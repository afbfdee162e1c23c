"""The exercises of all notebooks, found by the name of the function to write.

Taught in: notebooks/00_start_here.ipynb
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from edge_course.checker import Exercise, Report, compare
from edge_course.listing import show, show_folded

__all__ = ["EXERCISES", "check", "show", "solution"]


def _by_name(exercises: Iterable[Exercise]) -> dict[str, Exercise]:
    named: dict[str, Exercise] = {}
    for exercise in exercises:
        name = exercise.reference.__name__
        if name in named:
            raise ValueError(f"two exercises are called {name!r}; rename one of the functions")
        named[name] = exercise
    return named


EXERCISES = _by_name(
    exercise
    for notebook in pkgutil.iter_modules(__path__)
    for exercise in importlib.import_module(f"{__name__}.{notebook.name}").EXERCISES
)


def _find(function: Callable[..., Any]) -> Exercise:
    if not callable(function):
        raise TypeError(
            "expected the function itself, as in check(quantize), without calling it; "
            f"got {function!r}"
        )
    name = getattr(function, "__name__", repr(function))
    if name not in EXERCISES:
        raise ValueError(
            f"there is no exercise called {name!r}; write it with def, and keep the name "
            f"that the exercise gave it, one of: {', '.join(sorted(EXERCISES))}"
        )
    return EXERCISES[name]


def check(function: Callable[..., Any]) -> Report:
    """Check your function against the packaged one of the same name.

    Raises
    ------
    TypeError
        If it is no function.
    ValueError
        If no exercise has that name.

    Taught in: notebooks/00_start_here.ipynb
    """
    return compare(_find(function), function)


def solution(function: Callable[..., Any]) -> None:
    """Show the packaged function of the same name, folded, and why it is so.

    Raises
    ------
    TypeError
        If it is no function.
    ValueError
        If no exercise has that name.

    Taught in: notebooks/00_start_here.ipynb
    """
    exercise = _find(function)
    show_folded(exercise.reference, exercise.why)
