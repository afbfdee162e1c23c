"""The exercises of all notebooks, found by the name of the function to write.

Taught in: notebooks/00_start_here.ipynb
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_course.checker import Exercise, Report, compare
from edge_course.exercises import (
    compress_for_real,
    crossing_frameworks,
    distillation,
    integer_only_inference,
    keras_to_litert,
    pruning_weights_and_activations,
    pytorch_to_onnx,
    quantization_aware_training,
    quantization_math,
    split_by_channels,
    split_by_layers,
    start_here,
    structured_pruning,
    train_a_cnn,
    when_conversion_fails,
    why_the_edge,
)
from edge_course.listing import show, show_folded

__all__ = ["EXERCISES", "check", "show", "solution"]

EXERCISES: dict[str, Exercise] = {
    exercise.reference.__name__: exercise
    for topic in (
        start_here,
        why_the_edge,
        train_a_cnn,
        keras_to_litert,
        pytorch_to_onnx,
        crossing_frameworks,
        when_conversion_fails,
        quantization_math,
        integer_only_inference,
        quantization_aware_training,
        pruning_weights_and_activations,
        structured_pruning,
        distillation,
        compress_for_real,
        split_by_layers,
        split_by_channels,
    )
    for exercise in topic.EXERCISES
}


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
