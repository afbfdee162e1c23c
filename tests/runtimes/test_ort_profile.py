"""The profile names every operator that runs, once, with a time."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_course.runtimes import ort
from edge_course.runtimes.ort_profile import operator_times

X = np.ones((2, 1, 8, 8), np.float32)


@pytest.fixture(scope="module")
def model() -> bytes:
    """Return a convolution and a ReLU."""
    weight = numpy_helper.from_array(np.ones((3, 1, 3, 3), np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["y"], name="conv"),
        helper.make_node("Relu", ["y"], ["scores"], name="relu"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in (("image", (1, 8, 8)), ("scores", (3, 6, 6)))
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [weight])
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


def test_every_operator_is_timed_once_in_order(model: bytes) -> None:
    times = operator_times(model, X, runs=20, level="none")
    assert [(t.name, t.operator) for t in times] == [("conv", "Conv"), ("relu", "Relu")]
    assert all(t.microseconds >= 0 for t in times)


def test_it_profiles_the_graph_that_runs(model: bytes) -> None:
    assert [t.operator for t in operator_times(model, X, runs=1, level="extended")] == ["FusedConv"]


def test_bad_input_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="at least 1 run"):
        operator_times(model, X, runs=0)
    with pytest.raises(ValueError, match="expected shape"):
        operator_times(model, X[0])
    with pytest.raises(ValueError, match="one of the levels"):
        operator_times(model, X, level="some")
    with pytest.raises(ort.ModelError):
        operator_times(b"nothing", X)
