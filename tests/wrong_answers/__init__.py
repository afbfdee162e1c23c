"""Plausible wrong answers to every exercise: each is a mistake that a student makes."""

from tests.wrong_answers import (
    crossing_frameworks,
    integer_only_inference,
    keras_to_litert,
    pytorch_to_onnx,
    quantization_aware_training,
    quantization_math,
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
        quantization_math,
        integer_only_inference,
        quantization_aware_training,
    )
    for name, wrong in topic.WRONG.items()
}
