"""ONNX Runtime: the export, int8, the levels, the runner, and every documented error.

PyTorch runs in a process of its own.
"""

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime import quantization

from edge_course import data, fashion_mnist
from edge_course.frameworks import in_pytorch
from edge_course.nodes.node import Node
from edge_course.nodes.part import Part
from edge_course.runtimes import (
    model_files,
    onnx_conversion,
    onnx_files,
    onnx_quantization,
    ort,
    ort_profile,
    ort_session,
)
from edge_course.split_layers import cut, graph

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = in_pytorch.TRAINED


@pytest.fixture(scope="module")
def calibration() -> np.ndarray:
    train = fashion_mnist.load("train")
    kept = fashion_mnist.first_of_each_class(train.labels, fashion_mnist.CALIBRATION_PER_CLASS)
    return fashion_mnist.preprocess(train.images[kept]).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:1000]).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def files(call, calibration) -> dict[tuple[str, str], bytes]:
    """(network, mode) → file, made once."""
    made = {}
    for network in NETWORKS:
        made[network, "float32"] = file = call(in_pytorch.export_trained, network)
        made[network, "int8"] = ort.quantize_model(file, "int8", calibration)
        made[network, "dynamic"] = ort.quantize_model(file, "dynamic")
    return made


def model_of(body: str, inputs: str = "float[n,3] x", outputs: str = "float[n,3] y") -> bytes:
    """A small ONNX model written as text."""
    text = f'<ir_version: 10, opset_import: ["": 20]> g ({inputs}) => ({outputs}) {{ {body} }}'
    return onnx.parser.parse_model(text).SerializeToString()


# --- Export


@pytest.mark.parametrize("network", NETWORKS)
def test_export_is_a_valid_model_of_any_batch_with_names(files, network) -> None:
    proto = ort.read_proto(files[network, "float32"])
    onnx.checker.check_model(proto, full_check=True)
    (given,), (result,) = proto.graph.input, proto.graph.output
    assert (given.name, result.name) == ("image", "scores")
    for end, shape in ((given, [1, 28, 28]), (result, [10])):
        batch, *rest = end.type.tensor_type.shape.dim
        assert batch.dim_param == "n"
        assert [size.dim_value for size in rest] == shape


@pytest.mark.parametrize("network", NETWORKS)
def test_export_holds_nothing_that_nobody_needs(call, files, network) -> None:
    weights = call(in_pytorch.trained_weights, network)
    needed = sum(w.nbytes for name, w in weights.items() if ".norm." not in name)
    assert needed < len(files[network, "float32"]) < needed + 8000
    assert b"/site-packages/" not in files[network, "float32"]


def test_export_folds_batch_normalisation(files) -> None:
    names = Counter(o.name for o in ort.operators(files["depthwise_cnn", "float32"]))
    assert names == {
        "Conv": 9, "Clip": 5, "Relu": 4, "Add": 2, "ReduceMean": 1, "Reshape": 1, "Gemm": 1,
    }  # fmt: skip


@pytest.mark.parametrize("level", ort.LEVELS)
@pytest.mark.parametrize("network", NETWORKS)
def test_float32_is_pytorch_at_every_level(call, files, pictures, network, level) -> None:
    expected = call(in_pytorch.trained_scores, network, pictures[:200])
    scores = ort.Runner(files[network, "float32"], level=level).run(pictures[:200])
    assert np.abs(scores - expected).max() < 1e-5 * np.abs(expected).max()


