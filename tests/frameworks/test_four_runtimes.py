"""Each network in PyTorch, ONNX Runtime, Keras and LiteRT: the same scores, the same classes.

PyTorch runs in a process of its own.
"""

import numpy as np
import pytest

from edge_course import fashion_mnist
from edge_course.frameworks import in_pytorch
from edge_course.frameworks.onnx_to_keras import translate
from edge_course.networks import keras_models, layout
from edge_course.runtimes import litert, ort

TOLERANCE = 1e-5  # of the largest score
IMAGES = 2000
NETWORKS = in_pytorch.TRAINED


@pytest.fixture(scope="module")
def test_set() -> fashion_mnist.LabelledImages:
    test = fashion_mnist.load("test")
    return fashion_mnist.LabelledImages(
        fashion_mnist.preprocess(test.images).transpose(0, 3, 1, 2), test.labels
    )


@pytest.fixture(scope="module")
def files(call) -> dict[str, bytes]:
    return {network: call(in_pytorch.export_trained, network) for network in NETWORKS}


@pytest.fixture(scope="module")
def scores(call, files, test_set) -> dict[str, dict[str, np.ndarray]]:
    """Network → runtime → scores of 2,000 test images."""
    x = np.ascontiguousarray(test_set.images[:IMAGES])
    last = layout.channels_last(x)
    made = {}
    for network in NETWORKS:
        translated = translate(files[network])
        made[network] = {
            "PyTorch": call(in_pytorch.trained_scores, network, x),
            "ONNX Runtime": ort.Runner(files[network]).scores(x),
            "Keras": translated.predict(last, verbose=0),
            "LiteRT": litert.Runner(litert.convert(translated, "float32")).scores(last),
        }
    # This one was trained in Keras: the way there and back ends where it began.
    made["seed_cnn"]["Keras, as trained"] = keras_models.trained_seed_cnn().predict(last, verbose=0)
    return made


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_agree(scores, network) -> None:
    expected = scores[network]["PyTorch"]
    assert expected.shape == (IMAGES, 10)
    for runtime, found in scores[network].items():
        difference = np.abs(found - expected).max() / np.abs(expected).max()
        assert difference < TOLERANCE, f"{runtime}: {difference}"


@pytest.mark.parametrize("network", NETWORKS)
def test_predicted_classes_agree(scores, network) -> None:
    expected = scores[network]["PyTorch"]
    second, first = np.sort(expected, axis=1)[:, -2:].T
    clear = first - second > TOLERANCE * np.abs(expected).max()
    assert clear.mean() > 0.99, "hardly any picture is undecided"
    for runtime, found in scores[network].items():
        same = found.argmax(axis=1) == expected.argmax(axis=1)
        assert same[clear].all(), runtime


@pytest.mark.parametrize("network", NETWORKS)
def test_int8_is_right_as_often_within_a_point(files, test_set, network) -> None:
    """On all 10,000 test images."""
    train = fashion_mnist.load("train")
    chosen = fashion_mnist.first_of_each_class(train.labels, fashion_mnist.CALIBRATION_PER_CLASS)
    calibration = fashion_mnist.preprocess(train.images[chosen]).transpose(0, 3, 1, 2)
    int8 = ort.quantize_model(files[network], "int8", calibration)
    float32_right, int8_right = (
        np.mean(ort.Runner(file).predict(test_set.images) == test_set.labels)
        for file in (files[network], int8)
    )
    assert abs(float32_right - int8_right) < 0.01
