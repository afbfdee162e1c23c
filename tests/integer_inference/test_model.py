"""Integer inference against LiteRT's interpreter, byte for byte."""

from collections import Counter

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.integer_inference.model import COMPUTATIONS, IntegerModel, benchmark
from edge_course.networks import keras_models
from edge_course.quantization import quant
from edge_course.runtimes import litert, tflite_file
from edge_course.runtimes.litert import KERNELS
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks, tiny_networks
from tests.support.effort import effort
from tests.support.integer_models import integer_model

NETWORKS = effort(120, 400)
BATCH = 16


def pictures(count: int) -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:count])


@pytest.fixture(params=["seed_cnn_int8.tflite", "depthwise_cnn_int8.tflite"])
def file(request) -> bytes:
    return data.read(request.param)


@pytest.mark.parametrize("kernels", KERNELS)
def test_every_byte_of_every_layer_of_the_trained_networks(file, kernels) -> None:
    model = integer_model(file)
    (given,) = model.graph.inputs
    x = quant.quantize(pictures(effort(20, 200)), given.scales[0], int(given.zero_points[0]))
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
    assert compared > 5_000 * NETWORKS
    assert saturated < compared / 2  # else there would be little to compare
    assert set(operators) == set(COMPUTATIONS) - {"DEQUANTIZE"}
    assert min(operators.values()) >= NETWORKS // 20


def test_the_two_families_of_kernels_differ_where_the_runtime_says(file) -> None:
    model = IntegerModel.from_file(file)
    (given,) = model.graph.inputs
    x = quant.quantize(pictures(effort(300, 1000)), given.scales[0], int(given.zero_points[0]))
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


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", tiny_networks.NETWORKS)
def test_files_of_old_converters_in_the_shapes_of_the_tiny_benchmark(name, kernels) -> None:
    """Operator codes in the old field; without it, every operator would be an ADD."""
    file = tiny_networks.NETWORKS[name]().content(before_2_4=True)
    model = integer_model(file)
    shape = model.graph.inputs[0].shape
    count = effort(2, 16)
    x = np.random.default_rng(0).integers(-128, 128, (count, *shape[1:])).astype(np.int8)
    computed, seen = model.activations(x, kernels), set()
    for index, codes in litert.outputs(file, x, kernels=kernels).items():
        assert np.array_equal(computed[index], codes), model.graph.tensors[index].name
        seen |= set(np.ravel(codes).tolist())
    assert len(seen) > 100


def dense_over_places(keeps: bool) -> tflite_networks.Network:
    """A dense layer on (1, 5, 6): it keeps the places, or makes rows of them and back."""
    net = tflite_networks.Network(np.random.default_rng(0), (1, 5, 6))
    codes = net.random.integers(-127, 128, (4, 6), np.int8)
    kernel = net.constant(codes, [0.01] * 4, [0] * 4)
    bias = net.random.integers(-900, 900, 4).astype(np.int32)
    bias = net.constant(bias, [net.step(net.x) * 0.01] * 4, [0] * 4)
    out = net.activation((1, 5, 4) if keeps else (5, 4), 3 * net.step(net.x), 7)
    settings = {"kind": "FullyConnectedOptions", "keepNumDims": keeps}
    net.operator("FULLY_CONNECTED", [net.x, kernel, bias], out, **settings)
    if not keeps:
        shape = net.constant(np.array([-1, 5, 4], np.int32))
        net.operator("RESHAPE", [net.x, shape], net.like((1, 5, 4)), kind="ReshapeOptions")
    return net


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("keeps", [True, False])
def test_a_dense_layer_over_places(keeps, kernels) -> None:
    file = dense_over_places(keeps).content(every_output=False)
    x = np.random.default_rng(1).integers(-128, 128, (3, 5, 6)).astype(np.int8)
    (expected,) = litert.outputs(file, x, kernels=kernels).values()
    assert np.array_equal(IntegerModel.from_file(file).run(x, kernels), expected)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("axes", [[1], [2], [3], [-1], [1, 2, 3], [1, -2]])
