"""LiteRT against Keras in every mode, and every documented error of the module."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edge_course import data, fashion_mnist
from edge_course.networks import SEED_CNN_WEIGHTS, keras_models
from edge_course.quantization import quant
from edge_course.runtimes import litert, litert_conversion, tflite_file
from tests.support import tflite_networks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def trained():
    return keras_models.trained_seed_cnn()


@pytest.fixture(scope="module")
def calibration() -> np.ndarray:
    train = fashion_mnist.load("train")
    kept = fashion_mnist.first_of_each_class(train.labels, fashion_mnist.CALIBRATION_PER_CLASS)
    return fashion_mnist.preprocess(train.images[kept])


@pytest.fixture(scope="module")
def files(trained, calibration) -> dict[str, bytes]:
    """Every mode's file, converted once."""
    return {
        mode: litert.convert(trained, mode, calibration if mode == "int8" else None)
        for mode in litert.MODES
    }


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:1000])


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).random((50, 28, 28, 1), dtype=np.float32)


def raw(model: bytes, x: np.ndarray, kernels: str = "default") -> np.ndarray:
    """The output of LiteRT's own interpreter, nothing of ours around it."""
    made = litert.interpreter(model, kernels=kernels)
    made.resize_tensor_input(made.get_input_details()[0]["index"], x.shape)
    made.allocate_tensors()
    made.set_tensor(made.get_input_details()[0]["index"], x)
    made.invoke()
    return made.get_tensor(made.get_output_details()[0]["index"])


def tensorflow_file(shape, function, **settings) -> bytes:
    """A TFLite file of a TensorFlow function, with settings of the converter."""
    import tensorflow as tf

    specs = [tf.TensorSpec(s, tf.float32) for s in shape]
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    for name, value in settings.items():
        setattr(converter, name, value)
    return converter.convert()


def changed(model: bytes, change) -> bytes:
    """The file with something in its graph changed."""
    return tflite_networks.changed(model, lambda content: change(content.subgraphs[0]))


# --- What each mode promises


