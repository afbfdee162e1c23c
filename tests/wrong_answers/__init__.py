"""Plausible wrong answers to every exercise: each is a mistake that a student makes."""

from tests.wrong_answers import (
    crossing_frameworks,
    keras_to_litert,
    pytorch_to_onnx,
    start_here,
    train_a_cnn,
    when_conversion_fails,
    why_the_edge,
)

WRONG = {
    name: wrong
    for topic in (
        start_here,
        why_the_edge,
        train_a_cnn,
        keras_to_litert,
        pytorch_to_onnx,
        crossing_frameworks,
        when_conversion_fails,
    )
    for name, wrong in topic.WRONG.items()
}
