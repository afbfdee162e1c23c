"""Networks to cut: small ONNX graphs by hand, and random chains and branching graphs."""

import itertools
import random

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


def model(nodes, outputs, *, inputs=(("x", ("n", 4)),), weights=None) -> bytes:
    """Return an ONNX model; outputs and inputs are (name, shape)."""

    def values(named):
        return [helper.make_tensor_value_info(n, FLOAT, shape) for n, shape in named]

    arrays = [numpy_helper.from_array(a, n) for n, a in (weights or {}).items()]
    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), arrays)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return made.SerializeToString()


def inception() -> bytes:
    """Return three branches that begin at one tensor and are joined; two use one weight."""
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(2, 4, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))),
        helper.make_node("Mul", ["w", "two"], ["w2"]),  # a weight that is computed
        helper.make_node("Relu", ["x"], ["start"]),
        helper.make_node("MatMul", ["start", "w2"], ["a"]),
        helper.make_node("MatMul", ["start", "w"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["b2"]),
        helper.make_node("MatMul", ["b2", "w2"], ["b3"]),
        helper.make_node("Concat", ["a", "b3", "start"], ["joined"], axis=1),
        helper.make_node("Relu", ["joined"], ["y"]),
        helper.make_node("Tanh", ["a"], ["unused"]),
    ]
    return model(nodes, [("y", ("n", 12))], weights={"w": w, "v": v})


def random_chain(rng: random.Random, count: int):
    """Return seconds on device and server, and bytes: whole numbers, so that there are ties."""
    seconds = [[rng.choice([0, 1, 2, 3, 5, 8]) for _ in range(count)] for _ in range(2)]
    return *seconds, [rng.randrange(0, 9) for _ in range(count + 1)]


def random_edges(rng: random.Random, count: int, *, share: float = 0.4) -> list[tuple[int, int]]:
    """Return pairs (writer, reader) with the writer first, and at least one writer each."""
    edges = {(rng.randrange(reader), reader) for reader in range(1, count)}
    pairs = itertools.combinations(range(count), 2)
    return sorted(edges | {pair for pair in pairs if rng.random() < share})


def closed_heads(count: int, edges: list[tuple[int, int]]):
    """Return every set of operators that has, with each, those it reads: by trying all 2ⁿ."""
    for chosen in itertools.product([False, True], repeat=count):
        if all(chosen[writer] or not chosen[reader] for writer, reader in edges):
            yield frozenset(n for n in range(count) if chosen[n])