def test_means_along_any_axes(axes, kernels) -> None:
    net = tflite_networks.Network(np.random.default_rng(0), (1, 5, 6, 7))
    shape = [n for i, n in enumerate((1, 5, 6, 7)) if i not in axes and i - 4 not in axes]
    out = net.activation(tuple(shape), 0.3 * net.step(net.x), 5)
    axes = net.constant(np.array(axes, np.int32))
    net.operator("MEAN", [net.x, axes], out, kind="ReducerOptions", keepDims=False)
    file = net.content()
    x = np.random.default_rng(1).integers(-128, 128, (30, 5, 6, 7)).astype(np.int8)
    (expected,) = litert.outputs(file, x, kernels=kernels).values()
    assert np.array_equal(IntegerModel.from_file(file).run(x, kernels), expected)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
def test_all_pairs_of_codes(name, kernels) -> None:
    """65,536 pairs for each draw of scales: one bit too few shows in a handful of them."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256, 1)
    for seed in range(effort(8, 60)):
        net = tflite_networks.Network(np.random.default_rng(seed), (1, 256, 1))
        given = net.step(net.x)
        other = given * 2 ** net.random.uniform(-3, 3)
        codes = net.constant(x.reshape(1, 1, 256), [other], [net.zero_point()])
        typical = given * other * 99 if name == "MUL" else max(given, other)
        scale = typical * 2 ** net.random.uniform(-1, 1)
        out = net.activation((1, 256, 256), scale, net.zero_point())
        net.operator(name, [net.x, codes], out, kind=f"{name.capitalize()}Options")
        file = net.content()
        (expected,) = litert.outputs(file, x, kernels=kernels).values()
        assert np.array_equal(IntegerModel.from_file(file).run(x, kernels), expected), seed


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["ADD", "SUB"])
@pytest.mark.parametrize("share", [1, 3, 0.25])
def test_sums_that_end_in_a_half(name, kernels, share) -> None:
    """The output's step is twice the inputs': every other pair of codes is a tie."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256, 1)
    net = tflite_networks.Network(np.random.default_rng(0), (1, 256, 1))
    given = net.step(net.x)
    codes = net.constant(x.reshape(1, 1, 256), [given * share], [0])
    out = net.activation((1, 256, 256), 2 * given * max(share, 1), 0)
    net.operator(name, [net.x, codes], out, kind=f"{name.capitalize()}Options")
    (expected,) = litert.outputs(net.content(), x, kernels=kernels).values()
    assert np.array_equal(IntegerModel.from_file(net.content()).run(x, kernels), expected)


