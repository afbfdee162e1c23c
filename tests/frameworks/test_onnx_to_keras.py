"""The translator is right or refuses: random networks, hand-made graphs, refusals, its own check.

The random networks come out of PyTorch in processes of their own; this one has TensorFlow.
"""

import json
import math
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_course.frameworks.onnx_node import OnnxNode, TranslationError
from edge_course.frameworks.onnx_to_keras import translate
from edge_course.frameworks.onnx_translations import TRANSLATIONS
from edge_course.networks import layout
from edge_course.runtimes import litert, ort
from tests.support.effort import effort

ROOT = Path(__file__).resolve().parents[2]
# Exporter, first seed, last seed + 1. Two of these run at a time.
QUICK = [("captured", 1000, 1005), ("traced", 0, 40)]
FULL = [("captured", 1000, 1024), ("traced", 0, 100), ("traced", 100, 200), ("traced", 200, 300)]
PARTS = effort(QUICK, FULL)
NETWORKS = sum(stop - start for _, start, stop in PARTS)
# What a translator has to know for the networks of this course and for many others.
OPERATORS = {
    "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Constant", "Conv",
    "ConvTranspose", "Div", "Elu", "Flatten", "Gelu", "Gemm", "GlobalAveragePool",
    "HardSigmoid", "HardSwish", "LeakyRelu", "MatMul", "MaxPool", "Mul", "Pad", "ReduceMax",
    "ReduceMean", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Softmax", "Softplus",
    "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
}  # fmt: skip
# What no exporter writes into them: see the graphs made by hand.
BY_HAND = {"Dropout", "Erf", "GlobalMaxPool", "Greater", "Identity", "Max", "Min", "Sum", "Where"}


