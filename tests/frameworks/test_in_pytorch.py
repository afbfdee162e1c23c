"""PyTorch's part of a comparison: called in another process, as the notebooks do."""

import numpy as np
import pytest

from edge_course import fashion_mnist
from edge_course.frameworks import in_pytorch
from edge_course.runtimes import ort


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:5]).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("network", in_pytorch.TRAINED)
def test_scores_are_those_of_the_export(call, x: np.ndarray, network: str) -> None:
    expected = call(in_pytorch.trained_scores, network, x)
    found = ort.Runner(call(in_pytorch.export_trained, network)).run(x)
    assert expected.shape == (5, 10)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_weights_are_in_pytorchs_order(call) -> None:
    weights = call(in_pytorch.trained_weights, "seed_cnn")
    assert weights["conv.weight"].shape == (32, 1, 3, 3)
    assert weights["hidden.weight"].shape == (128, 5408)
    assert {array.dtype.name for array in weights.values()} == {"float32"}


def test_activations_end_in_the_scores(call, x: np.ndarray) -> None:
    found = call(in_pytorch.trained_activations, "seed_cnn", x)
    assert list(found)[:4] == ["conv", "conv_relu", "pool", "flatten"]
    assert found["pool"].shape == (5, 32, 13, 13)
    np.testing.assert_array_equal(found["flatten"], found["pool"].reshape(5, -1))
    np.testing.assert_allclose(
        found["scores"], call(in_pytorch.trained_scores, "seed_cnn", x), rtol=1e-4
    )


def test_latency_is_beside_the_yardstick(call, x: np.ndarray) -> None:
    onnx = call(in_pytorch.export_trained, "depthwise_cnn")
    timed = call(in_pytorch.time_beside_onnx, "depthwise_cnn", onnx, x[:1], seconds=0.2)
    assert set(timed.seconds) == {"PyTorch", "ONNX Runtime"}
    assert timed.ratio("PyTorch", "ONNX Runtime").median > 0


@pytest.mark.parametrize("function", [in_pytorch.trained_weights, in_pytorch.export_trained])
def test_an_unknown_network_is_named(function) -> None:
    with pytest.raises(ValueError, match="seed_cnn, depthwise_cnn, got 'resnet'"):
        function("resnet")