def export(kind: str, shape: tuple[int, ...] = (1, 28, 28)) -> bytes:
    """Export something that cannot be exported."""
    import torch
    from torch import nn

    from edge_course.networks import torch_models

    class Does(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.forward = function

    seed_cnn = torch_models.seed_cnn().eval()
    half = torch_models.depthwise_cnn().eval()
    half.block1.depthwise.norm.train()
    models = {
        "array": np.zeros(3),
        "seed CNN": seed_cnn,
        "training": torch_models.seed_cnn(),
        "half in training": half,
        "two outputs": Does(lambda x: (x, x)).eval(),
        "one row": Does(lambda x: x.mean(0)).eval(),
        "number": Does(lambda x: x.mean()).eval(),
        "branch": Does(lambda x: x if x.mean() > 0 else -x).eval(),
        "batch as a number": Does(lambda x: x.reshape(int(x.shape[0]), 784) * 1).eval(),
        "unknown operator": Does(lambda x: torch.special.i0e(x)).eval(),
        "dropped setting": nn.AvgPool2d(2, divisor_override=1).eval(),
        "noise": Does(lambda x: x + torch.randn_like(x)).eval(),
        "dropout in use": Does(lambda x: nn.functional.dropout(x, 0.5, training=True)).eval(),
        "noise of NumPy": Does(lambda x: x + float(np.random.default_rng().random())).eval(),
    }
    return ort.export(models[kind], shape)


@pytest.mark.parametrize(
    ("kind", "shape", "error", "message"),
    [
        ("array", (1, 28, 28), ValueError, r"expected a PyTorch model .*, got ndarray"),
        ("training", (1, 28, 28), ValueError, r"in training mode, .*call model\.eval\(\)"),
        ("half in training", (1, 28, 28), ValueError, "in training mode"),
        ("seed CNN", (1, 20, 20), ValueError, r"float32 inputs of shape \(3, 1, 20, 20\): mat1"),
        ("seed CNN", (28, 28, 1), ValueError, r"does not take float32 inputs of shape \(3, 28"),
        ("two outputs", (3,), ValueError, r"one output \(3, …\) for 3 inputs, got tuple"),
        ("one row", (4,), ValueError, r"one output \(3, …\) for 3 inputs, got \(4,\)"),
        ("number", (4,), ValueError, r"one output \(3, …\) for 3 inputs, got \(\)"),
        ("branch", (4,), ort.ModelError, "PyTorch cannot export this model: .*data-dependent"),
        ("batch as a number", (1, 28, 28), ort.ModelError, "for a batch of two only; does its"),
        ("unknown operator", (4,), ort.ModelError, "PyTorch cannot export this model: .*i0e"),
        ("dropped setting", (1, 4, 4), ort.ModelError, "something else than the model: .*'scores'"),
        ("noise", (4,), ort.ModelError, r"draws random numbers \(RandomNormalLike in ONNX\)"),
        ("dropout in use", (4,), ort.ModelError, "draws random numbers"),
        ("noise of NumPy", (4,), ort.ModelError, "draws random numbers: it answers the same"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused(call, kind, shape, error, message) -> None:
    with pytest.raises(error, match=message):
        call(export, kind, shape)


def test_exporting_and_quantizing_print_nothing() -> None:
    code = (
        "from edge_course.frameworks import in_pytorch; from edge_course.runtimes import ort;"
        "import numpy as np;"
        "file = in_pytorch.export_trained('seed_cnn'); ort.quantize_model(file, 'dynamic');"
        "ort.quantize_model(file, 'int8', np.zeros((2, 1, 28, 28), np.float32))"
    )
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


# --- int8


@pytest.mark.parametrize("network", NETWORKS)
def test_int8_weights_have_a_scale_for_each_channel(call, files, network) -> None:
    operators = ort.operators(files[network, "int8"])
    dequantized = {o.outputs[0].name: o for o in operators if o.name == "DequantizeLinear"}
    floats = {
        w.shape: w for w in call(in_pytorch.trained_weights, network).values() if w.ndim in (2, 4)
    }
    layers = [o for o in operators if o.name in ("Conv", "Gemm")]
    assert len(layers) == {"seed_cnn": 3, "depthwise_cnn": 10}[network]
    for layer in layers:
        codes, scales, zero_points = dequantized[layer.inputs[1].name].inputs
        assert codes.dtype == "int8" and codes.values is not None
        assert scales.shape == zero_points.shape == codes.shape[:1]
        assert not zero_points.values.any()
        assert dequantized[layer.inputs[2].name].inputs[0].dtype == "int32"
        if network == "seed_cnn":  # the other one's are folded with the normalisation
            steps = scales.values.reshape(-1, *[1] * (len(codes.shape) - 1))
            error = np.abs(codes.values * steps - floats[codes.shape])
            assert (error <= steps / 2 * 1.0001).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_int8_activations_come_in_pairs(files, network) -> None:
    """Every convolution and dense layer reads uint8 that is dequantized, and writes uint8."""
    operators = ort.operators(files[network, "int8"])
    made_by = {o.outputs[0].name: o for o in operators}
    read_by = {name.name: o for o in operators for name in o.inputs}
    for layer in (o for o in operators if o.name in ("Conv", "Gemm")):
        before = made_by[layer.inputs[0].name]
        assert before.name == "DequantizeLinear" and before.inputs[0].dtype == "uint8"
        after = read_by[layer.outputs[0].name]
        assert after.name == "QuantizeLinear" and after.outputs[0].dtype == "uint8"
    assert "Relu" not in {o.name for o in operators}, "its zero is the end of the uint8 range"


def test_int8_runs_in_integers(files) -> None:
    names = {o.name for o in ort.operators(ort.optimize_model(files["seed_cnn", "int8"], "all"))}
    assert names & {"QLinearConv", "com.microsoft.QLinearConv", "com.microsoft.nhwc.QLinearConv"}
    assert names & {"com.microsoft.QGemm"}
    assert not names & {"Conv", "Gemm", "com.microsoft.FusedConv", "com.microsoft.FusedGemm"}


def test_dynamic_quantizes_dense_layers_only(files) -> None:
    names = Counter(o.name for o in ort.operators(files["seed_cnn", "dynamic"]))
    assert (names["Conv"], names["MatMulInteger"], names["DynamicQuantizeLinear"]) == (1, 2, 2)
    conv = ort.operators(files["seed_cnn", "dynamic"])[0]
    assert conv.inputs[1].dtype == "float32"
    names = Counter(o.name for o in ort.operators(files["depthwise_cnn", "dynamic"]))
    assert (names["Conv"], names["MatMulInteger"]) == (9, 1)


@pytest.mark.parametrize(
    ("network", "mode", "share"),
    [("seed_cnn", "int8", 0.26), ("seed_cnn", "dynamic", 0.26), ("depthwise_cnn", "int8", 0.6),
     ("depthwise_cnn", "dynamic", 1.0)],
)  # fmt: skip
def test_quantized_files_are_smaller_and_agree(files, pictures, network, mode, share) -> None:
    original, quantized = files[network, "float32"], files[network, mode]
    assert len(quantized) < share * len(original)
    expected = ort.Runner(original).predict(pictures)
    assert np.mean(ort.Runner(quantized).predict(pictures) == expected) > 0.97


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "needs a calibration set"),
        (np.zeros((0, 1, 28, 28), np.float32), "calibration set: it is empty"),
        (np.zeros((5, 28, 28, 1), np.float32), r"expected shape \(n, 1, 28, 28\), got \(5, 28"),
        (np.zeros((1, 28, 28), np.float32), r"expected shape \(n, 1, 28, 28\)"),
        (np.zeros((5, 1, 28, 28), np.uint8), "expected float32, got uint8"),
        (np.full((5, 1, 28, 28), np.nan, np.float32), "NaN or infinity"),
    ],
)
def test_bad_calibration_set_is_refused(files, bad, message) -> None:
    with pytest.raises(ValueError, match=message):
        ort.quantize_model(files["seed_cnn", "float32"], "int8", bad)


def test_what_cannot_be_quantized_is_refused(files, calibration) -> None:
    float32 = files["seed_cnn", "float32"]
    with pytest.raises(ValueError, match="one of the modes dynamic, int8, got 'float16'"):
        ort.quantize_model(float32, "float16")
    with pytest.raises(ValueError, match=r'only the mode "int8" takes .*not "dynamic"'):
        ort.quantize_model(float32, "dynamic", calibration)
    for mode in ort.QUANTIZATION_MODES:
        with pytest.raises(ort.ModelError, match="these bytes: is quantized already"):
            ort.quantize_model(files["seed_cnn", mode], "int8", calibration)
    two = model_of("y = Add(x, z)", "float[n,3] x, float[n,3] z")
    with pytest.raises(ort.ModelError, match="these bytes: expected one input, got 2"):
        ort.quantize_model(two, "int8", np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"expected shape \(n, 1, h\), got \(2, 1, 3\)"):
        open_ = model_of("y = Relu(x)", "float[n,1,h] x", "float[n,1,h] y")
        ort.quantize_model(open_, "int8", np.zeros((2, 1, 3), np.float32))
    with pytest.raises(ort.ModelError, match="these bytes: ONNX Runtime cannot quantize this"):
        ort.quantize_model(model_of("y = Gemm(x, x, x, x)"), "dynamic")


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ("y = Neg(x)", "quantized wrongly: y is off by 200% of its size in float32"),
        ("y = Concat<axis=1>(x, x)", r"y has the shape \(4, 6\), for \(4, 3\) in float32"),
        ("y = Div(x, z)", "numbers that are not finite"),
    ],
)
def test_what_is_quantized_wrongly_is_found(monkeypatch, instead, message) -> None:
    """As if the quantizer had written another network."""
    body = f"z = Sub(x, x) {instead}"
    wrong = onnx.load_from_string(model_of(body, outputs="float[n,w] y"))
    monkeypatch.setattr(
        quantization, "quantize_dynamic", lambda _given, made, **_: onnx.save(wrong, made)
    )
    with pytest.raises(ort.ModelError, match=message):
        ort.quantize_model(model_of("y = Identity(x)"), "dynamic")