def child(*arguments: object) -> str:
    """What a Python process of its own prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# --- Random networks


def exported(folder: Path, part: tuple[str, int, int]) -> list[Path]:
    """The files of some random networks, written into a folder of their own."""
    folder.mkdir()
    child("-m", "tests.support.onnx_networks", folder, *part)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> list[dict]:
    """What `compare_networks` says of each random network."""
    top = tmp_path_factory.mktemp("networks")

    def compared(part: tuple[str, int, int]) -> list[dict]:
        files = exported(top / "_".join(map(str, part)), part)
        printed = child("-m", "tests.support.compare_networks", *files)
        return [json.loads(line) for line in printed.splitlines()]

    with ThreadPoolExecutor(2) as pool:
        return [report for part in pool.map(compared, PARTS) for report in part]


def test_no_random_network_is_refused_or_translated_wrongly(reports) -> None:
    assert len(reports) == NETWORKS >= effort(45, 324)
    assert [(r["file"], r["problem"]) for r in reports if r["problem"]] == []
    for runtime in ("keras", "litert"):
        assert max(r[runtime] for r in reports) < 1e-5


def test_random_networks_have_every_operator_many_times(reports) -> None:
    networks = Counter(operator for r in reports for operator in set(r["operators"]))
    # What else they have computes from constants: the shape that a `view` wants, for example.
    few = {operator for operator in OPERATORS if networks[operator] < effort(1, 5)}
    assert not few
    assert set(TRANSLATIONS) == OPERATORS | BY_HAND


def test_random_networks_have_every_kind_of_convolution(reports) -> None:
    kinds = Counter(kind for report in reports for kind in convolutions(report["file"]))
    assert set(kinds) == {
        "plain", "grouped", "depthwise", "depthwise with a multiplier", "depthwise, dilated",
        "strides", "dilations", "pads", "SAME_UPPER",
    }  # fmt: skip
    assert min(kinds.values()) >= effort(2, 15)


# What a translator can forget or confuse: operator, attribute or input, and how.
FAULTS = [
    ("Conv", "attribute", "pads", "reversed"),
    *((o, "attribute", "pads", "dropped") for o in ("Conv", "ConvTranspose", "MaxPool")),
    ("AveragePool", "attribute", "pads", "dropped"),
    *((o, "attribute", "strides", "reversed") for o in ("Conv", "MaxPool", "ConvTranspose")),
    *((o, "attribute", "strides", "dropped") for o in ("Conv", "AveragePool", "ConvTranspose")),
    ("MaxPool", "attribute", "kernel_shape", "reversed"),
    ("Conv", "attribute", "dilations", "reversed"), ("Conv", "attribute", "dilations", "dropped"),
    ("Conv", "attribute", "group", "dropped"), ("Conv", "attribute", "auto_pad", "dropped"),
    ("ConvTranspose", "attribute", "output_padding", "dropped"),
    ("AveragePool", "attribute", "count_include_pad", "dropped"),
    ("BatchNormalization", "attribute", "epsilon", "dropped"),
    ("Gemm", "attribute", "transB", "dropped"), ("Softmax", "attribute", "axis", "dropped"),
    *((o, "attribute", "alpha", "dropped") for o in ("HardSigmoid", "LeakyRelu")),
    ("Gelu", "attribute", "approximate", "dropped"), ("Pad", "attribute", "mode", "dropped"),
    ("Resize", "attribute", "mode", "dropped"), ("Transpose", "attribute", "perm", "dropped"),
    ("ReduceMean", "attribute", "keepdims", "dropped"),
    *((o, "input", 2, "dropped") for o in ("Conv", "Gemm", "Clip", "Pad")),
    ("Clip", "input", 1, "dropped"), ("Sub", "input", 0, "swapped"), ("Div", "input", 0, "swapped"),
    ("Concat", "input", 0, "swapped"), ("BatchNormalization", "input", 1, "swapped"),
]  # fmt: skip


def seed_fault(monkeypatch, operator: str, kind: str, what, how: str) -> None:
    """Let the translation of an operator see something else than the node has."""
    attribute, value = OnnxNode.attribute, OnnxNode.value

    def wrong_attribute(node, name, default=None):
        given = attribute(node, name, default)
        if (node.operator, "attribute", name) != (operator, kind, what):
            return given
        return default if how == "dropped" else given[::-1]

    def wrong_value(node, i):
        if (node.operator, "input") != (operator, kind):
            return value(node, i)
        if how == "swapped":
            return value(node, {what: what + 1, what + 1: what}.get(i, i))
        return None if (value(node, i) is not None and i == what) else value(node, i)

    monkeypatch.setattr(OnnxNode, "attribute", wrong_attribute)
    monkeypatch.setattr(OnnxNode, "value", wrong_value)


@pytest.fixture(scope="module")
def quick_files(tmp_path_factory) -> list[tuple[bytes, set[str]]]:
    """The networks of a quick run with the operators that each has."""
    top = tmp_path_factory.mktemp("quick")
    files = [file for part in QUICK for file in exported(top / part[0], part)]
    return [(f.read_bytes(), {n.op_type for n in onnx.load(f).graph.node}) for f in files]


@pytest.mark.parametrize(("operator", "kind", "what", "how"), FAULTS)
def test_few_random_networks_catch_each_seeded_fault(
    monkeypatch, quick_files, operator, kind, what, how
) -> None:
    seed_fault(monkeypatch, operator, kind, what, how)
    refusals = []
    for content, operators in quick_files:
        if operator in operators and not refusals:
            try:
                translate(content)
            except TranslationError as error:
                refusals.append(str(error))
    assert refusals


def convolutions(file: str) -> set[str]:
    """Which kinds of convolution a network has."""
    kinds = set()
    proto = onnx.load(file)
    weights = {weight.name: weight.dims for weight in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type != "Conv":
            continue
        has = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        filters, of_group = weights[node.input[1]][:2]
        groups, dilated = has.get("group", 1), max(has.get("dilations", [1])) > 1
        depthwise = groups > 1 and of_group == 1
        kinds.add("depthwise" if depthwise else "grouped" if groups > 1 else "plain")
        kinds |= {"depthwise with a multiplier"} if depthwise and filters > groups else set()
        kinds |= {"depthwise, dilated"} if depthwise and dilated else set()
        kinds |= {"dilations"} if dilated else set()
        kinds |= {"strides"} if max(has.get("strides", [1])) > 1 else set()
        kinds |= {"pads"} if any(has.get("pads", [])) else set()
        auto = has.get("auto_pad", b"NOTSET").decode()
        kinds |= {auto} - {"NOTSET"}
    return kinds


# --- Graphs made by hand, for what no exporter writes


def graph(body: str, shape: str = "n,2,7,6", opset: int = 20, **arrays: tuple | np.ndarray):
    """The ONNX model of a text like "y = Relu(x)"; an array given by its shape is random."""
    text = f'<ir_version: 10, opset_import: ["": {opset}]> g (float[{shape}] x) => (float y)'
    proto = onnx.parser.parse_model(f"{text} {{ {body} }}")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    random = np.random.default_rng(len(body))
    for name, array in arrays.items():
        array = random.normal(size=array) if isinstance(array, tuple) else np.array(array)
        array = array if array.dtype in (bool, np.int64) else array.astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return proto


def assert_translated(proto: onnx.ModelProto) -> None:
    """Keras and LiteRT compute what ONNX Runtime computes."""
    original = ort.Runner(proto.SerializeToString(), level="none")
    model = translate(proto.SerializeToString())
    file = litert.Runner(litert.convert(model, "float32"))
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 3
    x = np.random.default_rng(5).normal(size=(batch, *original.input_shape)).astype(np.float32)
    expected = layout.channels_last(original.run(x))
    for y in (np.asarray(model(layout.channels_last(x))), file.run(layout.channels_last(x))):
        assert y.shape == expected.shape
        assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()


KERNELS = ((3, 3), (2, 4), (1, 3))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("strides", ["1,1", "2,2", "3,2"])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding_of_convolutions(auto_pad, strides, kernel) -> None:
    body = f'y = Conv<auto_pad="{auto_pad}", strides=[{strides}]>(x, w)'
    assert_translated(graph(body, w=(3, 2, *kernel)))


@pytest.mark.parametrize("kernel", ["3,3", "2,4"])
@pytest.mark.parametrize("strides", ["1,1", "2,2"])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_automatic_padding_of_pooling(pool, auto_pad, strides, kernel) -> None:
    settings = f'auto_pad="{auto_pad}", strides=[{strides}], kernel_shape=[{kernel}]'
    assert_translated(graph(f"y = {pool}<{settings}>(x)"))


@pytest.mark.parametrize(
    ("body", "arrays"),
    [
        # Convolutions: other pads at each side, groups, multipliers, all defaults written out
        ("y = Conv<pads=[0,1,2,3]>(x, w)", {"w": (3, 2, 3, 3)}),
        ("y = Conv<pads=[1,0,0,2], strides=[2,1], group=2>(x, w, b)", {"w": (6, 1, 3, 2), "b": 6}),
        ("y = Conv<dilations=[2,1], group=2>(x, w)", {"w": (2, 1, 3, 3)}),
        ("y = Conv<dilations=[2,2], pads=[1,1,1,1]>(x, w)", {"w": (2, 2, 2, 2)}),
        ("y = Conv<dilations=[1,1], group=1, kernel_shape=[1,1], pads=[0,0,0,0], strides=[1,1]>"
         "(x, w, )", {"w": (2, 2, 1, 1)}),
        ("y = Conv<strides=[2,2], dilations=[2,2], pads=[1,0,0,1]>(x, w)", {"w": (3, 2, 2, 2)}),
        ("y = Conv<strides=[2,2], dilations=[1,2], group=2>(x, w, b)", {"w": (2, 1, 3, 2), "b": 2}),
        ("y = ConvTranspose(x, w, b)", {"w": (2, 3, 3, 2), "b": 3}),
        ("y = ConvTranspose<strides=[3,2], kernel_shape=[2,1]>(x, w)", {"w": (2, 3, 2, 1)}),
        ("y = ConvTranspose<strides=[2,2], pads=[0,1,2,1], output_padding=[1,0]>(x, w)",
         {"w": (2, 3, 4, 3)}),
        ("y = ConvTranspose<dilations=[2,1], strides=[2,2]>(x, w)", {"w": (2, 3, 2, 3)}),
        # Pooling
        ("y = MaxPool<kernel_shape=[3,2], strides=[2,2], ceil_mode=1>(x)", {}),
        ("y = AveragePool<kernel_shape=[2,2], ceil_mode=1>(x)", {}),
        ("y = GlobalMaxPool(x)", {}),
        ("y = ReduceMax<keepdims=0>(x, a)", {"a": [2, 3]}),
        ("y = MaxPool<kernel_shape=[4,3], pads=[0,1,2,0], strides=[2,3]>(x)", {}),
        ("y = MaxPool<kernel_shape=[2,2]>(x)", {}),
        ("y = AveragePool<kernel_shape=[3,2], pads=[1,0,0,1], strides=[2,1]>(x)", {}),
        ("y = AveragePool<kernel_shape=[3,2], pads=[1,0,0,1], count_include_pad=1>(x)", {}),
        ("y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)", {}),
        ("y = GlobalAveragePool(x)", {}),
        ("y = ReduceMean<keepdims=1>(x, a)", {"a": [-1, 2]}),
        ("y = ReduceMean<keepdims=0>(x, a)", {"a": [3, 2]}),
        # Without weights
        ("y = Identity(x)", {}),
        ("a = Identity(c) y = Add(x, a)", {"c": (2, 1, 1)}),
        ("y = Softmax(x)", {}),
        ("y = Softmax<axis=1>(x)", {}),
        ("y = Softmax<axis=-2>(x)", {}),
        ("y = Concat<axis=-3>(x, x)", {}),
        ("y = Concat<axis=3>(x)", {}),
        ("a = LeakyRelu(x) b = LeakyRelu<alpha=0.3>(x) y = Add(a, b)", {}),
        ("a = Elu(x) b = Elu<alpha=0.3>(x) y = Add(a, b)", {}),
        ("a = HardSigmoid(x) b = HardSigmoid<alpha=0.3, beta=0.1>(x) y = Sub(a, b)", {}),
        ("a = HardSwish(x) b = Tanh(x) c = Softplus(x) y = Sum(a, b, c)", {}),
        ("y = Gelu(x)", {}),
        ('y = Gelu<approximate="tanh">(x)', {}),
        ("y = Sub(c, x)", {"c": (2, 1, 1)}),
        ("y = Div(x, c)", {"c": [0.5, 2, 3, 4, 5, 6]}),
        ("a = Min(x, c) y = Max(a, b, x)", {"c": (7, 1), "b": (2, 1, 1)}),
        ("y = Dropout(x)", {}),
        ("y, mask = Dropout<seed=1>(x, ratio, use)", {"ratio": 0.5, "use": np.array(False)}),
        # Borders and sizes
        ("y = Pad(x, p)", {"p": [0, 0, 1, 2, 0, 0, 0, 3]}),
        ("y = Pad(x, p, v, a)", {"p": [1, 0, 0, 2], "v": 1.5, "a": [-3, 3]}),
        ('y = Pad<mode="reflect">(x, p)', {"p": [0, 0, 1, 2, 0, 0, 0, 3]}),
        ("y = Resize(x, , s)", {"s": [1.0, 1.0, 2.0, 3.0]}),
        ('s = Shape<end=2>(x) k = Concat<axis=0>(s, t) y = Resize<coordinate_transformation_mode='
         '"asymmetric", nearest_mode="floor">(x, , , k)', {"t": [21, 6]}),
        ('s = Shape<end=2>(x) k = Concat<axis=0>(s, t) y = Resize<mode="linear">(x, , , k)',
         {"t": [10, 9]}),
        ('y = Resize<mode="linear">(x, , s)', {"s": [1.0, 1.0, 2.0, 2.0]}),
        # Bounds
        ("y = Clip(x)", {}),
        ("y = Clip(x, , high)", {"high": 0.5}),
        ("y = Clip(x, low)", {"low": [-0.5]}),
        # Constants
        ("c = Constant<value_float=0.5>() y = Mul(x, c)", {}),
        ("c = Constant<value_floats=[0.5,1,2,3,4,5]>() y = Mul(x, c)", {}),
        ("c = Constant<value=float[2,1,1] {3,4}>() y = Add(c, x)", {}),
        ("c = Constant<value_ints=[0,-1]>() y = Reshape(x, c)", {}),
        ("c = Constant<value_int=1>() y = Relu(x)", {}),
        ("y = Add(x, x)", {}),
        # From pictures to numbers and back
        ("y = Flatten(x)", {}),
        ("y = Flatten<axis=-3>(x)", {}),
        ("y = Reshape(x, s)", {"s": [0, 84]}),
        ("y = Reshape(x, s)", {"s": [-1, 6, 7, 2]}),
        ("y = Reshape(x, s)", {"s": [0, 7, -1, 0]}),
        ("f = Flatten(x) i = Identity(f) y = MatMul(i, w)", {"w": (84, 3)}),
        ("f = Flatten(x) r = Relu(f) y = Gemm(r, w)", {"w": (84, 3)}),
        ("f = Flatten(x) a = MatMul(f, w) b = Gemm(f, v) y = Concat<axis=1>(f, a, b)",
         {"w": (84, 3), "v": (84, 2)}),
        ("f = Flatten(x) r = Reshape(f, s) y = Conv(r, w)", {"s": [0, 6, 2, 7], "w": (2, 6, 1, 2)}),
        ("s = Shape(x) b = Gather(s, i) u = Unsqueeze(b, z) k = Concat<axis=0>(u, m) "
         "y = Reshape(x, k)", {"i": np.array(0), "z": [0], "m": [-1]}),
        ("s = Shape<start=1>(x) k = Concat<axis=0>(m, s) y = Reshape(x, k)", {"m": [-1]}),
        ("p = GlobalAveragePool(x) q = Squeeze(p, a) u = Unsqueeze(q, b) y = Mul(x, u)",
         {"a": [3, -2], "b": [-1, 2]}),
        ("a = Reshape(x, s) b = Transpose<perm=[0,2,1,3,4]>(a) y = Reshape(b, r)",
         {"s": [0, 2, 7, 3, 2], "r": [0, 7, 2, 6]}),
        ("y = Transpose<perm=[0,2,3,1]>(x)", {}),
        ("a = Transpose<perm=[0,3,1,2]>(x) f = Flatten(a) y = MatMul(f, w)", {"w": (84, 3)}),
        ("a = Reshape(x, s) t = Transpose<perm=[0,2,1]>(a) m = MatMul(t, w) y = Flatten(m)",
         {"s": [0, 2, 42], "w": (2, 3)}),
        ("a = Add(c, c) b = Sigmoid(a) y = Mul(x, b)", {"c": (2, 1, 1)}),
        # Dense layers
        ("f = Flatten(x) y = Gemm<transB=1, alpha=0.5, beta=2.0>(f, w, b)",
         {"w": (3, 84), "b": (3,)}),
        ("f = Flatten(x) y = Gemm<transA=0, transB=0>(f, w, b)", {"w": (84, 3), "b": 1.5}),
        ("f = Flatten(x) y = Gemm(f, w, b)", {"w": (84, 3), "b": (1, 3)}),
        # A choice, as PyTorch writes Softplus
        ("a = Softplus(x) b = Greater(x, t) y = Where(b, x, a)", {"t": 0.1}),
        ("b = Greater(x, t) y = Where(b, x, c)", {"t": (2, 1, 1), "c": (1, 2, 7, 6)}),
        # Normalisation
        ("y = BatchNormalization<epsilon=0.1, momentum=0.5, training_mode=0>(x, g, b, m, v)",
         {"g": (2,), "b": (2,), "m": (2,), "v": [0.5, 2.0]}),
        # Several of one kind, without names; one whose output nobody reads
        ("a = Relu(x) b = Sigmoid(x) c = Relu(b) unread = Relu(c) y = Mul(a, c)", {}),
    ],
)  # fmt: skip
def test_graph_made_by_hand(body, arrays) -> None:
    arrays = {n: (a,) if isinstance(a, int) else a for n, a in arrays.items()}
    assert_translated(graph(body, **arrays))


def test_gelu_of_older_exporters_is_right_in_keras() -> None:
    """LiteRT has no error function of its own, so only Keras is compared here."""
    body = "a = Div(x, r) b = Erf(a) c = Add(b, o) d = Mul(x, c) y = Mul(d, h)"
    content = graph(body, r=2**0.5, o=1.0, h=0.5).SerializeToString()
    x = np.linspace(-3, 3, 84, dtype=np.float32).reshape(1, 2, 7, 6)
    expected = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x.ravel()]
    y = np.asarray(translate(content)(layout.channels_last(x)))
    np.testing.assert_allclose(y.transpose(0, 3, 1, 2).ravel(), expected, rtol=1e-5, atol=1e-6)


def test_a_sum_that_nearly_cancels_is_not_taken_for_a_wrong_one() -> None:
    """Features of about 1, each taken from a copy of itself, and a thousandth of it left."""
    weights = np.tile([1, -0.999], (84, 1)).reshape(168, 1).astype(np.float32)
    random = np.random.default_rng(0).normal(1, 0.3, (84, 1)).repeat(2, 0).astype(np.float32)
    body = "f = Flatten(x) g = Concat<axis=1>(f, f) p = Reshape(g, s) y = MatMul(p, w)"
    shuffled = np.concatenate([weights[::2] * random[::2], weights[1::2] * random[1::2]])
    translate(graph(body, s=np.array([-1, 168]), w=shuffled).SerializeToString())


def test_graph_with_a_fixed_batch() -> None:
    proto = graph("f = Reshape(x, s) y = MatMul(f, w)", "4,2,3,3", s=np.array([4, 18]), w=(18, 3))
    assert_translated(proto)
    assert translate(proto.SerializeToString()).input_shape == (4, 3, 3, 2)


def test_graph_of_numbers_instead_of_pictures() -> None:
    proto = graph("h = Gemm(x, w, b) r = Relu(h) y = Softmax(r)", "n,5", w=(5, 4), b=(4,))
    assert_translated(proto)
    assert translate(proto.SerializeToString()).input_shape == (None, 5)


def test_oldest_operator_set() -> None:
    assert_translated(graph("y = ReduceMean<axes=[2,-1], keepdims=0>(x)", opset=13))


def test_nodes_of_the_standard_may_say_so() -> None:
    proto = graph("y = Relu(x)")
    proto.graph.node[0].domain = "ai.onnx"
    assert_translated(proto)


def test_weights_beside_the_model_are_read(tmp_path) -> None:
    proto = graph("f = Flatten(x) y = MatMul(f, w)", w=(84, 3))
    path = tmp_path / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="weights", size_threshold=0)
    whole, apart = translate(onnx.load(path).SerializeToString()), translate(path)
    x = np.ones((2, 7, 6, 2), np.float32)
    assert np.array_equal(whole(x), apart(x))


def test_path_is_taken_and_a_dense_layer_behind_a_flatten_moves_its_kernel(tmp_path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(graph("f = Flatten(x) y = MatMul(f, w)", w=(84, 3)), path)
    model = translate(path)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Flatten", "Dense"]
    assert model.input_shape == (None, 7, 6, 2)


# --- Refusals

ARRAYS = {
    "w": (2, 2, 3, 3), "v": (84, 3), "c": (2,), "one": [1], "all": [-1], "pixel": [-1, 2, 1, 1],
    "five": [0, 2, 7, 3, 2], "zeros": [0, 84], "rows": (4, 1, 1, 1), "deep": (1, 1, 1, 1, 1),
    "g": (2, 1, 3, 3), "yes": np.array(True), "zero": [0], "border": [0, 0, 1, 1, 0, 0, 1, 1],
    "batch": [1, 0, 0, 0, 0, 0, 0, 0], "crop": [0, 0, -1, 0, 0, 0, 0, 0],
    "twice": [1.0, 1.0, 2.0, 2.0], "half": [1.0, 1.0, 0.5, 0.5], "small": [1, 2, 4, 3],
    "tiny": [4, 3],
}  # fmt: skip


def refused(proto: onnx.ModelProto, message: str) -> None:
    with pytest.raises(TranslationError, match=message):
        translate(proto.SerializeToString())


@pytest.mark.parametrize(
    ("body", "operator", "why"),
    [
        ("y = Selu(x)", "Selu", "unknown operator; known are Add, AveragePool, "),
        ("y = com.microsoft.Gelu(x)", "com.microsoft.Gelu", "unknown operator"),
        ("y = ai.onnx.ml.Scaler(x)", "ai.onnx.ml.Scaler", "unknown operator"),
        # Attributes, inputs and outputs that no translation looked at
        ("y = Relu<alpha=0.1>(x)", "Relu", "cannot carry its attribute alpha"),
        ("y = Relu<beta=1, alpha=1>(x)", "Relu", "cannot carry its attribute alpha, attribute be"),
        ("y = Relu(x, x)", "Relu", "cannot carry its input 1"),
        ("y, i = MaxPool<kernel_shape=[2,2]>(x)", "MaxPool", "cannot carry its output i"),
        ("d, m = Dropout(x) y = Not(m)", "Not", "unknown operator"),
        ("d, m = Dropout(x) y = Relu(m)", "Relu", "'m' is computed by no node before it"),
        ('t = Constant<value_string="a">() y = Relu(x)', "Constant", "neither numbers nor"),
        # Values of attributes
        ("y = MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(x)", "MaxPool",
         r"ceil_mode is 1 and adds a window that is partly outside: 7 pixels with pads \(0, 0\)"),
        ("y = AveragePool<kernel_shape=[1,4], strides=[2,4], ceil_mode=1>(x)", "AveragePool",
         "ceil_mode is 1 and adds a window that is partly outside: 6 pixels"),
        ('y = Gelu<approximate="fast">(x)', "Gelu", "attribute approximate is 'fast'"),
        ("y = Dropout(x, , yes)", "Dropout", "input training_mode is true"),
        ("y = Squeeze(x)", "Squeeze", "does not say which axes"),
        ("y = Squeeze(x, one)", "Squeeze", r"its axes \[1\] of \[None, 2, 7, 6\] do not all have"),
        ("y = Unsqueeze(x, zero)", "Unsqueeze", "its axes have that of the batch"),
        ("y = Transpose(x)", "Transpose", r"perm is \[3, 2, 1, 0\]: the batch has to stay"),
        ('y = Pad<mode="edge">(x, border)', "Pad", "mode is 'edge', only constant and reflect"),
        ("y = Pad(x, batch)", "Pad", "only what is added to pictures"),
        ("y = Pad(x, crop)", "Pad", "only what is added to pictures"),
        ('y = Resize<mode="cubic">(x, , twice)', "Resize", "mode 'cubic', .*no such resizing"),
        ('y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , twice)',
         "Resize", "'align_corners', .*no such resizing"),
        ('y = Resize<nearest_mode="ceil">(x, , twice)', "Resize", "nearest_mode 'ceil'"),
        ("y = Resize(x, , half)", "Resize", "only whole sizes can be carried"),
        ("s = Shape<end=2>(x) k = Concat<axis=0>(s, tiny) y = Resize(x, , , k)", "Resize",
         r"from \[7, 6\] to \[4, 3\]: Keras has no such"),
        ("y = Resize(x, , , small)", "Resize", r"sizes are \[1, 2, 4, 3\], only height and width"),
        ("y = Resize<antialias=1>(x, , twice)", "Resize", "antialias is 1, only 0"),
        ("y = ConvTranspose<group=2>(x, g)", "ConvTranspose", "attribute group is 2, only 1"),
        ('y = ConvTranspose<auto_pad="SAME_UPPER">(x, w)', "ConvTranspose", "auto_pad is SAME_UP"),
        ("y = ConvTranspose<output_padding=[1,1], strides=[2,2]>(x, w)", "ConvTranspose",
         r"output_padding \[1, 1\] is more than the pads \[0, 0\]"),
        ("y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)", "MaxPool", "attribute dilations"),
        ("y = MaxPool<kernel_shape=[2,2], storage_order=1>(x)", "MaxPool", "storage_order is 1"),
        ("y = MaxPool<kernel_shape=[3,3], pads=[2,0,0,0]>(x)", "MaxPool", "more than half"),
        ('y = Conv<auto_pad="SAME">(x, w)', "Conv", "auto_pad is 'SAME', which is unknown"),
        ('y = Conv<auto_pad="VALID", pads=[1,1,1,1]>(x, w)', "Conv", "auto_pad and pads contrad"),
        ("y = Conv<kernel_shape=[2,2]>(x, w)", "Conv", r"kernel_shape is \[2, 2\], only \[3, 3\]"),
        ("f = Flatten(x) y = Gemm<transA=1>(f, v)", "Gemm", "attribute transA is 1, only 0"),
        ("y = Flatten<axis=2>(x)", "Flatten", "attribute axis is not 1"),
        ("y = Softmax<axis=0>(x)", "Softmax", "attribute axis is that of the batch"),
        ("y = Concat<axis=-4>(x, x)", "Concat", "attribute axis is that of the batch"),
        ("y = Concat<axis=4>(x, x)", "Concat", "expected an axis from -4 to 3, got 4"),
        ("y = ReduceMean(x, one)", "ReduceMean", r"axes are \[1\], only height and width"),
        ("y = ReduceMean(x)", "ReduceMean", r"axes are \[\], only height and width"),
        ("y = ReduceMean<noop_with_empty_axes=1>(x)", "ReduceMean", "noop_with_empty_axes is 1"),
        ("y = BatchNormalization<training_mode=1>(x, c, c, c, c)", "BatchNormalization",
         "attribute training_mode is 1, only 0"),
        # Shapes that would change the batch, or that Keras' tensors do not have here
        ("y = Reshape(x, all)", "Reshape", r"\[-1\] does not keep the batch of \[None, 2, 7, 6\]"),
        ("y = Reshape(x, pixel)", "Reshape", r"\[-1, 2, 1, 1\] does not keep the batch"),
        ("y = Reshape<allowzero=1>(x, zeros)", "Reshape", "does not keep the batch"),
        ("y = Add(x, rows)", "Add", r"a constant of shape \(4, 1, 1, 1\) would change the batch"),
        ("y = Add(x, deep)", "Add", "would change the batch or the axes"),
        ("f = Flatten(x) y = Add(x, f)", "Add", r"as many dimensions, got \[4, 2\]"),
        ("f = Flatten(x) y = GlobalAveragePool(f)", "GlobalAveragePool", "input 0 has 2 dim"),
        ("y = MatMul(x, w)", "MatMul", r"input 0 has 4 dimensions, not \(2, 3\)"),
        # Where constants and computed values stand
        ("k = Sigmoid(x) y = Conv(x, k)", "Conv", "its input 'k' is computed, not a constant"),
        ("f = Flatten(x) y = MatMul(f, f)", "MatMul", "its input 'f' is computed, not a constant"),
        ("f = Flatten(x) y = MatMul(v, f)", "MatMul", "its input 'f' is computed, not a constant"),
        ("y = Concat<axis=1>(x, pixel)", "Concat", "its input 1 is a constant or left out"),
        ("a = Reshape(c, five) y = Mul(x, a)", "Reshape", "of constants: "),
        ("y = Relu(z)", "Relu", "its input 'z' is computed by no node before it"),
        ("y = Conv(x)", "Conv", "."),
        ("y = Relu()", "Relu", "its input 0 is a constant or left out"),
    ],
)  # fmt: skip
def test_node_that_cannot_be_carried_is_named(body, operator, why) -> None:
    proto = graph(body, **ARRAYS)
    refused(proto, f"^node '{operator.split('.')[-1]}_[0-9]', operator {operator}: .*{why}")
    for node in proto.graph.node:
        node.name = f"the {node.op_type}"
    refused(proto, f"^node 'the {operator.split('.')[-1]}', operator {operator}: .*{why}")


def test_graph_that_only_onnx_runtime_refuses_is_refused() -> None:
    body = 'y = Conv<dilations=[2,2], auto_pad="SAME_UPPER">(x, w)'
    refused(graph(body, w=(2, 2, 3, 3)), "cannot be run: .*Dilation not supported")
    with pytest.raises(ort.ModelError, match="ONNX Runtime cannot load this model"):
        translate(graph("y = Relu(x)", opset=99).SerializeToString())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("n,2,h,w", r"input 'x': only the batch may be open, got .*'n', 2, 'h', 'w'.*fixed size"),
        ("n,2,?,6", r"input 'x': only the batch may be open, got .*'n', 2, '\?', 6"),
        ("n,features", "input 'x': only the batch may be open"),
        ("n,2,7", r"input 'x': expected float32 with 2 or 4 dimensions, got FLOAT \['n', 2, 7\]"),
        ("n", "input 'x': expected float32 with 2 or 4 dimensions"),
    ],
)
def test_input_shape_that_cannot_be_carried_is_named(shape, message) -> None:
    refused(graph("y = Relu(x)", shape), message)


def test_input_of_another_type_is_named() -> None:
    proto = graph("y = Relu(x)")
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    refused(proto, "input 'x': expected float32 with 2 or 4 dimensions, got INT64")
    proto.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    refused(proto, "input 'x': expected float32 with 2 or 4 dimensions, got UNDEFINED")


def test_one_input_and_one_output_are_wanted() -> None:
    two = graph("y = Relu(x)")
    two.graph.input.append(onnx.helper.make_tensor_value_info("x2", 1, ["n", 3]))
    refused(two, r"expected one input, got \['x', 'x2'\]")
    two = graph("z = Relu(x) y = Relu(z)")
    two.graph.output.append(onnx.helper.make_tensor_value_info("z", 1, None))
    refused(two, r"expected one output, got \['y', 'z'\]")


def test_output_that_no_node_computes_is_named() -> None:
    refused(graph("y = Constant<value_float=1.0>()"), "output 'y' is computed by no node")
    refused(graph("z = Relu(x)"), "output 'y' is computed by no node")


def test_weight_that_is_listed_as_an_input_is_a_weight() -> None:
    proto = graph("y = Mul(x, c)", c=(2, 1, 1))
    proto.graph.input.append(onnx.helper.make_tensor_value_info("c", 1, [2, 1, 1]))
    assert_translated(proto)


# What an older operator set writes otherwise, and the arrays that it reads.
OLD = {
    6: ("b = BatchNormalization<is_test=1>(x, g, g, g, g) d = Dropout<is_test=1>(b) y = Relu(d)",
        {"g": [0.5, 2.0]}),
    7: ("f = Flatten(x) y = Gemm(f, w, b)", {"w": (84, 3), "b": (3,)}),
    8: ("r = Upsample<mode=\"nearest\", scales=[1.0,1.0,2.0,3.0]>(x) y = Sum(r, r)", {}),
    9: ("c = Clip<min=0.0, max=6.0>(x) g = GlobalAveragePool(c) q = Squeeze<axes=[2,3]>(g) "
        "y = Softmax(q)", {}),
    10: ("d, mask = Dropout<ratio=0.3>(x) y = Pad<pads=[0,0,1,2,0,0,0,1]>(d)", {}),
    11: ("y = Softmax(x)", {}),  # over all of a picture
    12: ("m = ReduceMean<axes=[2,3]>(x) u = Unsqueeze<axes=[4]>(m) q = Squeeze<axes=[4]>(u) "
         "y = Mul(x, q)", {}),
}  # fmt: skip


@pytest.mark.parametrize("opset", OLD)
@pytest.mark.parametrize("ir_version", [3, 10])
def test_older_operator_set_is_lifted(opset, ir_version) -> None:
    body, arrays = OLD[opset]
    proto = graph(body, opset=opset, **arrays)
    proto.ir_version = ir_version
    if ir_version == 3:  # then weights are listed among the inputs
        for weight in proto.graph.initializer:
            value = onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
            proto.graph.input.append(value)
    model = translate(proto.SerializeToString())
    if opset == 6:  # ONNX Runtime does not run it; is_test=1 is all that there is since then
        proto = onnx.version_converter.convert_version(proto, 7)
    original = ort.Runner(proto.SerializeToString(), level="none")
    x = np.random.default_rng(5).normal(size=(3, 2, 7, 6)).astype(np.float32)
    y = np.asarray(model(layout.channels_last(x)))
    np.testing.assert_allclose(y, layout.channels_last(original.run(x)), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_lifted_is_named() -> None:
    advice = "cannot lift it; export the model again with operator set 13 or newer"
    refused(graph("y = Add<axis=1, broadcast=1>(x, c)", opset=6, c=(2,)), f"set 6 .*{advice}")


def test_a_lift_that_changes_the_numbers_is_found(monkeypatch) -> None:
    wrong = graph("y = Tanh(x)", opset=13)
    monkeypatch.setattr(onnx.version_converter, "convert_version", lambda *_: wrong)
    refused(graph("y = Relu(x)", opset=11), "version converter has changed what the model computes")


def test_weights_in_another_file_are_refused_and_not_read(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("outside").write_bytes(bytes(8))
    weight = onnx.TensorProto(name="c", data_type=1, dims=[2, 1, 1], data_location=1)
    weight.external_data.add(key="location", value="outside")
    initializer, node = graph("y = Mul(x, c)"), graph("c = Constant() y = Mul(x, c)")
    initializer.graph.initializer.append(weight)
    node.graph.node[0].attribute.append(onnx.helper.make_attribute("value", weight))
    for proto in (initializer, node):
        with pytest.raises(
            ort.ModelError, match="keeps its weights in another file, outside; give"
        ):
            translate(proto.SerializeToString())


def test_weight_that_is_cut_short_is_refused() -> None:
    proto = graph("y = Mul(x, c)", c=(2, 1, 1))
    proto.graph.initializer[0].raw_data = bytes(5)
    refused(proto, "the weights of this graph cannot be read")


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(100), b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_other_bytes_are_refused(content) -> None:
    with pytest.raises(ort.ModelError, match="these bytes: "):
        translate(content)


ALTERED = """
import sys
import numpy as np
from edge_course.runtimes import ort
from edge_course.frameworks.onnx_to_keras import TranslationError, translate
content = open(sys.argv[1], "rb").read()
random = np.random.default_rng(0)
refused = 0
for i in range(int(sys.argv[2])):
    bad = bytearray(content)
    if i % 4:
        bad[random.integers(len(bad))] ^= 1 << random.integers(8)
    else:
        del bad[random.integers(len(bad)) :]
    try:
        translate(bytes(bad))
    except (TranslationError, ort.ModelError):
        refused += 1
