"""The arithmetic "micro" against TFLM's own interpreter, byte for byte."""

from collections import Counter

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.integer_inference.model import COMPUTATIONS, IntegerModel
from edge_course.integer_inference.table import check_micro
from edge_course.runtimes import litert, tflite_file, tflm
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks, tiny_networks
from tests.support.effort import effort
from tests.support.integer_models import integer_model

needs_tflm = pytest.mark.skipif(bool(tflm.missing()), reason=tflm.missing())


@needs_tflm
@pytest.mark.parametrize(
    "name", ["compressed_20.tflite", "seed_cnn_int8.tflite", "depthwise_cnn_int8.tflite"]
)
def test_every_byte_of_the_trained_networks(name) -> None:
    file = data.read(name)
    images = fashion_mnist.load("test").images[: effort(500, 10_000)]
    x = litert.Runner(file).encode(fashion_mnist.preprocess(images))
    (expected,) = tflm.micro_outputs(file, x).values()
    assert np.array_equal(IntegerModel.from_file(file).run(x, "micro"), expected)


def refusal(operators) -> str:
    try:
        for operator in operators:
            check_micro(operator)
    except ModelError as error:
        return str(error)
    return ""


def pads_by_chance(operator) -> bool:
    """TFLM pads these with what lies in memory: 0 at times, and at times something else."""
    return operator.name == "SPACE_TO_BATCH_ND" and operator.inputs[2].values.any()


@needs_tflm
def test_every_byte_of_every_layer_of_random_networks() -> None:
    compared, refused = Counter(), Counter()
    for seed in range(effort(250, 1500)):
        file = tflite_networks.network(seed)
        graph = tflite_file.read_tflite(file)
        names = {o.name for o in graph.operators}
        if "STRIDED_SLICE" in names or any(pads_by_chance(o) for o in graph.operators):
            continue  # the former has five dimensions, of which TFLM takes four
        model = integer_model(file)
        shape = graph.inputs[0].shape
        x = np.random.default_rng(seed).integers(-128, 128, shape, np.int8)
        if message := refusal(graph.operators):
            with pytest.raises(ModelError, match="as TFLM does"):
                model.run(x, "micro")
            refused[message.split()[2]] += 1
            continue
        found = model.activations(x, "micro")
        for index, codes in tflm.micro_outputs(file, x).items():
            assert np.array_equal(found[index], codes), (seed, index)
        compared.update(names)
        compared["networks"] += 1
    assert compared["networks"] >= effort(100, 600)
    assert set(refused) == {"LOGISTIC", "TANH", "RELU6"}
    apart = {"DEQUANTIZE", "PACK", "STRIDED_SLICE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"}
    assert set(COMPUTATIONS) - set(compared) - apart == set(refused)


@needs_tflm
@pytest.mark.parametrize("seed", range(20))
def test_dilated_convolutions_without_a_border(seed) -> None:
    net = tflite_networks.Network(np.random.default_rng(seed), (1, 12, 12, 3))
    tflite_networks.blocks(net, most_border=0)
    file = net.content()
    model = integer_model(file)
    x = net.random.integers(-128, 128, (1, 12, 12, 3), np.int8)
    found = model.activations(x, "micro")
    for index, codes in tflm.micro_outputs(file, x).items():
        assert np.array_equal(found[index], codes)


@needs_tflm
@pytest.mark.parametrize("name", tiny_networks.NETWORKS)
def test_files_in_the_shapes_of_the_tiny_benchmark(name) -> None:
    file = tiny_networks.NETWORKS[name]().content(every_output=False)
    model = IntegerModel.from_file(file)
    x = np.random.default_rng(0).integers(-128, 128, (2, *model.graph.inputs[0].shape[1:]), np.int8)
    (expected,) = tflm.micro_outputs(file, x).values()
    assert np.array_equal(model.run(x, "micro"), expected)


def dense(multiplier: float) -> bytes:
    """One input and one weight of 1: the output is the rescaled input."""
    net = tflite_networks.Network(np.random.default_rng(0), (1, 1))
    kernel = net.constant(np.ones((1, 1), np.int8), [1.0], [0])
    net.graph.tensors[net.x].quantization.zeroPoint = np.array([0])
    out = net.activation((1, 1), net.step(net.x) / multiplier, 0)
    net.operator("FULLY_CONNECTED", [net.x, kernel], out, kind="FullyConnectedOptions")
    return net.content()


def test_a_dense_layer_rounds_twice() -> None:
    """6 · 0.24999 is 1.49994, so 1. In two steps: 6 · 0.99996 is 6, and 6 / 4 is 2."""
    file = dense(0.24999)
    model, x = IntegerModel.from_file(file), np.arange(-128, 128).astype(np.int8).reshape(-1, 1)
    once, twice = model.run(x, "reference"), model.run(x, "micro")
    assert np.array_equal(once.ravel(), np.floor(x.ravel() * 0.24999 + 0.5))
    assert (once != twice).any()
    if not tflm.missing():
        (expected,) = tflm.micro_outputs(file, x).values()
        assert np.array_equal(twice, expected)


def test_a_depth_multiplier_that_is_not_that_of_the_shapes_is_refused() -> None:
    """TFLM goes by it, and reads what it should not; LiteRT goes by the shapes."""

    def change(model) -> None:
        model.subgraphs[0].operators[3].builtinOptions.depthMultiplier = 7

    file = tflite_networks.changed(data.read("compressed_20.tflite"), change)
    model, x = IntegerModel.from_file(file), np.zeros((1, 28, 28, 1), np.int8)
    (expected,) = litert.outputs(file, x).values()
    assert np.array_equal(model.run(x), expected)
    with pytest.raises(ModelError, match="multiplier is 7, but it makes 16 of 16"):
        model.run(x, "micro")