# --- Levels


@pytest.mark.parametrize("network", NETWORKS)
def test_each_level_leaves_no_more_nodes(files, network) -> None:
    file = files[network, "float32"]
    counts = {
        level: [o.name for o in ort.operators(ort.optimize_model(file, level))]
        for level in ort.LEVELS
    }
    assert counts["none"] == [o.name for o in ort.operators(file)]
    assert len(counts["none"]) >= len(counts["basic"]) > len(counts["extended"])
    assert len(counts["all"]) < len(counts["none"])
    assert "com.microsoft.FusedConv" in counts["extended"]
    assert "Clip" not in counts["extended"]


def test_a_valid_model_that_a_level_spoils_is_not_called_broken() -> None:
    """ONNX Runtime moves a border of three pixels into a MaxPool that can have one."""
    text = """<ir_version: 10, opset_import: ["": 20]> g (float[1,2,8,8] x) => (float[1,2,10,12] y)
        <int64[8] p = {0, 0, 1, 2, 0, 0, 0, 3}>
        { q = Pad(x, p) r = MaxPool<kernel_shape=[2,2]>(q) y = Pad(r, p) }"""
    content = onnx.parser.parse_model(text).SerializeToString()
    assert ort.session(content, level="none")
    with pytest.raises(ort.ModelError, match=r"loads this model, but not .* use level .none"):
        ort.session(content)


