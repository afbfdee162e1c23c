"""Every scale and zero point in the converter's files, computed again and compared exactly."""

import warnings
from functools import partial

import numpy as np
import pytest

from edge_course import data, fashion_mnist, process
from edge_course.integer_inference import converter
from edge_course.networks import keras_models
from edge_course.quantization import calibration, quant
from edge_course.runtimes import litert, litert_conversion, tflite_file

tf = pytest.importorskip("tensorflow")


def exported_depthwise_cnn() -> bytes:
    """Runs in a process of its own, with PyTorch."""
    from edge_course.networks import torch_models
    from edge_course.runtimes import onnx_conversion

    return onnx_conversion.export(torch_models.trained_depthwise_cnn())


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    train = fashion_mnist.load("train")
    chosen = fashion_mnist.first_of_each_class(train.labels, fashion_mnist.CALIBRATION_PER_CLASS)
    return fashion_mnist.preprocess(train.images[chosen])


@pytest.fixture(scope="module", params=["seed_cnn", "depthwise_cnn"])
def network(request):
    if request.param == "seed_cnn":
        return keras_models.trained_seed_cnn()
    from edge_course.frameworks import onnx_to_keras

    with process.another() as call:
        return onnx_to_keras.translate(call(exported_depthwise_cnn))


@pytest.fixture(scope="module")
def files(network, inputs) -> tuple[bytes, bytes]:
    """The network in float32 and in int8."""
    return litert.convert(network, "float32"), litert.convert(network, "int8", inputs)


def integers(float32: bytes, int8: bytes) -> dict[str, tflite_file.Tensor]:
    """Every tensor of the int8 file that has a scale, by its name in the float32 file."""
    found = {}
    for before, after in zip(
        tflite_file.read_tflite(float32).operators,
        tflite_file.read_tflite(int8).operators,
        strict=True,
    ):
        assert before.name == after.name
        pairs = zip(before.inputs + before.outputs, after.inputs + after.outputs, strict=True)
        found |= {old.name: new for old, new in pairs if len(new.scales)}
    return found


def different(found, float32: bytes, int8: bytes) -> list[str]:
    """Names of the tensors whose scales and zero points are not the very same numbers."""
    theirs = integers(float32, int8)
    assert {*theirs} == {*found}, "every tensor is to be computed, and nothing else"
    return [
        name
        for name, t in theirs.items()
        if not (
            np.ravel(found[name].scale).dtype == t.scales.dtype
            and np.array_equal(np.ravel(found[name].scale), t.scales)
            and np.array_equal(np.ravel(found[name].zero_point), t.zero_points)
        )
    ]


def test_every_scale_and_zero_point_of_the_file(files, inputs) -> None:
    float32, int8 = files
    found = converter.parameters(float32, converter.seen_ranges(float32, inputs))
    assert different(found, float32, int8) == []
    assert len(found) >= 12
    assert sum(np.size(scale) for scale, _ in found.values()) > 300


def test_the_codes_of_all_weights(files, inputs) -> None:
    """Halves go away from zero; rounded to even, one of 692,000 weights would differ."""
    float32, int8 = files
    found = converter.parameters(float32, converter.seen_ranges(float32, inputs))
    theirs = integers(float32, int8)
    compared = 0
    for op in tflite_file.read_tflite(float32).operators:
        if op.name in converter.CHANNEL_AXIS:
            kernel, bias = op.inputs[1:]
            codes = quant.quantize_bits(
                kernel.values, *found[kernel.name], narrow=True, rounding="away"
            )
            assert np.array_equal(codes, theirs[kernel.name].values)
            sums = np.rint(bias.values / np.float64(found[bias.name].scale))
            assert np.array_equal(sums, theirs[bias.name].values)
            compared += codes.size + sums.size
    assert compared > 10_000


def test_beside_file_pairs_every_tensor_with_what_the_file_says(files, inputs) -> None:
    float32, int8 = files
    theirs = integers(float32, int8)
    pairs = converter.beside_file(float32, int8, inputs)
    assert {*pairs} == {*theirs}
    for name, (found, tensor) in pairs.items():
        assert tensor.index == theirs[name].index and np.array_equal(
            tensor.scales, found.scale.ravel()
        )
    with pytest.raises(ValueError, match="expected the same operators in both files"):
        converter.beside_file(float32, data.read("compressed_20.tflite"), inputs)