print(refused)
"""


def test_altered_file_is_refused_or_still_translated_right(tmp_path) -> None:
    """In a child process, because a crash could not be caught in this one."""
    body = "a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) f = Flatten(b) y = Gemm(f, v)"
    onnx.save(graph(body, "n,2,3,3", w=(2, 2, 3, 3), v=(18, 2)), tmp_path / "model.onnx")
    count = effort(60, 200)
    refusals = int(child("-c", ALTERED, tmp_path / "model.onnx", count))
    assert count / 4 < refusals < count, "some bits are only a weight's, or a name's"


# --- The check at the end finds what a translation does wrong


def wrong_flatten(node):
    """In the order of NHWC, as if nothing had to be done."""
    return node.layer("Flatten", node.tensor(0))


def wrong_norm(node):
    """With Keras' own epsilon."""
    node.attribute("epsilon")
    weights = [node.constant(i) for i in range(1, 5)]
    return node.layer("BatchNormalization", node.tensor(0), *weights)


def wrong_relu(node):
    """Right up to 6."""
    return node.layer("Activation", node.tensor(0), activation="relu6")


def wrong_softmax(node):
    """Along the same number of the axis, which is another axis now."""
    return node.layer("Softmax", node.tensor(0), axis=node.attribute("axis", -1))