def test_unknown_level_is_refused(files) -> None:
    for call in (ort.optimize_model, lambda model, level: ort.Runner(model, level=level)):
        with pytest.raises(ValueError, match="levels none, basic, extended, all, got 'fast'"):
            call(files["seed_cnn", "float32"], "fast")


# --- The runner


@pytest.mark.parametrize("mode", ["float32", "dynamic", "int8"])
def test_any_batch_gives_the_rows_one_by_one(files, pictures, mode) -> None:
    runner = ort.Runner(files["depthwise_cnn", mode])
    expected = np.concatenate([runner.run(pictures[i : i + 1]) for i in range(50)])
    for n in (1, 2, 7, 50, 1):
        rows = runner.run(pictures[:n])
        assert rows.shape == (n, 10) and rows.dtype == np.float32
        # "dynamic" finds one scale for all inputs that are computed at once.
        tolerance = 0.2 if mode == "dynamic" else 1e-4
        assert np.allclose(rows, expected[:n], rtol=1e-4, atol=tolerance)


def test_scores_and_predictions_are_the_runs_in_batches(files, pictures) -> None:
    runner = ort.Runner(files["seed_cnn", "int8"])
    expected = runner.run(pictures[:50])
    assert np.array_equal(runner.scores(pictures[:50], batch=7), expected)
    predicted = runner.predict(pictures[:50], batch=20)
    assert np.array_equal(predicted, expected.argmax(axis=1))
    assert predicted.dtype == np.int64


