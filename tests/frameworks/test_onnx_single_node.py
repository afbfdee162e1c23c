"""The smallest graph there is: one node, which Keras does not return as a list of outputs."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge_course.frameworks import onnx_to_keras


def test_a_graph_of_one_node_is_translated() -> None:
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", 4]) for end in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "one", ends[:1], ends[1:])
    opset = helper.make_opsetid("", 18)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    y = onnx_to_keras.translate(model.SerializeToString())(np.float32([[-1, 0, 1, 2]]))
    np.testing.assert_array_equal(y, [[0, 0, 1, 2]])