@pytest.mark.parametrize("kernels", litert.KERNELS)
def test_float32_is_keras_on_random_inputs(trained, files, noise, kernels) -> None:
    scores = litert.Runner(files["float32"], kernels=kernels).run(noise)
    assert np.allclose(scores, trained.predict(noise, verbose=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("mode", "tolerance"), [("float16", 0.01), ("dynamic", 0.2)])
def test_smaller_weights_are_keras_with_a_small_error(trained, files, noise, mode, tolerance):
    scores = litert.Runner(files[mode]).run(noise)
    expected = trained.predict(noise, verbose=0)
    assert 1e-5 < np.abs(scores - expected).max() < tolerance


def test_int8_is_keras_with_a_small_error_inside_its_range(trained, files, noise) -> None:
    runner = litert.Runner(files["int8"])
    end = tflite_file.read_tflite(files["int8"]).operators[-1].outputs[0]
    low, high = quant.dequantize(np.int8([-128, 127]), end.scales[0], end.zero_points[0])
    expected = trained.predict(noise, verbose=0).clip(low, high)
    # A few steps of the output: noise drives the hidden layer harder than any picture.
    assert np.abs(runner.run(noise) - expected).max() < 8 * end.scales[0]


@pytest.mark.parametrize("mode", litert.MODES)
def test_predictions_agree_with_keras_on_pictures(trained, files, pictures, mode) -> None:
    expected = trained.predict(pictures, verbose=0).argmax(axis=1)
    assert np.mean(litert.Runner(files[mode]).predict(pictures) == expected) > 0.99


@pytest.mark.parametrize(
    ("mode", "ends", "kernels", "biases", "share"),
    [
        ("float32", "float32", ["float32"] * 3, ["float32"] * 3, 1.0),
        ("float16", "float32", ["float16"] * 3, ["float16"] * 3, 0.51),
        ("dynamic", "float32", ["float32", "int8", "int8"], ["float32"] * 3, 0.26),
        ("int8", "int8", ["int8"] * 3, ["int32"] * 3, 1 / 3.9),
    ],
)
def test_types_and_sizes(files, mode, ends, kernels, biases, share) -> None:
    runner = litert.Runner(files[mode])
    assert (runner.input_dtype.name, runner.output_dtype.name) == (ends, ends)
    shapes = {(32, 3, 3, 1): 0, (128, 5408): 1, (10, 128): 2, (32,): 0, (128,): 1, (10,): 2}
    found = {
        (len(t.shape) > 1, shapes[t.shape]): t.dtype.name
        for operator in tflite_file.read_tflite(files[mode]).operators
        for t in operator.inputs
        if t.values is not None and t.shape in shapes
    }
    assert [found[True, layer] for layer in range(3)] == kernels
    assert [found[False, layer] for layer in range(3)] == biases
    assert len(files[mode]) <= share * len(files["float32"])


@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_shipped_file_is_a_fresh_conversion(files, pictures, mode) -> None:
    """Bytes may differ between machines: what the two files compute and hold may not."""
    shipped = data.read(f"seed_cnn_{mode}.tflite")
    assert list(map(str, tflite_file.read_tflite(shipped).operators)) == list(
        map(str, tflite_file.read_tflite(files[mode]).operators)
    )
    assert np.array_equal(
        litert.Runner(shipped).predict(pictures), litert.Runner(files[mode]).predict(pictures)
    )


# --- The runner


@pytest.mark.parametrize("mode", litert.MODES)
def test_any_batch_gives_the_rows_one_by_one(files, pictures, mode) -> None:
    one_by_one = litert.Runner(files[mode])
    expected = np.concatenate([one_by_one.run(picture[np.newaxis]) for picture in pictures])
    runner = litert.Runner(files[mode])
    for n in (1, 2, 7, 1000, 1):
        rows = runner.run(pictures[:n])
        assert rows.shape == (n, 10) and rows.dtype == np.float32
        if mode == "int8":
            assert np.array_equal(rows, expected[:n])
        else:
            assert np.allclose(rows, expected[:n], rtol=1e-5, atol=1e-5)


def test_scores_and_predictions_are_the_runs_in_batches(files, pictures) -> None:
    runner = litert.Runner(files["int8"])
    expected = runner.run(pictures[:50])
    assert np.array_equal(runner.scores(pictures[:50], batch=7), expected)
    predicted = runner.predict(pictures[:50], batch=20)
    assert np.array_equal(predicted, expected.argmax(axis=1))
    assert predicted.dtype == np.int64


def test_borders_are_the_interpreters_own_parameters(files, pictures) -> None:
    runner = litert.Runner(files["int8"])
    made = litert.interpreter(files["int8"])
    (s_in, z_in), (s_out, z_out) = (
        d[0]["quantization"] for d in (made.get_input_details(), made.get_output_details())
    )
    codes = quant.quantize(pictures[:20], s_in, z_in)
    assert np.array_equal(runner.encode(pictures[:20]), codes)
    outputs = quant.dequantize(raw(files["int8"], codes), s_out, z_out)
    assert np.array_equal(runner.run(pictures[:20]), outputs)


def test_quantize_is_the_quantize_operator() -> None:
    """Equal for the default kernels; the reference ones round halves away from zero."""
    import tensorflow as tf

    x = np.random.default_rng(1).uniform(-1.5, 2.5, (1, 4096)).astype(np.float32)
    model = tensorflow_file(
        [(1, 4096)],
        tf.nn.relu,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: [[np.linspace(-1, 2, 4096, dtype="float32")[None]]],
    )
    first = tflite_file.read_tflite(model).operators[0]
    assert first.name == "QUANTIZE"
    scale, zero_point = first.outputs[0].scales[0], first.outputs[0].zero_points[0]
    codes = quant.quantize(x, scale, zero_point)
    assert {-128, 127} <= set(codes.flat), "some of it is clipped"
    halfway = np.abs(np.abs(x / scale % 1) - 0.5) < 1e-4
    for kernels in litert.KERNELS:
        made = litert.interpreter(model, kernels=kernels, keep_all=True)
        made.set_tensor(made.get_input_details()[0]["index"], x)
        made.invoke()
        (index,) = (
            d["index"] for d in made.get_tensor_details() if d["name"] == first.outputs[0].name
        )
        assert np.array_equal(made.get_tensor(index)[~halfway], codes[~halfway])


def test_both_kernels_agree_on_int8(files, pictures) -> None:
    default, reference = (
        litert.Runner(files["int8"], kernels=kernels).predict(pictures[:300])
        for kernels in litert.KERNELS
    )
    assert np.mean(default == reference) >= 0.99


def test_threads_do_not_change_the_answer(files, pictures) -> None:
    one, two = (litert.Runner(files["int8"], threads=n).run(pictures[:20]) for n in (1, 2))
    assert np.array_equal(one, two)


def test_invoker_computes_what_run_computes(files, pictures) -> None:
    runner = litert.Runner(files["int8"])
    invoke = runner.invoker(pictures[:3])
    invoke()
    output = runner._interpreter.get_tensor(runner._output["index"])
    assert output.shape == (3, 10)
    assert np.array_equal(runner.run(pictures[:3]).argmax(axis=1), output.argmax(axis=1))


def test_paths_and_bytes_are_taken(files, pictures, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(files["int8"])
    expected = litert.Runner(files["int8"]).run(pictures[:2])
    for model in (path, str(path), bytearray(files["int8"])):
        assert np.array_equal(litert.Runner(model).run(pictures[:2]), expected)


def test_require_int8(files) -> None:
    assert litert.Runner(files["int8"], require_int8=True).input_dtype == np.int8
    for mode in ("float32", "float16", "dynamic"):
        with pytest.raises(litert.ModelError, match="expected int8 input and output, got float32"):
            litert.Runner(files[mode], require_int8=True)


def test_keep_all_keeps_what_lies_between(files, pictures) -> None:
    made = litert.interpreter(files["float32"], kernels="reference", keep_all=True)
    made.set_tensor(made.get_input_details()[0]["index"], pictures[:1])
    made.invoke()
    (conv,) = (d for d in made.get_tensor_details() if list(d["shape"]) == [1, 26, 26, 32])
    activation = made.get_tensor(conv["index"])
    assert activation.min() == 0 and activation.max() > 0, "after its ReLU"


# --- What is in a file


def test_operators_of_float32_hold_the_weights_themselves(files) -> None:
    operators = tflite_file.read_tflite(files["float32"]).operators
    assert [o.name for o in operators] == [
        "CONV_2D", "MAX_POOL_2D", "SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE",
        "FULLY_CONNECTED", "FULLY_CONNECTED",
    ]  # fmt: skip
    weights = safetensors.numpy.load(data.read(SEED_CNN_WEIGHTS))
    # LiteRT keeps the output channels first: (32, 3, 3, 1), Keras last: (3, 3, 1, 32).
    kernel = weights["conv/kernel"].transpose(3, 0, 1, 2)
    assert np.array_equal(operators[0].inputs[1].values, kernel)
    assert np.array_equal(operators[-1].inputs[1].values, weights["scores/kernel"].T)
    assert operators[0].inputs[0].values is None and operators[0].outputs[0].values is None
    assert len(operators[0].inputs[0].scales) == 0


def test_operators_of_int8_hold_the_weights_within_half_a_scale(files) -> None:
    last = tflite_file.read_tflite(files["int8"]).operators[-1]
    _, kernel, bias = last.inputs
    weights = safetensors.numpy.load(data.read(SEED_CNN_WEIGHTS))["scores/kernel"].T
    assert kernel.values.shape == weights.shape and kernel.scales.shape == (10,)
    assert not kernel.zero_points.any()
    error = np.abs(kernel.values * kernel.scales[:, np.newaxis] - weights)
    assert np.all(error <= kernel.scales[:, np.newaxis] / 2 * 1.0001)
    assert np.allclose(bias.scales, last.inputs[0].scales * kernel.scales)


def test_float16_undoes_its_weights_first(files) -> None:
    names = [o.name for o in tflite_file.read_tflite(files["float16"]).operators]
    assert names[:6] == ["DEQUANTIZE"] * 6 and names.count("DEQUANTIZE") == 6


def test_operators_print_in_one_line(files) -> None:
    operators = tflite_file.read_tflite(files["int8"]).operators
    assert str(operators[0]) == (
        "CONV_2D         int8 1×28×28×1, constant int8 32×3×3×1, constant int32 32 "
        "→ int8 1×26×26×32"
    )
    assert str(operators[3].outputs[0]) == "int32 number"


# --- Errors of the conversion


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "needs a calibration set"),
        (np.zeros((0, 28, 28, 1), np.float32), "it is empty"),
        (np.zeros((5, 28, 28), np.float32), r"expected shape \(n, 28, 28, 1\), got \(5, 28, 28\)"),
        (np.zeros((28, 28, 1), np.float32), r"expected shape \(n, 28, 28, 1\)"),
        (np.zeros((5, 28, 28, 1), np.uint8), "expected float32, got uint8"),
        (np.zeros((5, 28, 28, 1)), r"got float64; use \.astype\('float32'\)"),
        (np.full((5, 28, 28, 1), np.nan, np.float32), "NaN or infinity"),
        (np.full((5, 28, 28, 1), np.inf, np.float32), "NaN or infinity"),
    ],
)
def test_bad_calibration_set_is_refused(trained, bad, message) -> None:
    with pytest.raises(ValueError, match=message):
        litert.convert(trained, "int8", bad)