def test_runner_has_the_face_of_the_other_runner(files) -> None:
    runner = ort.Runner(files["seed_cnn", "int8"])
    assert runner.input_shape == (1, 28, 28)
    assert runner.input_dtype == runner.output_dtype == np.float32


def test_threads_do_not_change_the_answer(files, pictures) -> None:
    one, two = (ort.Runner(files["seed_cnn", "float32"], threads=n) for n in (1, 2))
    assert np.allclose(one.run(pictures[:20]), two.run(pictures[:20]), rtol=1e-5, atol=1e-5)


def test_threads_are_the_sessions_own(files) -> None:
    session = ort.session(files["seed_cnn", "float32"], threads=2, level="basic")
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_invoker_computes_what_run_computes(files, pictures) -> None:
    runner = ort.Runner(files["seed_cnn", "float32"])
    invoke = runner.invoker(pictures[:3].transpose(0, 1, 3, 2).transpose(0, 1, 3, 2))
    invoke()
    (output,) = invoke.args[0].copy_outputs_to_cpu()
    assert np.array_equal(output, runner.run(pictures[:3]))


def test_paths_and_bytes_are_taken(files, pictures, tmp_path) -> None:
    file = files["seed_cnn", "float32"]
    path = tmp_path / "model.onnx"
    path.write_bytes(file)
    expected = ort.Runner(file).run(pictures[:2])
    for model in (path, str(path), bytearray(file)):
        assert np.array_equal(ort.Runner(model).run(pictures[:2]), expected)
        assert len(ort.operators(model)) == 7


def test_model_of_a_fixed_batch_takes_only_that(files) -> None:
    runner = ort.Runner(model_of("y = Relu(x)", "float[2,3] x", "float[2,3] y"))
    assert runner.run(np.zeros((2, 3), np.float32)).shape == (2, 3)
    for call_ in (runner.run, runner.scores, runner.invoker):
        with pytest.raises(ValueError, match="exactly 2 inputs at once, got 4: its batch is fixed"):
            call_(np.zeros((4, 3), np.float32))
    assert runner.scores(np.ones((4, 3), np.float32), batch=2).shape == (4, 3)


def test_what_fails_while_running_is_not_blamed_on_the_file() -> None:
    runner = ort.Runner(model_of("s = Constant<value_ints=[7,-1]>() y = Reshape(x, s)"))
    with pytest.raises(ort.ModelError, match="cannot run 2 inputs through this model") as raised:
        runner.run(np.zeros((2, 3), np.float32))
    assert "cut short" not in str(raised.value)


# --- What is in a file


