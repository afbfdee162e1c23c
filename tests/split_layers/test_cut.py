"""Cutting ONNX networks: the two parts give what the whole gives, at every possible cut."""

import numpy as np
import onnx
import pytest
from onnx import helper

from edge_course import fashion_mnist
from edge_course.frameworks import in_pytorch
from edge_course.runtimes import ort
from edge_course.runtimes.model_files import ModelError
from edge_course.split_layers import cut, graph
from tests.support import split_graphs

PICTURE_BYTES = 28 * 28


@pytest.fixture(scope="module")
def exported(call) -> dict[str, bytes]:
    return {network: call(in_pytorch.export_trained, network) for network in in_pytorch.TRAINED}


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images[:64]).transpose(0, 3, 1, 2)


def run(part: bytes, values: dict[str, np.ndarray], level: str = cut.LEVEL):
    """Return all that a part computes, and what it was given, by name."""
    session = ort.session(part, level=level)
    inputs = {value.name: values[value.name] for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    return values | dict(zip(names, session.run(names, inputs), strict=True))


def run_parts(parts: cut.Parts, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    done = run(parts.head, inputs) if parts.head else dict(inputs)
    crossed = {name: done[name] for name in parts.crossing}
    return done | (run(parts.tail, crossed) if parts.tail else {})


@pytest.mark.parametrize("name", in_pytorch.TRAINED)
def test_split_equals_whole_at_every_cut_on_real_pictures(exported, pictures, name):
    model = exported[name]
    network = graph.read_graph(model)
    whole = ort.Runner(model, level=cut.LEVEL).run(pictures)
    heads = cut.possible_cuts(network)
    assert len(heads) == len(network.operators) + 1
    for head in heads:
        parts = cut.cut_model(model, head)
        assert (parts.head is None, parts.tail is None) == (not head, head == heads[-1])
        for part in filter(None, parts[:2]):
            onnx.checker.check_model(onnx.load_from_string(part), full_check=True)
        scores = run_parts(parts, {"image": pictures})["scores"]
        np.testing.assert_allclose(scores, whole, rtol=0, atol=1e-6)


def test_bytes_that_cross_are_those_of_the_arrays_that_cross(exported, pictures):
    for model in exported.values():
        network = graph.read_graph(model)
        for head in cut.possible_cuts(network)[:-1]:
            done = {"image": pictures[:1]}
            if head:
                done = run(cut.cut_model(model, head).head, done)
            crossing = cut.crossing_tensors(network, head)
            for dtype, size in (("float32", 4), ("float16", 2), ("int8", 1)):
                expected = sum(size * done[name].size for name in crossing)
                assert cut.crossing_bytes(network, head, dtype) == expected
                stored = cut.crossing_bytes(network, head, dtype, as_stored=PICTURE_BYTES)
                assert stored == (PICTURE_BYTES if not head else expected)


def test_two_tensors_cross_inside_a_residual_block(exported):
    network = graph.read_graph(exported["depthwise_cnn"])
    counts = [len(cut.crossing_tensors(network, head)) for head in cut.possible_cuts(network)]
    assert counts[0] == 1 and counts[-1] == 0 and set(counts[1:-1]) == {1, 2}
    add = next(n for n, operator in enumerate(network.operators) if operator.kind == "Add")
    assert set(cut.crossing_tensors(network, range(add))) == set(network.operators[add].reads)


def test_the_parts_hold_each_weight_once_if_only_one_needs_it(exported):
    model = exported["seed_cnn"]
    names = {w.name for w in ort.read_proto(model).graph.initializer}
    parts = cut.cut_model(model, range(3))
    held = [{w.name for w in ort.read_proto(p).graph.initializer} for p in parts[:2]]
    assert held[0] | held[1] == names and not held[0] & held[1]
    assert held[0] == {"conv.weight", "conv.bias"}


def test_branches_are_cut_in_every_way():
    model = split_graphs.inception()
    network = graph.read_graph(model)
    kinds = [operator.kind for operator in network.operators]
    # Neither the weight that is computed nor what nobody needs is an operator.
    assert kinds == ["Relu", "MatMul", "MatMul", "Sigmoid", "MatMul", "Concat", "Relu"]
    edges = [(w, n) for n, before in enumerate(network.before()) for w in before]
    heads = cut.possible_cuts(network)
    assert set(heads) == set(split_graphs.closed_heads(7, edges)) and len(heads) == len(set(heads))
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    whole = run(model, {"x": x})["y"]
    for head in heads:
        parts = cut.cut_model(model, head)
        np.testing.assert_allclose(run_parts(parts, {"x": x})["y"], whole, rtol=0, atol=1e-6)
    assert {len(cut.crossing_tensors(network, head)) for head in heads} == {0, 1, 2, 3}


def test_an_output_in_the_middle_comes_from_the_head():
    nodes = [helper.make_node("Relu", ["x"], ["early"]), helper.make_node("Exp", ["early"], ["y"])]
    model = split_graphs.model(nodes, [("early", ("n", 4)), ("y", ("n", 4))])
    parts = cut.cut_model(model, {0})
    x = np.ones((2, 4), np.float32)
    assert set(run_parts(parts, {"x": x})) == {"x", "early", "y"}
    assert parts.crossing == ("early",)
    assert len(ort.session(parts.head).get_outputs()) == 1


def test_the_input_crosses_if_the_tail_reads_it_too():
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"])]
    model = split_graphs.model(nodes, [("y", ("n", 4))])
    parts = cut.cut_model(model, {0})
    assert parts.crossing == ("x", "a")
    x = np.float32([[-1, 0, 1, 2]])
    np.testing.assert_array_equal(run_parts(parts, {"x": x})["y"], [[-1, 0, 2, 4]])


def test_whole_numbers_cross_in_their_own_size():
    nodes = [
        helper.make_node("ArgMax", ["x"], ["best"], axis=1),
        helper.make_node("Cast", ["best"], ["y"], to=split_graphs.FLOAT),
    ]
    network = graph.read_graph(split_graphs.model(nodes, [("y", ("n", 1))]))
    for dtype in graph.WIRE_BYTES:
        assert cut.crossing_bytes(network, {0}, dtype) == 8  # one int64


def test_many_branches_are_refused_with_the_way_out():
    branches = [helper.make_node("Relu", ["x"], [f"b{n}"]) for n in range(16)]
    join = helper.make_node("Concat", [f"b{n}" for n in range(16)], ["y"], axis=1)
    network = graph.read_graph(split_graphs.model([*branches, join], [("y", ("n", 64))]))
    with pytest.raises(ValueError, match=r"more than 20000 cuts.*best_plan"):
        cut.possible_cuts(network)
    assert len(cut.possible_cuts(network, limit=2**16 + 1)) == 2**16 + 1


RELU = helper.make_node("Relu", ["x"], ["y"])


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ({1}, "has the operator 1 .* but not 0, which it needs"),
        ({0, 7}, "expected operators from 0 to 1, got 7"),
        ({-1}, "expected operators from 0 to 1, got -1"),
        ({"Relu"}, "expected operators from 0 to 1, got 'Relu'"),
    ],
)
def test_what_is_no_head_is_refused(head, problem):
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Exp", ["a"], ["y"])]
    model = split_graphs.model(nodes, [("y", ("n", 4))])
    for refused in (
        lambda: cut.cut_model(model, head),
        lambda: cut.crossing_tensors(_read(model), head),
    ):
        with pytest.raises(ValueError, match=problem):
            refused()