def test_which_ranges_are_not_those_of_the_activations(files, network, inputs) -> None:
    """Only an input that an addition overwrites has another range than its own numbers."""
    float32, int8 = files
    found = converter.parameters(float32, converter.seen_ranges(float32, inputs, in_place=False))
    wrong = different(found, float32, int8)
    if network.name == "seed_cnn":
        assert wrong == []
    else:
        last_sum = [op for op in tflite_file.read_tflite(int8).operators if op.name == "ADD"][-1]
        assert wrong == [last_sum.inputs[1].name]


def test_other_ranges_give_other_parameters(files, inputs) -> None:
    """The comparison can fail: ten pictures fewer have other ranges."""
    float32, int8 = files
    found = converter.parameters(float32, converter.seen_ranges(float32, inputs[:10]))
    assert len(different(found, float32, int8)) > 3


def tflite(function, shapes, samples=None) -> bytes:
    """A function in TensorFlow as a float32 file, or calibrated on samples as an int8 one."""
    signature = [tf.TensorSpec(shape) for shape in shapes]
    graph = tf.function(function, input_signature=signature, autograph=False)
    made = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()])
    if samples is not None:
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = lambda: samples
        made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        made.inference_input_type = made.inference_output_type = tf.int8
    with litert_conversion.quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.convert()


def awkward_ranges(count: int) -> np.ndarray:
    """Ranges with zero points half-way between two codes, tiny, constant and one-sided ones."""
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-4, 4, (count, 1))
    limits = np.sort(rng.normal(size=(count, 2)) * sizes, axis=1)
    limits[0::8] = np.abs(limits[0::8])
    limits[1::8] = -np.abs(limits[1::8])
    limits[2::8] = sizes[2::8] * [-5, 1]  # zero point 84.5, but for the last bits
    limits[3::8, 0] = -rng.integers(0, 255, len(limits[3::8])) - 0.5  # scale 1
    limits[3::8, 1] = 255 + limits[3::8, 0]
    limits[4::8] = 0
    limits[5::8] *= 1e-7
    limits[6::8, 1] = limits[6::8, 0]
    return np.sort(limits.astype(np.float32), axis=1)


def test_asymmetric_on_awkward_ranges() -> None:
    """One input of the file for each range; its two numbers are the range."""
    ranges = awkward_ranges(240)
    shapes = [(1, 2)] * len(ranges)
    file = tflite(lambda *xs: [x + x for x in xs], shapes, [list(ranges[:, np.newaxis])])
    details = litert.interpreter(file).get_input_details()
    order = [int(d["name"].split("_")[-1].split(":")[0].removeprefix("xs")) for d in details]
    theirs = {i: d["quantization"] for i, d in zip(order, details, strict=True)}
    assert sorted(theirs) == list(range(len(ranges)))
    scale, zero_point = quant.asymmetric(ranges[:, 0], ranges[:, 1])
    for i in range(len(ranges)):
        assert (scale[i], zero_point[i]) == theirs[i], ranges[i]


def test_symmetric_on_awkward_channels() -> None:
    """All-zero, tiny, one-sided and constant channels of one kernel."""
    kernel = np.random.default_rng(1).normal(size=(8, 64)).astype(np.float32)
    kernel *= np.float32(10.0 ** np.linspace(-12, 4, 64))
    kernel[:, 0], kernel[:, 63] = 0, -0.5
    kernel[:, 62] = -np.abs(kernel[:, 62])
    x = np.linspace(-1, 1, 8, dtype=np.float32)[np.newaxis]
    file = tflite(lambda x: tf.matmul(x, kernel), [(1, 8)], [[x]])
    theirs = tflite_file.read_tflite(file).operators[0].inputs[1]
    scale, _ = quant.symmetric(*calibration.minimum_maximum(kernel, 1))
    assert np.array_equal(scale.ravel(), theirs.scales)