@pytest.mark.parametrize("kernels", KERNELS)
def test_slopes_that_lie_next_to_a_half(kernels) -> None:
    """A slope of 0.7 / 8 to the last digit of float32: -5 · 0.7 rounds up or down, then by 8."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    for seed in range(effort(40, 400)):
        net = tflite_networks.Network(np.random.default_rng(seed), (1, 256))
        ratio = net.random.uniform(0.2, 3)
        out = net.activation((1, 256), net.step(net.x) / ratio, 0)
        alpha = float(np.float32(0.7 / 8 / ratio))
        net.operator("LEAKY_RELU", [net.x], out, kind="LeakyReluOptions", alpha=alpha)
        file = net.content()
        (expected,) = litert.outputs(file, x, kernels=kernels).values()
        assert np.array_equal(IntegerModel.from_file(file).run(x, kernels), expected), seed


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "RELU"])
def test_all_codes_of_functions_of_one_code(name, kernels) -> None:
    """Seed 1433 has an entry next to a half, where double precision is too good a sigmoid."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    near_a_half = [1433] if name == "LOGISTIC" else []
    for seed in [*near_a_half, *range(effort(40, 1400))]:
        net = tflite_networks.Network(np.random.default_rng(seed), (1, 256))
        scale = net.step(net.x) * 2 ** net.random.uniform(-3, 3)
        ends = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
        out = net.activation((1, 256), *ends.get(name, (scale, net.zero_point())))
        alpha = float(net.random.uniform(-0.5, 1.5))
        settings = {"kind": "LeakyReluOptions", "alpha": alpha} if name == "LEAKY_RELU" else {}
        net.operator(name, [net.x], out, **settings)
        file = net.content()
        (expected,) = litert.outputs(file, x, kernels=kernels).values()
        assert np.array_equal(IntegerModel.from_file(file).run(x, kernels), expected), seed


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", ["QUANTIZE", "LEAKY_RELU", "RELU", "RELU6", "ADD", "SUB", "MUL"])
def test_scales_that_the_default_kernels_leave_to_others(name, kernels) -> None:
    """From output steps far too fine to far too coarse, all 256 codes."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16, 1)
    inexact = []
    for exponent in np.arange(-16, 14, 0.77):
        net = tflite_networks.Network(np.random.default_rng(0), (1, 16, 16, 1))
        given, inputs, settings = net.step(net.x), [net.x], {}
        if name in ("ADD", "SUB", "MUL"):
            codes = net.random.integers(-128, 128, (1, 16, 16, 1), np.int8)
            inputs.append(net.constant(codes, [given * 1.7], [3]))
            settings = {"kind": f"{name.capitalize()}Options"}
        if name == "LEAKY_RELU":
            settings = {"kind": "LeakyReluOptions", "alpha": -0.37}
        out = net.activation((1, 16, 16, 1), given * 2.0**exponent, -5)
        net.operator(name, inputs, out, **settings)
        file = net.content()
        (expected,) = litert.outputs(file, x, kernels=kernels).values()
        try:
            model = IntegerModel.from_file(file)
        except ModelError as error:
            assert "steps of the output, 256 or more" in str(error)
            inexact.append(exponent)
        else:
            assert np.array_equal(model.run(x, kernels), expected), exponent
    assert bool(inexact) == (name in ("ADD", "SUB", "MUL")) and max(inexact, default=-8) < -4


def test_an_unknown_operator_is_refused_by_name() -> None:
    file = tflite_networks.of_one_operator("RELU_N1_TO_1")
    with pytest.raises(ModelError, match=r"these bytes: cannot compute RELU_N1_TO_1 .*; known"):
        IntegerModel.from_file(file)


def of_type(dtype: str) -> bytes:
    """A file that quantizes again: its input is uint8 or int16, its output int8."""
    net = tflite_networks.Network(np.random.default_rng(0), (1, 4))
    net.graph.tensors[net.x].type = tflite_networks.TYPES[dtype]
    net.graph.tensors[net.x].quantization.zeroPoint = np.zeros(1, np.int64)
    net.operator("QUANTIZE", [net.x], net.activation((1, 4), 0.1, 0), kind="QuantizeOptions")
    return net.content()


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_files_of_other_whole_numbers_are_refused_by_the_tensor(dtype) -> None:
    message = f"cannot compute QUANTIZE .*tensor 't0' is {dtype}, expected int8; convert the model"
    with pytest.raises(ModelError, match=message):
        IntegerModel.from_file(of_type(dtype))


def moves_the_batch(net) -> None:
    order = net.constant(np.array([1, 0, 2], np.int32))
    net.operator("TRANSPOSE", [net.x, order], net.like((3, 1, 2)), kind="TransposeOptions")


def gathers_from_the_batch(net) -> None:
    inputs = [net.x, net.constant(np.array([0], np.int32))]
    net.operator("GATHER", inputs, net.like((1, 3, 2)), kind="GatherOptions", axis=0)


def stacks_the_batch(net) -> None:
    settings = {"kind": "PackOptions", "axis": 0, "valuesCount": 2}
    net.operator("PACK", [net.x, net.x], net.like((2, 1, 3, 2)), **settings)


def adds_rows(net) -> None:
    shape = net.constant(np.array([3, 2], np.int32))
    net.operator("RESHAPE", [net.x, shape], net.like((3, 2)), kind="ReshapeOptions")
    rows = net.constant(np.ones((3, 2), np.int8), [net.step(net.x)], [0])
    net.operator("ADD", [net.x, rows], net.like((3, 2)), kind="AddOptions")


def inserts_an_axis(net) -> None:
    settings = {"kind": "StridedSliceOptions", "newAxisMask": 2, "beginMask": 15, "endMask": 15}
    ends = [net.constant(np.full(4, n, np.int32)) for n in (0, 9, 1)]
    net.operator("STRIDED_SLICE", [net.x, *ends], net.like((1, 1, 3, 2)), **settings)


def weights_with_a_zero_point(net) -> None:
    kernel = net.constant(np.ones((4, 6), np.int8), [0.1], [3])
    out = net.activation((1, 4), 0.1, 0)
    net.operator("FULLY_CONNECTED", [net.x, kernel], out, kind="FullyConnectedOptions")


def squashes(net) -> None:
    fused = tflite_networks.schema.ActivationFunctionType.RELU_N1_TO_1
    out = net.activation((1, 3, 2), 0.1, 0)
    settings = {"kind": "AddOptions", "fusedActivationFunction": fused}
    net.operator("ADD", [net.x, net.x], out, **settings)


def another_scale(net) -> None:
    out = net.activation((1, 3, 2), 2 * net.step(net.x), 0)
    inputs = [net.x, net.constant(np.array([0, 1], np.int32))]
    net.operator("GATHER", inputs, out, kind="GatherOptions", axis=2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (moves_the_batch, "TRANSPOSE .*it moves the first axis"),
        (gathers_from_the_batch, "GATHER .*works along the first axis"),
        (stacks_the_batch, "PACK .*works along the first axis"),
        (adds_rows, r"ADD .*'t\d' of shape \(3, 2\) does not spread over the inputs"),
        (inserts_an_axis, "STRIDED_SLICE .*newAxisMask"),
        (weights_with_a_zero_point, "FULLY_CONNECTED .*its weights have a zero point"),
        (squashes, "ADD .*fused activation RELU_N1_TO_1 is neither ReLU nor ReLU6"),
        (another_scale, "GATHER .*different scales or zero points"),
    ],
)
def test_settings_that_are_not_computed_are_refused_before_anything_runs(build, message) -> None:
    net = tflite_networks.Network(np.random.default_rng(0), (1, 3, 2))
    build(net)
    with pytest.raises(ModelError, match=f"these bytes: cannot compute {message}"):
        IntegerModel.from_file(net.content(every_output=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": [14]}, "PAD reads '', which no operator before it computes"),
        ({"outputs": [1]}, "the output is '', which no operator before it computes"),
    ],
)
def test_what_nothing_computes_is_refused(change, message) -> None:
    def rewire(model) -> None:
        vars(model.subgraphs[0]).update(change)

    file = tflite_networks.changed(data.read("compressed_20.tflite"), rewire)
    with pytest.raises(ModelError, match=message):
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


@pytest.mark.parametrize("name", ["seed_cnn_float32.tflite", "depthwise_cnn_float32.tflite"])
def test_files_of_litert_s_own_quantizer_are_computed_to_the_same_bytes(name: str) -> None:
    from ai_edge_quantizer import quantizer, recipe

    maker = quantizer.Quantizer(data.read(name))
    maker.load_quantization_recipe(recipe.static_wi8_ai8())
    signature = litert.interpreter(data.read(name)).get_signature_list()["serving_default"]
    examples = [{signature["inputs"][0]: x[np.newaxis]} for x in fashion_mnist.calibration_images()]
    ranges = maker.calibrate({"serving_default": examples[::10]}, num_threads=1)
    file = bytes(maker.quantize(ranges, enable_progress_report=False).quantized_model)
    codes = litert.Runner(file, require_int8=True).encode(pictures(50))
    for kernels in KERNELS:
        (expected,) = litert.outputs(file, codes, kernels=kernels).values()
        assert np.array_equal(IntegerModel.from_file(file).run(codes, kernels), expected)