@pytest.mark.parametrize("mode", ["float32", "float16", "dynamic"])
def test_calibration_set_for_another_mode_is_refused(trained, calibration, mode) -> None:
    with pytest.raises(ValueError, match=f'only the mode "int8" takes a calibration.*"{mode}"'):
        litert.convert(trained, mode, calibration)


def two_inputs():
    import keras

    sides = [keras.Input((4,)), keras.Input((3,))]
    return keras.Model(sides, keras.layers.Concatenate()(sides))


def a_class_of_ones_own():
    import keras

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 4), np.float32))
    return model


def not_built():
    import keras

    return keras.Sequential([keras.layers.Dense(3)])


def open_size():
    import keras

    return keras.Sequential([keras.Input((None, 8, 1)), keras.layers.GlobalAveragePooling2D()])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (two_inputs, "expected a model with one input, got 2"),
        (a_class_of_ones_own, r"Own does not know the shape of its input.*keras\.Input"),
        (not_built, r"Sequential does not know the shape of its input.*keras\.Input"),
        (open_size, r"an input of a fixed shape, got \(open, 8, 1\)"),
    ],
)
def test_models_that_int8_cannot_take_are_refused_by_what_is_wrong(model, message) -> None:
    with pytest.raises(ValueError, match=message):
        litert.convert(model(), "int8", np.ones((4, 8, 8, 1), np.float32))


