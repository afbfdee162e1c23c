"""What a TFLite file holds, against the runtime that reads the same file."""

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.runtimes import litert, tflite_file
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks, tiny_networks

FILE = data.read("seed_cnn_int8.tflite")
PICTURES = fashion_mnist.preprocess(fashion_mnist.load("test").images[:3])


def by_the_runtime(content: bytes) -> list[tuple]:
    """Names of the operators, and names, types and shapes of their tensors."""
    made = litert.interpreter(content, kernels="reference")
    details = {d["index"]: d for d in made.get_tensor_details()}

    def described(indices) -> list[tuple]:
        chosen = [details[i] for i in indices if i in details]
        return [(d["name"], np.dtype(d["dtype"]).name, (*map(int, d["shape"]),)) for d in chosen]

    steps = made._get_ops_details()
    return [(s["op_name"], described(s["inputs"]), described(s["outputs"])) for s in steps]


def read_here(content: bytes) -> list[tuple]:
    def described(tensors) -> list[tuple]:
        return [(t.name, t.dtype.name, t.shape) for t in tensors]

    operators = tflite_file.read_tflite(content).operators
    return [(o.name, described(o.given), described(o.outputs)) for o in operators]


@pytest.mark.parametrize("name", [n for n in data.manifest() if n.endswith(".tflite")])
def test_operators_and_tensors_are_the_runtimes(name) -> None:
    assert read_here(data.read(name)) == by_the_runtime(data.read(name))


@pytest.mark.parametrize("before_2_4", [False, True])
@pytest.mark.parametrize("name", tiny_networks.NETWORKS)
def test_operators_of_old_and_new_files_are_the_runtimes(name, before_2_4) -> None:
    content = tiny_networks.NETWORKS[name]().content(before_2_4=before_2_4)
    assert read_here(content) == by_the_runtime(content)
    assert "FULLY_CONNECTED" in {name for name, *_ in read_here(content)}


def test_an_operator_whose_code_needs_more_than_a_byte_has_its_name() -> None:
    """The old field then holds 127, which says so."""
    net = tflite_networks.Network(np.random.default_rng(0), (1, 4))
    net.operator("GELU", [net.x], net.activation((1, 4), 0.1, 0), kind="GeluOptions")
    assert [o.name for o in tflite_file.read_tflite(net.content()).operators] == ["GELU"]


def test_inputs_left_out_at_the_end_have_no_place() -> None:
    net = tflite_networks.Network(np.random.default_rng(0), (1, 4))
    kernel = net.constant(np.ones((2, 4), np.int8), [0.1], [0])
    out = net.activation((1, 2), 0.1, 0)
    net.operator("FULLY_CONNECTED", [net.x, kernel, -1], out, kind="FullyConnectedOptions")
    (dense,) = tflite_file.read_tflite(net.content()).operators
    assert len(dense.inputs) == 2 and dense.given == dense.inputs
    assert str(dense) == "FULLY_CONNECTED int8 1×4, constant int8 2×4 → int8 1×2"


def test_what_is_worked_out_from_shapes_is_known_from_what_acts_on_numbers() -> None:
    graph = tflite_file.read_tflite(FILE)
    shapes = tflite_file.shape_tensors(graph.operators)
    names = [o.name for o in graph.operators if o.outputs[0].index in shapes]
    assert names == ["SHAPE", "STRIDED_SLICE", "PACK"]
    net = tflite_networks.Network(np.random.default_rng(0), (1, 4, 4, 2))
    tflite_networks.strided_slice(net)
    graph = tflite_file.read_tflite(net.content())
    assert graph.operators and not tflite_file.shape_tensors(graph.operators)
    assert len(tflite_file.read_tflite(tflite_file.with_all_outputs(net.content())).outputs) == 1


def test_data_of_length_0_is_no_data() -> None:
    """As some writers store what is computed when the network runs."""

    def empty(file) -> None:
        for buffer in file.buffers:
            if buffer.data is None:
                buffer.data = np.zeros(0, np.uint8)

    written = tflite_networks.changed(FILE, empty)
    assert len(written) > len(FILE)
    expected = litert.Runner(FILE).run(PICTURES)
    assert np.array_equal(litert.Runner(written).run(PICTURES), expected)
    for before, after in zip(
        *(tflite_file.read_tflite(f).tensors for f in (FILE, written)), strict=True
    ):
        assert str(before) == str(after)


def test_tensors_in_a_form_that_is_not_read_are_named() -> None:
    from ai_edge_litert import schema_py_generated as schema

    def details(file) -> None:
        codes = file.subgraphs[0].tensors[1].quantization
        codes.detailsType = schema.QuantizationDetails.CustomQuantization
        codes.details = schema.CustomQuantizationT()

    def another_type(file) -> None:
        graph = file.subgraphs[0]
        graph.tensors.append(
            schema.TensorT(name="noise", type=schema.TensorType.BFLOAT16, buffer=0)
        )

    for change, message in (
        (details, r"these bytes: the tensor '.+' has scales of blocks, which is not read here"),
        (another_type, "these bytes: the tensor 'noise' is of the type bfloat16"),
    ):
        with pytest.raises(ModelError, match=message):
            tflite_file.read_tflite(tflite_networks.changed(FILE, change))


def test_weights_behind_the_flatbuffer_are_read_and_come_inside() -> None:
    """As LiteRT's own quantizer writes them: the runtime runs both forms, with one result."""
    from ai_edge_litert import schema_py_generated as schema

    graph, weights = tflite_file.read_tflite(FILE), []

    def take_out(file) -> None:
        for buffer in file.buffers:
            if buffer.data is not None and len(buffer.data) > 200:
                weights.append(np.asarray(buffer.data, np.uint8).tobytes())
                buffer.data, buffer.offset, buffer.size = None, 2, 2  # not 0: so they are written

    short = tflite_networks.changed(FILE, take_out)
    content = bytearray(short + bytes(-len(short) % 16))
    buffers = schema.Model.GetRootAs(content, 0)
    taken = [b for i in range(buffers.BuffersLength()) if (b := buffers.Buffers(i)).Offset() > 1]
    for buffer, held in zip(taken, weights, strict=True):
        for slot, number in ((6, len(content)), (8, len(held))):  # offset and size, as in fbs
            at = buffer._tab.Pos + buffer._tab.Offset(slot)
            content[at : at + 8] = number.to_bytes(8, "little")
        content += held + bytes(-len(held) % 16)
    behind = bytes(content)
    x = np.zeros((1, *graph.inputs[0].shape[1:]), graph.inputs[0].dtype)
    same = [next(iter(litert.outputs(file, x).values())) for file in (FILE, behind)]
    assert weights and np.array_equal(*same)
    for before, after in zip(graph.tensors, tflite_file.read_tflite(behind).tensors, strict=True):
        assert str(before) == str(after)
        assert before.values is None or np.array_equal(before.values, after.values)
