"""Integer inference against LiteRT's interpreter, byte for byte."""

from collections import Counter

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.integer_inference.model import COMPUTATIONS, KERNELS, IntegerModel, benchmark
from edge_course.networks import keras_models
from edge_course.quantization import quant
from edge_course.runtimes import litert, tflite_file
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks
from tests.support.effort import effort

NETWORKS = effort(120, 300)
BATCH = 16


def pictures(count: int) -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:count])


@pytest.fixture(params=["seed_cnn_int8.tflite", "depthwise_cnn_int8.tflite"])
def file(request) -> bytes:
    return data.read(request.param)


def integer_model(file: bytes) -> IntegerModel:
    """A model of a file with many outputs, of which the last is its own."""
    graph = tflite_file.read_tflite(file)
    return IntegerModel(graph._replace(outputs=graph.outputs[-1:]))


@pytest.mark.parametrize("kernels", KERNELS)
def test_every_byte_of_every_layer_of_the_trained_networks(file, kernels) -> None:
    model = integer_model(file)
    (given,) = model.graph.inputs
    x = quant.quantize(pictures(200), given.scales[0], int(given.zero_points[0]))
    expected = litert.outputs(tflite_file.with_all_outputs(file), x, kernels=kernels)
    found = model.activations(x, kernels)
    assert len(expected) >= 5
    for index, codes in expected.items():
        assert found[index].dtype == codes.dtype
        assert np.array_equal(found[index], codes), model.graph.tensors[index].name


@pytest.mark.parametrize("kernels", KERNELS)
def test_every_byte_of_every_layer_of_random_networks(kernels) -> None:
    compared, saturated, operators = 0, 0, Counter()
    for seed in range(NETWORKS):
        file = tflite_networks.network(seed)
        model = integer_model(file)
        shape = model.graph.inputs[0].shape
        x = np.random.default_rng(seed).integers(-128, 128, (BATCH, *shape[1:])).astype(np.int8)
        found = model.activations(x, kernels)
        for index, codes in litert.outputs(file, x, kernels=kernels).items():
            assert np.array_equal(found[index], codes), f"network {seed}, tensor {index}"
            compared += codes.size
            saturated += np.isin(codes, (-128, 127)).sum()
        operators.update(o.name for o in model.graph.operators)
    assert compared > 1_000_000
    assert saturated < compared / 2  # else there would be little to compare
    assert set(operators) == set(COMPUTATIONS) - {"DEQUANTIZE"}
    assert min(operators.values()) >= 20


def test_the_two_families_of_kernels_differ_where_the_runtime_says(file) -> None:
    model = IntegerModel.from_file(file)
    (given,) = model.graph.inputs
    x = quant.quantize(pictures(1000), given.scales[0], int(given.zero_points[0]))
    here = [model.run(x, kernels) for kernels in KERNELS]
    there = [
        *litert.outputs(file, x, kernels="default").values(),
        *litert.outputs(file, x, kernels="reference").values(),
    ]
    assert np.array_equal(here[0] != here[1], there[0] != there[1])
    assert (here[0] != here[1]).any()


