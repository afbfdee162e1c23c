"""TensorFlow's part of a conversion: called in another process, as the notebooks do."""

import os

import numpy as np
import pytest

from edge_course import data, fashion_mnist, process
from edge_course.frameworks import in_pytorch, in_tensorflow, onnx_node
from edge_course.runtimes import litert, ort


@pytest.fixture(scope="module")
def tensorflow():
    with process.another() as tensorflow:
        yield tensorflow


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:20])


@pytest.fixture(scope="module")
def onnx(call) -> bytes:
    return call(in_pytorch.export_trained, "depthwise_cnn")


def of_an_unknown_operator() -> bytes:
    from torch import nn

    return ort.export(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Mish(), nn.Flatten()).eval())


def test_the_modes_are_those_of_the_converter() -> None:
    assert in_tensorflow.MODES == litert.MODES


def test_the_file_computes_what_pytorch_computes(call, tensorflow, onnx, images) -> None:
    found = litert.Runner(tensorflow(in_tensorflow.litert_file, onnx, "float32")).run(images)
    expected = call(in_pytorch.trained_scores, "depthwise_cnn", images.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_int8_file_is_the_same_every_time_and_that_of_the_data_folder(
    tensorflow, onnx: bytes
) -> None:
    made = tensorflow(in_tensorflow.litert_file, onnx, "int8", fashion_mnist.calibration_images())
    assert made == data.read("depthwise_cnn_int8.tflite")


def test_errors_come_back_from_the_other_process(call, tensorflow, onnx: bytes) -> None:
    with pytest.raises(ValueError, match="modes float32, float16, dynamic, int8, got 'int4'"):
        tensorflow(in_tensorflow.litert_file, onnx, "int4")
    with pytest.raises(ValueError, match="needs a calibration set"):
        tensorflow(in_tensorflow.litert_file, onnx, "int8")
    with pytest.raises(ort.ModelError, match="ONNX cannot read this model"):
        tensorflow(in_tensorflow.litert_file, b"no model", "float32")
    unknown = call(of_an_unknown_operator)
    with pytest.raises(onnx_node.TranslationError, match="Mish"):
        tensorflow(in_tensorflow.litert_file, unknown, "float32")


def doubled(tf, numbers):
    import os

    return tf.constant(numbers).numpy() * 2, os.getpid()


def test_a_function_runs_beside_tensorflow_in_another_process() -> None:
    numbers, process_id = in_tensorflow.with_tensorflow(doubled, np.arange(3))
    np.testing.assert_array_equal(numbers, [0, 2, 4])
    assert process_id != os.getpid()


@pytest.mark.parametrize("function", [len, lambda tf: 1])
def test_what_has_no_source_is_refused(function) -> None:
    with pytest.raises(ValueError, match="expected a function written with def"):
        in_tensorflow.with_tensorflow(function)
