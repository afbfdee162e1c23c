"""The seed CNN: its shape, its weights, and what it costs."""

from itertools import pairwise

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.cost_models import activation_memory
from edge_course.networks import keras_models
from edge_course.runtimes import tflite_file


@pytest.fixture(scope="module")
def trained():
    return keras_models.trained_seed_cnn()


def test_shapes_and_parameters(trained) -> None:
    assert trained.input_shape == (None, 28, 28, 1)
    assert trained.output_shape == (None, 10)
    costs = keras_models.layer_costs(trained)
    assert [c.name for c in costs] == ["conv", "pool", "flatten", "hidden", "scores"]
    assert sum(c.parameters for c in costs) == trained.count_params() == 693_962


def test_macs_equal_the_operations_that_tensorflow_counts(trained) -> None:
    """TensorFlow's own profiler counts two operations for each multiply-accumulate."""
    import tensorflow as tf
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder

    spec = tf.TensorSpec([1, 28, 28, 1], tf.float32)
    graph = tf.function(trained).get_concrete_function(spec).graph
    options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation())
    counted = profile(graph, options=options.with_empty_output().build())
    macs = sum(c.macs for c in keras_models.layer_costs(trained))
    # The profiler adds one operation for each bias, and the pool's comparisons.
    assert 2 * macs == pytest.approx(counted.total_float_ops, rel=0.05)


def test_trained_weights_classify(trained) -> None:
    test = fashion_mnist.load("test")
    scores = trained.predict(fashion_mnist.preprocess(test.images), batch_size=1000, verbose=0)
    assert 0.86 < np.mean(scores.argmax(axis=1) == test.labels) < 0.89


def test_weights_go_round(trained) -> None:
    fresh = keras_models.seed_cnn()
    arrays = keras_models.weights(trained)
    keras_models.set_weights(fresh, arrays)
    for before, after in zip(trained.get_weights(), fresh.get_weights(), strict=True):
        assert np.array_equal(before, after)


def test_weights_of_another_network_are_refused(trained) -> None:
    arrays = keras_models.weights(trained)
    before = arrays["conv/kernel"].copy()
    arrays["scores/bias"] = np.zeros(11, np.float32)
    with pytest.raises(ValueError, match="of another network"):
        keras_models.set_weights(trained, arrays)
    assert np.array_equal(trained.get_layer("conv").kernel.numpy(), before), "nothing half-set"


def test_layer_that_cannot_be_counted() -> None:
    import keras

    model = keras.Sequential([keras.Input((4, 4)), keras.layers.LSTM(3)])
    with pytest.raises(ValueError, match="cannot count the layer lstm"):
        keras_models.layer_costs(model)


def test_memory_of_the_fullest_layer_is_the_peak_of_the_int8_file(trained) -> None:
    """TFLite's tensors, counted from the file, where every number is a byte."""
    operators = tflite_file.read_tflite(data.read("seed_cnn_int8.tflite")).operators
    most = max(cost.memory for cost in keras_models.layer_costs(trained))
    assert most == activation_memory.peak_activation_bytes(operators) == 27_040


def test_memory_of_a_sum_counts_both_inputs() -> None:
    import keras

    given = keras.Input((4, 4, 2))
    model = keras.Model(given, keras.layers.Add()([given, keras.layers.ReLU()(given)]))
    assert keras_models.layer_costs(model)[-1].memory == 3 * 32


def test_widest_network_keeps_both_budgets_exactly() -> None:
    # By hand: 4 kernels of 9 with a bias and 16 · 2 + 2; 36 numbers in, 4 · 4 · 4 out.
    assert keras_models.widest_network((6, 6, 1), 2, 74, 100) == (4, 74, 100)
    assert keras_models.widest_network((6, 6, 1), 2, 73, 100) == (2, 38, 68)
    assert keras_models.widest_network((6, 6, 1), 2, 74, 99) == (2, 38, 68)
    assert keras_models.widest_network((6, 6, 1), 2, 37, 999) == (0, 0, 0)


@pytest.mark.parametrize("width", [4, 16])
def test_plain_cnn_has_the_parameters_of_its_layers(width: int) -> None:
    model = keras_models.plain_cnn(width)
    channels = [width, 2 * width, 2 * width, 4 * width]
    pairs = list(pairwise(channels))
    kernels = 9 * width + sum(9 * before + before * after for before, after in pairs)
    norms = 4 * (width + sum(before + after for before, after in pairs))
    assert model.count_params() == kernels + norms + 4 * width * 10 + 10
    assert model.output_shape == (None, 10)