def test_unknown_mode_lists_the_modes(trained) -> None:
    with pytest.raises(ValueError, match="float32, float16, dynamic, int8, got 'int4'"):
        litert.convert(trained, "int4")


def test_converting_prints_nothing(trained, calibration, capfd) -> None:
    litert.convert(trained, "int8", calibration[:1])
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_what_stops_a_conversion_is_raised_and_stderr_comes_back(trained, capfd) -> None:
    class Broken:
        input_shape = trained.input_shape

    with pytest.raises(AttributeError):
        litert.convert(Broken(), "float32")
    os.write(2, b"still here")
    assert "still here" in capfd.readouterr().err


def test_convert_is_the_one_of_the_conversion_module() -> None:
    assert litert.convert is litert_conversion.convert and litert.MODES is litert_conversion.MODES


# --- Errors of running


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((0, 28, 28, 1), np.float32), "input: it is empty"),
        (np.zeros((28, 28, 1), np.float32), r"input: expected shape \(n, 28, 28, 1\), got"),
        (np.zeros((2, 14, 14, 1), np.float32), r"input: expected shape \(n, 28, 28, 1\), got"),
        (np.zeros((2, 28, 28, 1), np.int8), "input: expected float32, got int8"),
        (np.full((2, 28, 28, 1), np.nan, np.float32), "NaN or infinity"),
    ],
)
@pytest.mark.parametrize("call", ["run", "scores", "predict", "encode", "invoker"])
def test_bad_input_is_refused(files, call, bad, message) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(litert.Runner(files["int8"]), call)(bad)


@pytest.mark.parametrize("threads", [0, -1, 1.5, None])
def test_threads_below_one_are_refused(files, threads) -> None:
    with pytest.raises(ValueError, match=f"expected at least 1 thread, got {threads}"):
        litert.Runner(files["int8"], threads=threads)


def test_unknown_kernels_are_refused(files) -> None:
    with pytest.raises(ValueError, match="one of the kernels default, reference, got 'fast'"):
        litert.Runner(files["int8"], kernels="fast")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(4096)])
def test_other_bytes_are_named(content) -> None:
    with pytest.raises(litert.ModelError, match=r"these bytes: not a TFLite model: .*b'TFL3'"):
        litert.Runner(content)


def test_other_file_is_named(tmp_path) -> None:
    path = tmp_path / "notes.tflite"
    path.write_text("nothing of the kind")
    with pytest.raises(litert.ModelError, match=r"notes\.tflite: not a TFLite model"):
        tflite_file.read_tflite(path)


def test_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(litert.ModelError, match=r"cannot read the model .*none\.tflite: No such"):
        litert.Runner(tmp_path / "none.tflite")


def test_folder_is_named(tmp_path) -> None:
    with pytest.raises(litert.ModelError, match=f"cannot read the model {tmp_path}"):
        litert.Runner(tmp_path)