def test_operators_hold_the_weights_themselves(call, files) -> None:
    operators = ort.operators(files["seed_cnn", "float32"])
    assert [o.name for o in operators] == [
        "Conv", "Relu", "MaxPool", "Reshape", "Gemm", "Relu", "Gemm",
    ]  # fmt: skip
    weights = call(in_pytorch.trained_weights, "seed_cnn")
    for operator, name in (
        (operators[0], "conv"),
        (operators[4], "hidden"),
        (operators[6], "scores"),
    ):
        assert np.array_equal(operator.inputs[1].values, weights[f"{name}.weight"])
        assert np.array_equal(operator.inputs[2].values, weights[f"{name}.bias"])
    assert operators[0].inputs[0].values is None and operators[0].outputs[0].values is None


def test_operators_print_in_one_line(files) -> None:
    operators = ort.operators(files["seed_cnn", "float32"])
    assert str(operators[0]) == (
        "Conv                    float32 n×1×28×28, constant float32 32×1×3×3, "
        "constant float32 32 → float32 n×32×26×26"
    )
    clip = ort.operators(files["depthwise_cnn", "float32"])[1]
    assert str(clip.inputs[1]) == "constant float32 number"


def test_operators_leave_out_what_is_left_out() -> None:
    (clip,) = ort.operators(model_of("y = Clip(x, , x)"))[:1]
    assert [t.name for t in clip.inputs] == ["x", "x"]


def test_unknown_shapes_are_said_to_be_unknown() -> None:
    body = "r = Reshape(x, s) y = Relu(r)"
    proto = onnx.load_from_string(model_of(body, "float[n,3] x, int64[k] s"))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    reshape, relu = ort.operators(proto.SerializeToString())
    assert str(reshape) == (
        "Reshape                 float32 n×3, int64 k → float32 of unknown shape"
    )
    assert str(relu.outputs[0]) == "float32 of unknown shape"


# --- Errors of running


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((0, 1, 28, 28), np.float32), "input: it is empty"),
        (np.zeros((1, 28, 28), np.float32), r"input: expected shape \(n, 1, 28, 28\), got"),
        (np.zeros((2, 28, 28, 1), np.float32), r"input: expected shape \(n, 1, 28, 28\), got"),
        (np.zeros((2, 1, 28, 28)), "input: expected float32, got float64"),
        (np.full((2, 1, 28, 28), np.inf, np.float32), "NaN or infinity"),
    ],
)
@pytest.mark.parametrize("call_", ["run", "scores", "predict", "invoker"])
def test_bad_input_is_refused(files, call_, bad, message) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(ort.Runner(files["seed_cnn", "int8"]), call_)(bad)


@pytest.mark.parametrize("threads", [0, -1, 1.5, None])
def test_threads_below_one_are_refused(files, threads) -> None:
    with pytest.raises(ValueError, match=f"expected at least 1 thread, got {threads}"):
        ort.Runner(files["seed_cnn", "float32"], threads=threads)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (("float[n,3] x, float[n,3] z", "float[n,3] y"), "one input and one output, got 2 and 1"),
        (("float[n,3] x", "float[n,3] y, float[n,3] x"), "one input and one output, got 1 and 2"),
        (("double[n,3] x", "double[n,3] y"), r"got tensor\(double\) and tensor\(double\)"),
        (("float[n,w] x", "float[n,w] y"), r"of which only the batch n is open, got .*'n', 'w'"),
        (("float x", "float y"), r"of which only the batch n is open, got the shape \[\]"),
    ],
)
def test_other_ends_are_refused(ends, message) -> None:
    with pytest.raises(ort.ModelError, match=f"these bytes: expected .*{message}"):
        ort.Runner(model_of("y = Relu(x)", *ends))


# --- Files that are none, or were damaged


@pytest.mark.parametrize("read", [ort.Runner, ort.operators, ort.read_proto, ort.session])
@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(4096)])
def test_other_bytes_are_named(content, read) -> None:
    with pytest.raises(ort.ModelError, match=r"^these bytes: (ONNX|not an ONNX model)"):
        read(content)


