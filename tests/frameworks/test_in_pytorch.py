"""PyTorch's part of a comparison: called in another process, as the notebooks do."""

import mmap
import os

import numpy as np
import pytest

from edge_course import fashion_mnist, stripes
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


def test_a_network_learns_stripes_of_any_shape(call) -> None:
    pictures, labels = stripes.pictures(400, (12, 20, 2), classes=2, seed=3)
    file = call(in_pytorch.striped_network, pictures[:300], labels[:300], epochs=10)
    runner = ort.Runner(file)
    assert runner.input_shape == (2, 12, 20)
    assert {"HardSwish", "Add"} <= {operator.name for operator in ort.operators(file)}
    found = runner.predict(np.ascontiguousarray(pictures[300:].transpose(0, 3, 1, 2)))
    assert np.mean(found == labels[300:]) > 0.7


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


@pytest.mark.parametrize("form", in_pytorch.FORMS)
def test_more_pictures_take_longer(call, x: np.ndarray, form: str) -> None:
    many = np.repeat(x, 60, axis=0)  # (300, 1, 28, 28)
    one, all_of_them = (
        call(in_pytorch.trained_seconds, "depthwise_cnn", form, pictures, seconds=0.02)
        for pictures in (x[:1], many)
    )
    assert 0 < one < all_of_them


@pytest.mark.skipif(os.name == "nt", reason="Windows does not count them this way")
def test_memory_that_is_written_for_the_first_time_is_counted() -> None:
    before = in_pytorch.page_faults()
    new = mmap.mmap(-1, 64 * mmap.PAGESIZE)
    for page in range(64):
        new[page * mmap.PAGESIZE] = 1
    assert in_pytorch.page_faults() - before > 0


def test_an_unknown_form_is_named(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="eager, frozen, got 'fast'"):
        in_pytorch.trained_seconds("seed_cnn", "fast", x)


@pytest.mark.parametrize("function", [in_pytorch.trained_weights, in_pytorch.export_trained])
def test_an_unknown_network_is_named(function) -> None:
    with pytest.raises(ValueError, match="seed_cnn, depthwise_cnn, got 'resnet'"):
        function("resnet")