def test_what_is_no_model_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="expected a file's path or bytes, got ndarray"):
        litert.Runner(np.zeros(9, np.uint8))


def test_several_inputs_are_refused() -> None:
    model = tensorflow_file([(1, 3), (1, 3)], lambda a, b: a + b)
    with pytest.raises(litert.ModelError, match="one input and one output, got 2 and 1"):
        litert.Runner(model)
    assert [o.name for o in tflite_file.read_tflite(model).operators] == ["ADD"]
    assert all(t.values is None for t in tflite_file.read_tflite(model).operators[0].inputs)


def test_other_types_at_the_ends_are_refused() -> None:
    import tensorflow as tf

    model = tensorflow_file([(1, 3)], lambda x: tf.argmax(x, axis=1))
    with pytest.raises(litert.ModelError, match=r"float32 or int8 .*got float32 and int64"):
        litert.Runner(model)


def test_model_of_one_batch_size_says_so_and_goes_on_with_it() -> None:
    import tensorflow as tf

    runner = litert.Runner(tensorflow_file([(1, 4)], lambda x: tf.reshape(x, (1, 2, 2))))
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    for _ in range(2):
        with pytest.raises(litert.ModelError, match="cannot make room for 2 inputs"):
            runner.run(x)
    assert np.array_equal(runner.run(x[:1]), x[:1].reshape(1, 2, 2))


# --- Files that were damaged

TRUNCATIONS = """
import sys
from edge_course import data
from edge_course.runtimes import litert, tflite_file
content = data.read("seed_cnn_int8.tflite")
lengths = [8, 9, 12, 16, 64, *range(100, len(content), len(content) // 60), len(content) - 1]
for length in lengths:
    for load in (litert.Runner, tflite_file.read_tflite):
        try:
            load(content[:length])
        except litert.ModelError as error:
            assert "these bytes: LiteRT cannot load this model" in str(error), error
        else:
            sys.exit(f"loaded {length} of {len(content)} bytes")
"""


def test_truncated_file_never_loads_and_never_ends_the_process() -> None:
    """In a child process, because a crash could not be caught in this one."""
    child = subprocess.run(
        [sys.executable, "-c", TRUNCATIONS], cwd=ROOT, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr[-2000:]


def test_altered_zero_point_is_refused(files) -> None:
    def far_off(graph) -> None:
        graph.tensors[graph.inputs[0]].quantization.zeroPoint = [1000]

    with pytest.raises(litert.ModelError, match="LiteRT cannot"):
        litert.Runner(changed(files["int8"], far_off), kernels="reference")


def test_altered_shape_is_refused_when_it_runs(files, pictures) -> None:
    def smaller(graph) -> None:
        graph.tensors[graph.inputs[0]].shape = [1, 20, 20, 1]
        graph.tensors[graph.inputs[0]].shapeSignature = [-1, 20, 20, 1]

    altered = changed(files["int8"], smaller)
    with pytest.raises(litert.ModelError, match="LiteRT cannot"):
        litert.Runner(altered).run(pictures[:2, :20, :20])


def test_name_that_is_no_text_is_refused(files) -> None:
    altered = files["int8"].replace(b"serving_default", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8default")
    assert altered != files["int8"]
    for load in (litert.Runner, tflite_file.read_tflite):
        with pytest.raises(litert.ModelError, match=r"these bytes: LiteRT.* cannot"):
            load(altered)


def test_a_tensors_range_is_what_its_lowest_and_highest_codes_stand_for(files) -> None:
    for tensor in tflite_file.read_tflite(files["int8"]).operators[0].inputs:
        low, high = litert.tensor_range(files["int8"], tensor.index)
        assert len(low) == len(high) == len(tensor.scales)
        if tensor.dtype == np.int8:
            for i, (scale, zero) in enumerate(zip(tensor.scales, tensor.zero_points, strict=True)):
                assert low[i] == pytest.approx(quant.dequantize(np.int8(-128), scale, zero))
                assert high[i] == pytest.approx(quant.dequantize(np.int8(127), scale, zero))
        else:
            assert np.allclose(high, tensor.scales * (2.0**31 - 1)) and np.all(low < -high)
    assert [len(limits) for limits in litert.tensor_range(files["float32"], 0)] == [0, 0]
    with pytest.raises(ValueError, match="there is no tensor with the index 999"):
        litert.tensor_range(files["int8"], 999)
