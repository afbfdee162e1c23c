"""Networks out of ONNX files, as PyTorch writes them, are divided rightly or refused by name."""

import numpy as np
import onnx
import pytest

from edge_course.frameworks import in_pytorch
from edge_course.runtimes import ort
from edge_course.split_channels.from_onnx import read_layers
from edge_course.split_channels.networks import NETWORKS
from edge_course.split_channels.plan import paired_division
from edge_course.split_channels.program import together
from edge_course.split_channels.rows import together_by_rows

COLOUR = """
import io, torch
from torch import nn

class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        norms = [nn.BatchNorm2d(8) for _ in range(3)]
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, 2, 2, bias=False), norms[0], nn.ReLU())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), norms[1], nn.ReLU6())
        self.point = nn.Sequential(nn.Conv2d(8, 8, 1), norms[2])
        self.tail = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 12, 3), nn.ReLU(), END,
                                  nn.Linear(WIDE, 9), nn.ReLU(), nn.Dropout(), nn.Linear(9, 5))

    def forward(self, x):
        x = self.stem(x)
        return self.tail(torch.relu(x + self.point(self.depth(x))))

torch.manual_seed(0)
model = Residual()
for norm in model.modules():  # as after a training: nothing in it is 0 or 1
    if isinstance(norm, nn.BatchNorm2d):
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(values, 0.5, 2)
file = io.BytesIO()
torch.onnx.export(model.eval(), torch.zeros(1, 3, 22, 27), file, dynamo=False,
                  do_constant_folding=FOLDED, dynamic_axes={"x": {0: "n"}}, input_names=["x"])
"""


@pytest.fixture(scope="module")
def colour(call) -> list[bytes]:
    """One network that ends in a mean, and one whose pictures go into the dense layer."""
    ends = [("nn.AdaptiveAvgPool2d(1), nn.Flatten()", "12"), ("nn.Flatten()", "12 * 3 * 5")]
    files = []
    for (end, wide), folded in zip(ends, ("True", "False"), strict=True):
        source = COLOUR.replace("END", end).replace("WIDE", wide).replace("FOLDED", folded)
        files.append(call(eval, f"(g := {{}}, exec({source!r}, g), g['file'].getvalue())[2]"))
    return files


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("file", [0, 1])
def test_a_network_of_another_shape_is_the_same_in_parts(colour, file, workers) -> None:
    layers, shape = read_layers(colour[file])
    assert shape == (3, 22, 27)
    x = np.random.default_rng(1).normal(size=(4, *shape)).astype(np.float32)
    expected = ort.Runner(colour[file]).run(x)
    for ran in (
        together(layers, paired_division(layers), workers, x),
        together_by_rows(layers, workers, x),
    ):
        assert np.abs(ran.output - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_course_networks_come_out_of_their_files_as_out_of_their_weights(call, name) -> None:
    layers, _ = read_layers(call(in_pytorch.export_trained, name))
    for read, known in zip(layers, NETWORKS[name](), strict=True):
        for field in ("kind", "stride", "padding", "activation"):
            assert getattr(read, field) == getattr(known, field)
        for ours, theirs in ((read.weight, known.weight), (read.bias, known.bias)):
            assert (ours is None) == (theirs is None)
            assert ours is None or np.allclose(ours, theirs, rtol=0, atol=1e-6)


def graph(body: str, shape: str = "n,4,6,6", **arrays: tuple | list) -> bytes:
    text = f'<ir_version: 10, opset_import: ["": 20]> g (float[{shape}] x) => (float y)'
    proto = onnx.parser.parse_model(f"{text} {{ {body} }}")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    for name, array in arrays.items():
        values = np.random.default_rng(0).normal(size=array) if isinstance(array, tuple) else array
        values = np.array(values)
        values = values if values.dtype == np.int64 else values.astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("body", "why", "arrays"),
    [
        ("y = HardSwish(x)", "HardSwish: this operator is not of the class", {}),
        ("y = Relu(x)", "Relu: there is no layer without an activation before it", {}),
        ("y = Conv<group=2>(x, w)", "group is 2, expected 1 or one for each of 4",
         {"w": (4, 2, 3, 3)}),
        ("y = Conv<dilations=[2,2]>(x, w)", "dilations is", {"w": (4, 4, 3, 3)}),
        ("y = Conv<strides=[1,2]>(x, w)", "expected one number throughout", {"w": (4, 4, 3, 3)}),
        ("y = Conv<pads=[0,1,1,0]>(x, w)", "expected one number throughout", {"w": (4, 4, 3, 3)}),
        ("c = Conv(x, w) y = Clip(c, low, high)", "bounds of 0 and 6, got -1.0 and 1.0",
         {"w": (4, 4, 3, 3), "low": -1.0, "high": 1.0}),
        ("y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(x)", "expected a kernel and strides", {}),
        ("y = MaxPool<kernel_shape=[2,2]>(x)", "expected a kernel and strides of", {}),
        ("y = ReduceMean<keepdims=1>(x, a)", "expected a mean over height and width", {"a": [1]}),
        ("a = Conv(x, w) b = Conv(x, w) y = Add(a, b)", "it reads x, w, not the output before it",
         {"w": (4, 4, 3, 3)}),
        ("f = Flatten<axis=1>(x) y = Gemm<alpha=2.0>(f, w)", "alpha is 2.0", {"w": (144, 3)}),
        ("t = Reshape(x, s) y = Conv(t, w)", "do not compute what ONNX Runtime does|does not fit",
         {"s": [0, 4, 4, 9], "w": (4, 4, 3, 3)}),
    ],
)  # fmt: skip
def test_what_is_not_of_the_class_is_refused_by_name(body, why, arrays) -> None:
    with pytest.raises(ValueError, match=why):
        read_layers(graph(body, **arrays))


def test_bounds_that_nodes_hold_are_read() -> None:
    bounds = "low = Constant<value_float=0.0>() high = Constant<value_float=6.0>()"
    layers, _ = read_layers(graph(f"{bounds} c = Conv(x, w) y = Clip(c, low, high)",
                                  w=(5, 4, 3, 3)))  # fmt: skip
    assert [layer.activation for layer in layers] == ["relu6"]


def test_another_input_is_refused() -> None:
    with pytest.raises(ort.ModelError, match=r"expected an input \(n, channels, height, width\)"):
        read_layers(graph("y = MatMul(x, w)", "n,4", w=(4, 3)))