def test_other_file_is_named(tmp_path) -> None:
    path = tmp_path / "notes.onnx"
    path.write_text("nothing of the kind")
    for read in (ort.Runner, ort.operators, lambda path: ort.quantize_model(path, "dynamic")):
        with pytest.raises(ort.ModelError, match=r"notes\.onnx: "):
            read(path)


def test_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ort.ModelError, match=r"cannot read the model .*none\.onnx: No such"):
        ort.Runner(tmp_path / "none.onnx")


def test_what_is_no_model_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="expected a file's path or bytes, got ndarray"):
        ort.Runner(np.zeros(9, np.uint8))


def test_newer_operator_set_and_unknown_operators_are_named() -> None:
    newer = onnx.load_from_string(model_of("y = Relu(x)"))
    newer.opset_import[0].version = 99
    with pytest.raises(ort.ModelError, match=r"ONNX Runtime cannot load this model .*99"):
        ort.Runner(newer.SerializeToString())
    with pytest.raises(ort.ModelError, match=r"ONNX Runtime cannot load this model .*Foo"):
        ort.operators(model_of("y = Foo(x)"))


def saved_apart(folder: Path, value: float) -> Path:
    """Write x · w with all weights equal, in another file; return the model's path."""
    folder.mkdir()
    proto = onnx.load_from_string(model_of("y = MatMul(x, w)"))
    weight = onnx.numpy_helper.from_array(np.full((3, 3), value, np.float32), "w")
    proto.graph.initializer.append(weight)
    onnx.save(proto, folder / "model.onnx", save_as_external_data=True, location="weights",
              size_threshold=0)  # fmt: skip
    return folder / "model.onnx"


def operator_times(model) -> list:
    return ort_profile.operator_times(model, np.ones((1, 3), np.float32), runs=1)


READERS = (
    ort.read_proto, ort.operators, ort.session, ort.Runner, Part, Node, graph.read_graph,
    operator_times,
    lambda model: ort.optimize_model(model, "all"),
    lambda model: ort.quantize_model(model, "dynamic"),
    lambda model: cut.cut_model(model, []),
)  # fmt: skip


def test_weights_in_another_file_come_from_the_folder_of_the_model(tmp_path, monkeypatch) -> None:
    paths = {value: saved_apart(tmp_path / str(value), value) for value in (1.0, 7.0)}
    x = np.ones((2, 3), np.float32)
    for here in (tmp_path, tmp_path / "1.0", tmp_path / "7.0"):
        monkeypatch.chdir(here)
        for value, path in paths.items():
            relative = os.path.relpath(path)
            for model in (path, relative, ort.optimize_model(path, "all")):
                assert (ort.Runner(model).run(x) == 3 * value).all()
            assert (Part(relative).run({"x": x})["y"] == 3 * value).all()
            (matmul,) = ort.operators(relative)
            assert (matmul.inputs[1].values == value).all()
            tail = cut.cut_model(relative, []).tail
            assert (ort.Runner(tail).run(x) == 3 * value).all()
            int8 = ort.Runner(ort.quantize_model(relative, "dynamic")).run(x)
            assert np.allclose(int8, 3 * value, rtol=0.02)
    assert Part(paths[1.0]).model != Part(paths[7.0]).model, "the weights count, too"
    with Node(os.path.relpath(paths[1.0])) as node:
        assert node.model == Part(paths[1.0]).model


@pytest.mark.parametrize("read", READERS)
def test_content_without_its_weights_is_refused(tmp_path, monkeypatch, read) -> None:
    path = saved_apart(tmp_path / "a", 1.0)
    monkeypatch.chdir(path.parent)  # where a file of the right name lies
    with pytest.raises(ort.ModelError, match=r"^these bytes: keeps its weights in another file, w"):
        read(path.read_bytes())
    with pytest.raises(ort.ModelError, match=r"^\S+model\.onnx: keeps its weights in another file"):
        read(model_files.content(path))


