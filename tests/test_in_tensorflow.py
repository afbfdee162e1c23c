"""TensorFlow's part of a conversion: called in another process, as the notebooks do."""

import sys

import numpy as np
import pytest
import torch

from edge_course import data, in_tensorflow, litert, onnx_to_keras, ort, process, torch_models


@pytest.fixture(scope="module")
def call():
    with process.another() as call:
        yield call


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return data.preprocess(data.fashion_mnist("test").images[:20])


@pytest.fixture(scope="module")
def onnx() -> bytes:
    return ort.export(torch_models.trained_depthwise_cnn())


def loaded_after_import() -> bool:
    from edge_course import in_tensorflow  # noqa: F401

    return "tensorflow" in sys.modules or "keras" in sys.modules


def test_importing_it_does_not_import_tensorflow() -> None:
    with process.another() as fresh:
        assert not fresh(loaded_after_import)


def test_the_modes_are_those_of_the_converter() -> None:
    assert in_tensorflow.MODES == litert.MODES


def test_the_file_computes_what_pytorch_computes(call, onnx: bytes, images: np.ndarray) -> None:
    found = litert.Runner(call(in_tensorflow.litert_file, onnx, "float32")).run(images)
    with torch.no_grad():
        x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        expected = torch_models.trained_depthwise_cnn()(x).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_int8_file_is_the_same_every_time_and_that_of_the_data_folder(
    call, onnx: bytes
) -> None:
    from edge_course import recipes

    made = call(in_tensorflow.litert_file, onnx, "int8", recipes.calibration_images())
    assert made == data.read("depthwise_cnn_int8.tflite")


def test_errors_come_back_from_the_other_process(call, onnx: bytes) -> None:
    with pytest.raises(ValueError, match="modes float32, float16, dynamic, int8, got 'int4'"):
        call(in_tensorflow.litert_file, onnx, "int4")
    with pytest.raises(ValueError, match="needs a calibration set"):
        call(in_tensorflow.litert_file, onnx, "int8")
    with pytest.raises(ort.ModelError, match="ONNX cannot read this model"):
        call(in_tensorflow.litert_file, b"no model", "float32")
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Mish(), torch.nn.Flatten())
    with pytest.raises(onnx_to_keras.TranslationError, match="Mish"):
        call(in_tensorflow.litert_file, ort.export(network.eval()), "float32")