class WholeNumbers(np.ndarray):
    """An array that takes part in no computation with a float."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
        plain = [np.asarray(i) if isinstance(i, WholeNumbers) else i for i in inputs]
        if out is not None:
            settings["out"] = tuple(np.asarray(o) for o in out)
        result = getattr(ufunc, method)(*plain, **settings)
        for array in (*plain, result):
            assert np.asarray(array).dtype.kind in "iub", f"{ufunc.__name__}: a float took part"
        return np.asarray(result).view(WholeNumbers)


@pytest.fixture
def tracked_einsum(monkeypatch) -> None:
    """Let the sums of products, which drop the class of their arrays, keep it."""
    einsum = np.einsum
    monkeypatch.setattr(
        np, "einsum", lambda s, *a: einsum(s, *map(np.asarray, a)).view(WholeNumbers)
    )


@pytest.mark.usefixtures("tracked_einsum")
@pytest.mark.parametrize("seed", range(40))
def test_the_reference_scheme_has_no_float(seed) -> None:
    model = integer_model(tflite_networks.network(seed))
    shape = model.graph.inputs[0].shape
    x = np.random.default_rng(seed).integers(-128, 128, (2, *shape[1:])).astype(np.int8)
    tracked = model.activations(x.view(WholeNumbers), "reference")
    for index, codes in model.activations(x, "reference").items():
        assert np.array_equal(np.asarray(tracked[index]), codes)


@pytest.mark.usefixtures("tracked_einsum")
def test_the_default_scheme_has_one() -> None:
    model = IntegerModel.from_file(data.read("seed_cnn_int8.tflite"))
    x = np.zeros((1, 28, 28, 1), np.int8).view(WholeNumbers)
    with pytest.raises(AssertionError, match="a float took part"):
        model.activations(x, "default")


def test_any_batch_gives_the_same_bytes() -> None:
    model = IntegerModel.from_file(data.read("seed_cnn_int8.tflite"))
    x = np.random.default_rng(0).integers(-128, 128, (101, 28, 28, 1)).astype(np.int8)
    together = model.run(x)
    assert together.shape == (101, 10)
    assert np.array_equal(
        np.concatenate([model.run(x[i : i + 1]) for i in (0, 100)]), together[[0, 100]]
    )


def test_float_borders_are_quantized_and_dequantized() -> None:
    """A file with int8 inside and float32 outside."""
    file = tflite_networks.with_float_borders(3)
    model = IntegerModel.from_file(file)
    shape = model.graph.inputs[0].shape
    x = np.random.default_rng(0).normal(0, 0.1, (4, *shape[1:])).astype(np.float32)
    for kernels in KERNELS:
        (expected,) = litert.outputs(file, x, kernels=kernels).values()
        assert np.array_equal(model.run(x, kernels), expected)


def test_an_unknown_operator_is_refused_by_name() -> None:
    file = tflite_networks.of_one_operator("COS")
    with pytest.raises(ModelError, match="these bytes: cannot compute COS with integers; known"):
        IntegerModel.from_file(file)


def test_a_float_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"cannot compute CONV_2D .*float32"):
        IntegerModel.from_file(data.read("seed_cnn_float32.tflite"))


def test_other_files_are_refused() -> None:
    with pytest.raises(ModelError, match="not a TFLite model"):
        IntegerModel.from_file(b"no model")
    with pytest.raises(ModelError, match=r"cannot read the model missing\.tflite"):
        IntegerModel.from_file("missing.tflite")


@pytest.mark.parametrize(
    ("x", "kernels", "message"),
    [
        (np.zeros((1, 28, 28, 1), np.float32), "default", "expected int8 .*got float32"),
        (np.zeros((1, 28, 28), np.int8), "default", r"got int8 \(1, 28, 28\)"),
        (np.zeros((0, 28, 28, 1), np.int8), "default", "n at least 1"),
        (np.zeros((1, 28, 28, 1), np.int8), "fast", "expected one of the kernels"),
    ],
)
def test_other_inputs_are_refused(x, kernels, message) -> None:
    model = IntegerModel.from_file(data.read("seed_cnn_int8.tflite"))
    with pytest.raises(ValueError, match=message):
        model.run(x, kernels)


def test_a_file_says_what_its_maker_knew() -> None:
    """The tensors of the file against the weights that it was made from."""
    graph = tflite_file.read_tflite(data.read("seed_cnn_float32.tflite"))
    weights = keras_models.weights(keras_models.trained_seed_cnn())
    kernel = graph.operators[0].inputs[1]
    assert graph.operators[0].name == "CONV_2D"
    assert np.array_equal(kernel.values, weights["conv/kernel"].transpose(3, 0, 1, 2))
    assert graph.inputs[0].shape == (1, 28, 28, 1)


def test_the_benchmark_times_both_on_the_same_pictures() -> None:
    timings = benchmark(pictures=2, seconds=0.1)
    assert set(timings.seconds) == {"integer", "reference", "default"}
    assert timings.ratio("integer", "reference").median > 0


def test_outputs_that_cannot_be_computed_are_explained() -> None:
    file = data.read("seed_cnn_int8.tflite")
    with pytest.raises(ModelError, match=r"cannot compute \(1, 28, 28, 1\) inputs"):
        litert.outputs(file, np.zeros((1, 28, 28, 1), np.float32))
    with pytest.raises(ValueError, match="expected one of the kernels"):
        litert.outputs(file, np.zeros((1, 28, 28, 1), np.int8), kernels="fast")


def test_a_file_with_all_outputs_computes_the_same() -> None:
    file = data.read("seed_cnn_int8.tflite")
    x = np.random.default_rng(0).integers(-128, 128, (3, 28, 28, 1)).astype(np.int8)
    (expected,) = litert.outputs(file, x).values()
    every = litert.outputs(tflite_file.with_all_outputs(file), x)
    assert len(every) == 5
    assert np.array_equal(every[tflite_file.read_tflite(file).outputs[0].index], expected)
    with pytest.raises(ModelError, match="not a TFLite model"):
        tflite_file.with_all_outputs(b"no model")
