"""The work of ONNX files: by hand, and equal to that of the same networks as TFLite files."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_course import data
from edge_course.cost_models import activation_memory, onnx_work, roofline
from edge_course.runtimes import ort, tflite_file


def exported(name: str) -> bytes:
    """Return one of the course's networks from PyTorch; called where PyTorch is."""
    from edge_course.networks import torch_models
    from edge_course.runtimes import ort

    return ort.export(getattr(torch_models, f"trained_{name}")().eval())


def file(
    nodes: list,
    weights: dict[str, np.ndarray],
    shape: tuple,
    dtype: int = TensorProto.FLOAT,
    out: int | None = None,
    out_shape: tuple | None = None,
) -> bytes:
    """Return an ONNX file from x to y."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", out or dtype, out_shape)],
        [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def weights(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.ones(shape, dtype)


@pytest.mark.parametrize("name", ["seed_cnn", "depthwise_cnn"])
def test_both_forms_of_a_network_have_as_many_macs_and_weights(call, name):
    operators = ort.operators(call(exported, name))
    same = roofline.work(tflite_file.read_tflite(data.read(f"{name}_float32.tflite")).operators)
    found = onnx_work.onnx_work(operators)
    assert (found.macs, found.weight_bytes) == (same.macs, same.weight_bytes)


def test_every_quantized_form_has_as_many_macs():
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["c"], group=2, strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "v"], ["y"], transB=1),
    ]
    # 9×9 → 4×4 pictures of 6 channels; each of the 2 groups reads 2 of the 4 channels
    given = {"k": weights(6, 2, 3, 3), "b": weights(6), "w": weights(5, 96), "v": weights(5)}
    content = file(nodes, given, ("n", 4, 9, 9), out_shape=("n", 5))
    macs = 4 * 4 * 6 * 3 * 3 * 2 + 96 * 5
    numbers = 6 * 2 * 9 + 6 + 5 * 96 + 5
    work = onnx_work.onnx_work(ort.operators(content))
    assert (work.macs, work.weight_bytes) == (macs, 4 * numbers)
    assert work.activation_bytes == 4 * (4 * 81 + 96 + 96 + 96 + 96 + 5)
    calibration = np.random.default_rng(0).random((4, 4, 9, 9), np.float32)
    # Dynamic quantization multiplies by the dense layer's 5 scales in an operator of their own.
    for mode, given, scales in (("int8", calibration, 0), ("dynamic", None, 5)):
        operators = ort.operators(ort.quantize_model(content, mode, given))
        assert sum(map(onnx_work.onnx_macs, operators)) == macs, mode
        learned = onnx_work.onnx_weights(operators)
        assert sum(np.prod(t.shape) for t in learned) == numbers + scales, mode


def test_integer_operators():
    zero, one = np.array(0, "uint8"), np.array(0.5, "float32")
    scales = {"s": one, "z": zero, "zi": np.array(0, "int8")}
    kernel = {"k": weights(3, 1, 2, 2, dtype="int8")}
    cases = {
        "QLinearConv": (["x", "s", "z", "k", "s", "zi", "s", "z"], kernel, (1, 1, 5, 5)),
        "ConvInteger": (["x", "k", "z"], {"k": weights(3, 1, 2, 2, dtype="uint8")}, (1, 1, 5, 5)),
        "MatMulInteger": (["x", "k"], {"k": weights(6, 8, dtype="uint8")}, (1, 6)),
        "QLinearMatMul": (
            ["x", "s", "z", "k", "s", "z", "s", "z"], {"k": weights(6, 8, dtype="uint8")}, (1, 6)
        ),
    }  # fmt: skip
    for name, (inputs, kernel, shape) in cases.items():
        out = TensorProto.INT32 if "Integer" in name else None
        used = {n: v for n, v in (scales | kernel).items() if n in inputs}
        made = file([helper.make_node(name, inputs, ["y"])], used, shape, TensorProto.UINT8, out)
        operators = ort.operators(made)
        macs = 4 * 4 * 3 * 4 if "Conv" in name else 6 * 8
        assert [onnx_work.onnx_macs(o) for o in operators] == [macs], name
        assert [t.name for t in onnx_work.onnx_weights(operators)] == ["k"], name


def test_a_transposed_convolution_spreads_each_input():
    node = helper.make_node("ConvTranspose", ["x", "k"], ["y"], strides=[2, 2])
    operators = ort.operators(file([node], {"k": weights(2, 3, 4, 4)}, (1, 2, 5, 5)))
    assert onnx_work.onnx_macs(operators[0]) == 2 * 5 * 5 * 3 * 4 * 4


def test_products_of_stacks_of_matrices():
    node = helper.make_node("MatMul", ["x", "k"], ["y"])
    operators = ort.operators(file([node], {"k": weights(7, 5, 6)}, ("n", 7, 4, 5)))
    assert onnx_work.onnx_macs(operators[0]) == 7 * 4 * 5 * 6


def test_an_operator_that_is_not_known_is_refused_by_name():
    node = helper.make_node("Einsum", ["x", "k"], ["y"], equation="ij,jk->ik")
    operators = ort.operators(file([node], {"k": weights(5, 6)}, (4, 5)))
    for count in (
        lambda: onnx_work.onnx_macs(operators[0]),
        lambda: onnx_work.onnx_work(operators),
    ):
        with pytest.raises(ValueError, match="Einsum"):
            count()


def test_a_shape_that_is_not_known_is_refused_by_name():
    node = helper.make_node("Conv", ["x", "k"], ["y"])
    operators = ort.operators(file([node], {"k": weights(1, 1, 3, 3)}, ("n", 1, "h", "w")))
    with pytest.raises(ValueError, match=r"Conv: .* is float32 n×1×"):
        onnx_work.onnx_macs(operators[0])


def peak(content: bytes) -> int:
    return max(activation_memory.alive_bytes(*onnx_work.onnx_steps(ort.operators(content))))


def test_pairs_around_float_operators_stand_for_codes():
    """A file that says int8 in pairs moves and holds a quarter, but for its float ends."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "l"], ["y"]),
    ]
    given = {"k": weights(8, 1, 3, 3), "l": weights(4, 8, 1, 1)}
    content = file(nodes, given, ("n", 1, 10, 10), out_shape=("n", 4, 4, 4))
    conv, pool, y = 8 * 8 * 8, 8 * 4 * 4, 4 * 4 * 4
    assert peak(content) == 4 * (conv + pool)
    images = np.random.default_rng(0).random((4, 1, 10, 10), np.float32)
    int8 = ort.quantize_model(content, "int8", images)
    assert peak(int8) == conv + pool
    work = onnx_work.onnx_work(ort.operators(int8))
    borders = 5 * 100 + 5 * y  # one number is read and its code written, and back
    assert work.activation_bytes == borders + 100 + conv + conv + pool + pool + y
    assert work.macs == onnx_work.onnx_work(ort.operators(content)).macs
    assert work.weight_bytes == 8 * 9 + 4 * 8


def test_a_change_of_scale_stays_an_operator():
    pair = lambda a, b: [  # noqa: E731
        helper.make_node("QuantizeLinear", [a, "s", "z"], [f"{b}q"]),
        helper.make_node("DequantizeLinear", [f"{b}q", "s", "z"], [b]),
    ]
    given = {"s": np.array(0.5, "float32"), "z": np.array(0, "uint8")}
    operators = ort.operators(file([*pair("x", "a"), *pair("a", "y")], given, ("n", 6)))
    kept = [(o.name, o.inputs[0].name, o.outputs[0].name) for o in onnx_work.on_codes(operators)]
    assert kept == [
        ("QuantizeLinear", "x", "aq"), ("QuantizeLinear", "aq", "yq"),
        ("DequantizeLinear", "yq", "y"),
    ]  # fmt: skip


def test_branches_are_not_looked_into():
    out = [helper.make_tensor_value_info("o", TensorProto.FLOAT, (2, 3))]
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["o"])], "b", [], out)
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    operators = ort.operators(file([node], {"c": np.array(True)}, (2, 3)))
    with pytest.raises(ValueError, match="cannot look into the operator If"):
        onnx_work.onnx_steps(operators)