def wrong_gemm(node):
    """Transposed or not: a square kernel fits both ways."""
    node.attribute("transB")
    return node.layer("Dense", node.tensor(0), node.constant(1), units=4, use_bias=False)


def wrong_mul(node):
    """Another operation."""
    return node.operation("add", node.value(0), node.value(1))


def wrong_concat(node):
    """In the other order."""
    node.attribute("axis")
    return node.operation("concatenate", [node.tensor(1), node.tensor(0)], axis=-1)


def wrong_sigmoid(node):
    """A number that is none."""
    return node.operation("log", node.operation("negative", node.operation("abs", node.tensor(0))))


def wrong_shape(node):
    """Without the axes of size one."""
    return node.layer("GlobalAveragePooling2D", node.tensor(0))


@pytest.mark.parametrize(
    ("operator", "mistake", "body"),
    [
        ("Flatten", wrong_flatten, "y = Flatten(x)"),
        ("BatchNormalization", wrong_norm, "y = BatchNormalization(x, c, c, c, c)"),
        ("Relu", wrong_relu, "y = Relu(x)"),
        ("Softmax", wrong_softmax, "y = Softmax<axis=1>(x)"),
        ("Gemm", wrong_gemm, "p = GlobalAveragePool(x) f = Flatten(p) y = Gemm<transB=1>(f, w)"),
        ("Mul", wrong_mul, "y = Mul(x, x)"),
        ("Concat", wrong_concat, "r = Relu(x) y = Concat<axis=1>(x, r)"),
        ("Sigmoid", wrong_sigmoid, "y = Sigmoid(x)"),
        ("GlobalAveragePool", wrong_shape, "y = GlobalAveragePool(x)"),
    ],
)  # fmt: skip
def test_wrong_translation_is_found_and_named(monkeypatch, operator, mistake, body) -> None:
    body = body.replace("y =", "before_last =") + " y = Identity(before_last)"
    proto = graph(body, "n,4,5,5", c=[1.0, 2, 3, 4], w=(4, 4))
    for node in proto.graph.node:
        node.name = f"the {node.op_type}"
    translate(proto.SerializeToString())
    monkeypatch.setitem(TRANSLATIONS, operator, mistake)
    refused(proto, f"node 'the {operator}', operator {operator}: translated wrongly: ")


@pytest.mark.parametrize(
    ("function", "mistake", "body"),
    [
        # The same zeros on both sides, as PyTorch does: other pixels where the stride is 2.
        ("same_pads", lambda size, kernel, *_: (kernel // 2,) * 2,
         "y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w)"),
        ("conv_kernel", lambda kernel: kernel.transpose(3, 2, 1, 0), "y = Conv(x, w)"),
        ("depthwise_kernel", lambda kernel, channels: kernel.reshape(-1, channels, 3, 3)
         .transpose(2, 3, 1, 0), "y = Conv<group=4>(x, d)"),
        ("dense_kernel", lambda kernel, picture: kernel, "f = Flatten(x) y = MatMul(f, v)"),
        ("channels_last_axis", lambda axis, dimensions: axis % dimensions, "y = Softmax(x)"),
    ],
)  # fmt: skip
def test_wrong_layout_is_found(monkeypatch, function, mistake, body) -> None:
    proto = graph(body, "n,4,6,6", w=(2, 4, 3, 3), d=(8, 1, 3, 3), v=(144, 3))
    translate(proto.SerializeToString())
    monkeypatch.setattr(layout, function, mistake)
    refused(proto, "translated wrongly: on random inputs Keras and ONNX Runtime differ by up to ")
