"""The dense layer of an exercise: as float32 it is NumPy's product, as int8 near it."""

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from edge_course.runtimes.onnx_calibration import dense_model, int8_outputs


def test_float32_is_the_product() -> None:
    weight, x = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)
    model = dense_model(weight)
    onnx.checker.check_model(model, full_check=True)
    found = InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    np.testing.assert_allclose(found, x @ weight.T, rtol=1e-5, atol=1e-6)


def test_int8_is_within_its_rounding_and_no_calibration_row_is_left_out() -> None:
    random = np.random.default_rng(1)
    weight = (random.normal(size=(4, 6)) * [[1], [0.1], [0.01], [0.001]]).astype(np.float32)
    rows = random.normal(size=(20, 6)).astype(np.float32)
    expected = rows @ weight.T
    found = int8_outputs(weight, rows, rows)
    step = (max(expected.max(), 0) - min(expected.min(), 0)) / 255  # of the output's codes
    assert np.abs(found - expected).max() < 3 * step
    clipped = int8_outputs(weight, rows[:1], rows)
    assert np.abs(clipped - expected).max() > 3 * step


@pytest.mark.parametrize("weight", [np.zeros(3), np.zeros((0, 2)), np.zeros((1, 2, 3))])
def test_another_shape_is_refused(weight: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a weight"):
        dense_model(weight)