def _read(model: bytes) -> graph.Network:
    return graph.read_graph(model)


def test_another_dtype_is_refused():
    network = _read(split_graphs.model([RELU], [("y", ("n", 4))]))
    with pytest.raises(ValueError, match="expected one of float32, float16, int8, got 'int4'"):
        cut.crossing_bytes(network, (), "int4")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (b"", "not an ONNX model"),
        (b"not a model", "ONNX cannot read|not an ONNX model"),
        (split_graphs.model([RELU], [("y", ("n", "w"))], inputs=[("x", ("n", "w"))]), "fixed siz"),
        (split_graphs.model([RELU], [("z", ("n", 4))]), "ONNX cannot check"),
        (
            split_graphs.model([RELU], [("y", ("n", 4)), ("x", ("n", 4))]),
            "no operator computes the output x",
        ),
        (
            split_graphs.model(
                [helper.make_node("Relu", ["w"], ["y"])],
                [("y", (4,))],
                weights={"w": np.ones(4, np.float32)},
            ),
            "no operator computes the output y",
        ),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(model, problem):
    with pytest.raises(ModelError, match=problem):
        graph.read_graph(model)
    with pytest.raises(ModelError, match=problem):
        cut.cut_model(model, ())


def test_control_flow_is_refused():
    inside = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["z"])],
        "inside",
        [],
        [helper.make_tensor_value_info("z", split_graphs.FLOAT, ("n", 4))],
    )
    yes = onnx.numpy_helper.from_array(np.array(True))
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=yes),
        helper.make_node("If", ["yes"], ["y"], then_branch=inside, else_branch=inside),
    ]
    with pytest.raises(ModelError, match="operator If, inside which nobody can cut"):
        graph.read_graph(split_graphs.model(nodes, [("y", ("n", 4))]))


def test_old_files_list_their_weights_among_the_inputs():
    """As those of IR version 3 have to: such are most of the files in public model zoos."""
    weights = {n: np.random.default_rng(3).normal(size=(4, 4)).astype("f4") for n in ("w", "v")}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "v"], ["y"]),
    ]
    inputs = [("x", ("n", 4)), ("w", (4, 4)), ("v", (4, 4))]
    proto = onnx.load_from_string(
        split_graphs.model(nodes, [("y", ("n", 4))], inputs=inputs, weights=weights)
    )
    proto.ir_version, proto.opset_import[0].version = 3, 8
    model = proto.SerializeToString()
    x = np.ones((2, 4), np.float32)
    whole = run(model, {"x": x})["y"]
    heads = cut.possible_cuts(_read(model))
    assert len(heads) == 4
    for head in heads:
        parts = cut.cut_model(model, head)
        np.testing.assert_array_equal(run_parts(parts, {"x": x})["y"], whole)
        listed = [{v.name for v in onnx.load_from_string(p).graph.input} for p in parts[:2] if p]
        assert [{"w", "v"} & names for names in listed] == {
            0: [{"w", "v"}], 1: [{"w"}, {"v"}], 2: [{"w"}, {"v"}], 3: [{"w", "v"}],
        }[len(head)]  # fmt: skip


def test_a_random_operator_is_no_weight():
    nodes = [
        helper.make_node("RandomNormal", [], ["noise"], shape=[4]),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    network = _read(split_graphs.model(nodes, [("y", ("n", 4))]))
    assert [operator.kind for operator in network.operators] == ["RandomNormal", "Add"]