def test_every_rule_in_one_network() -> None:
    """Concatenation, pooling, padding, softmax, logistic, constants and products in place."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    conv = partial(layers.Conv2D, bias_initializer="random_normal")
    x = start = keras.Input((8, 8, 2), batch_size=1)
    left = conv(4, 3, padding="same", activation="relu6")(x)
    depthwise = layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=2, bias_initializer="random_normal"
    )
    right = depthwise(x)
    x = layers.Concatenate()([left, right])
    x = layers.ZeroPadding2D(1)(layers.AveragePooling2D(2)(x))
    gate = conv(8, 1, activation="sigmoid")(x)
    x = layers.Multiply()([conv(8, 1)(x), gate])
    x = conv(8, 1, activation="tanh")(layers.MaxPooling2D(2)(x))
    x = layers.Subtract()([conv(8, 1)(x), layers.Rescaling(-3.0, offset=0.25)(x)])
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(
        start, layers.Softmax()(layers.Dense(5, bias_initializer="random_normal")(x))
    )
    inputs = np.random.default_rng(0).normal(size=(20, 8, 8, 2)).astype(np.float32)
    float32 = litert.convert(model, "float32")
    int8 = litert.convert(model, "int8", inputs)
    names = {op.name for op in tflite_file.read_tflite(int8).operators}
    assert names >= {
        "CONCATENATION", "AVERAGE_POOL_2D", "PAD", "MAX_POOL_2D", "MUL", "SUB", "MEAN",
        "LOGISTIC", "TANH", "SOFTMAX",
    }  # fmt: skip
    found = converter.parameters(float32, converter.seen_ranges(float32, inputs))
    assert different(found, float32, int8) == []


def test_the_smallest_range_of_an_overwritten_input() -> None:
    """x² is 1, but −1 lies in its memory when the calibrator looks."""
    ones = np.ones((1, 2), np.float32)
    file = tflite(lambda x: tf.exp(tf.square(x) * -1.0), [(1, 2)])
    names = [op.outputs[0].name for op in tflite_file.read_tflite(file).operators]
    assert [op.name for op in tflite_file.read_tflite(file).operators] == ["SQUARE", "MUL", "EXP"]
    assert converter.seen_ranges(file, ones, in_place=False)[names[0]] == (1, 1)
    assert converter.seen_ranges(file, ones)[names[0]] == (-1, 1)


@pytest.mark.parametrize(
    ("function", "size", "range_of_the_sum"),
    [
        (lambda x: tf.tanh((x + x) * x), 2, (-2, 2)),  # the product overwrites the sum
        (lambda x: tf.tanh((x + x) * x), 1, (-2, 0)),  # a single number keeps its memory
        (lambda x: (x + x) * x, 2, (-2, 0)),  # the model's output has memory of its own
        (lambda x: tf.tanh(tf.nn.softmax(x + x) + x), 2, (-2, 0.5)),
    ],
)
def test_where_the_converter_sees_an_overwritten_input(function, size, range_of_the_sum) -> None:
    minus = np.full((1, size), -1, np.float32)
    float32, int8 = tflite(function, [(1, size)]), tflite(function, [(1, size)], [[minus]])
    total = tflite_file.read_tflite(int8).operators[0].outputs[0]
    assert (total.scales[0], total.zero_points[0]) == quant.asymmetric(*range_of_the_sum)
    found = converter.parameters(float32, converter.seen_ranges(float32, minus))
    assert different(found, float32, int8) == []


def test_what_is_refused() -> None:
    file = tflite(lambda x: tf.exp(x), [(1, 2)])
    x = np.zeros((1, 2), np.float32)
    with pytest.raises(ValueError, match="no rule for the operator EXP"):
        converter.parameters(file, converter.seen_ranges(file, x))
    with pytest.raises(ValueError, match="expected a range of every activation, none of"):
        converter.parameters(file, {})
    with pytest.raises(ValueError, match=r"inputs: expected shape \(n, 2\)"):
        converter.seen_ranges(file, np.zeros((1, 3), np.float32))
    with pytest.raises(litert.ModelError, match="not a TFLite model"):
        converter.seen_ranges(b"no model", x)