@pytest.mark.parametrize("read", READERS)
def test_weights_that_are_missing_or_too_short_are_named(tmp_path, read) -> None:
    path = saved_apart(tmp_path / "a", 1.0)
    weights = path.with_name("weights")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ort.ModelError, match=r"model\.onnx: its weights 'w' cannot .* weights in "):
        read(path)
    weights.unlink()
    with pytest.raises(ort.ModelError, match=r"model\.onnx: its weights 'w' cannot .*both files"):
        read(path)


@pytest.mark.parametrize("location", ["../outside", "/outside", "link", ""])
def test_weights_outside_the_folder_of_the_model_are_not_read(tmp_path, location) -> None:
    path = saved_apart(tmp_path / "a", 1.0)
    (tmp_path / "outside").write_bytes(bytes(36))
    (tmp_path / "a" / "link").symlink_to(tmp_path / "outside")
    proto = onnx.load(path, load_external_data=False)
    if location.startswith("/"):
        location = str(tmp_path / "outside")
    proto.graph.initializer[0].external_data[0].value = location
    onnx.save(proto, path)
    with pytest.raises(ort.ModelError, match=r"model\.onnx: its weights 'w' cannot be read"):
        ort.Runner(path)


@pytest.mark.parametrize("place", ["attribute", "branch", "function"])
def test_arrays_in_another_file_are_found_everywhere(place) -> None:
    array = onnx.TensorProto(name="far", data_type=1, dims=[3], data_location=1)
    array.external_data.add(key="location", value="nowhere")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=array)
    proto = onnx.load_from_string(model_of("y = Relu(x)"))
    if place == "attribute":
        proto.graph.node.append(constant)
    elif place == "branch":
        branch = onnx.helper.make_graph([constant], "branch", [], [])
        proto.graph.node[0].attribute.append(onnx.helper.make_attribute("then", branch))
    else:
        proto.functions.add(name="f").node.append(constant)
    with pytest.raises(ort.ModelError, match="in another file, nowhere"):
        ort.read_proto(proto.SerializeToString())


def test_shipped_content_knows_its_name() -> None:
    content = data.read("seed_cnn_int8.tflite")
    with pytest.raises(ort.ModelError, match=r"^data/seed_cnn_int8\.tflite: "):
        ort.Runner(content)
    with pytest.raises(ort.ModelError, match=r"^these bytes: "):
        ort.Runner(bytes(content[:100]))
    same = pickle.loads(pickle.dumps(content))  # on its way to another process
    assert same == content and same.name == content.name


TRUNCATIONS = """
import sys
from edge_course.runtimes import ort
content = open(sys.argv[1], "rb").read()
for length in [1, 2, 8, 16, 64, *range(100, len(content), len(content) // 40), len(content) - 1]:
    for load in (ort.Runner, ort.operators):
        try:
            load(content[:length])
        except ort.ModelError as error:
            assert str(error).startswith("these bytes: "), error
        else:
            sys.exit(f"loaded {length} of {len(content)} bytes")
"""


def test_truncated_file_never_loads_and_never_ends_the_process(files, tmp_path) -> None:
    """In a child process, because a crash could not be caught in this one."""
    (tmp_path / "model.onnx").write_bytes(files["depthwise_cnn", "float32"])
    child = subprocess.run(
        [sys.executable, "-c", TRUNCATIONS, str(tmp_path / "model.onnx")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-2000:]


def test_the_names_of_the_other_modules_are_here() -> None:
    for module, name in (
        (onnx_conversion, "export"),
        (onnx_files, "read_proto"),
        (onnx_quantization, "quantize_model"),
        (ort_session, "Runner"),
    ):
        assert getattr(ort, name) is getattr(module, name)


def test_importing_loads_no_framework() -> None:
    code = "import json, sys, edge_course.runtimes.ort; print(json.dumps(list(sys.modules)))"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    loaded = set(json.loads(child.stdout))
    assert not loaded & {"tensorflow", "keras", "torch", "onnx", "onnxruntime"}
