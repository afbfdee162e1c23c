"""The seconds of operators on a chip, against a count by hand."""

import numpy as np
import onnx
import pytest

from edge_course.cost_models import roofline
from edge_course.split_layers import graph, profile


def network(batch: str) -> bytes:
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 17]>
        g (float[{batch},2,6,6] x) => (float[{batch},5] y) {{
          a = Conv<pads=[1,1,1,1]>(x, w)
          b = Relu(a)
          c = Flatten(b)
          y = Gemm(c, d)
        }}""")
    for name, shape in (("w", (3, 2, 3, 3)), ("d", (108, 5))):
        values = np.zeros(shape, np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return model.SerializeToString()


@pytest.mark.parametrize("batch", ["1", "N"])
@pytest.mark.parametrize("chip", [roofline.SENSOR, roofline.SERVER], ids=lambda chip: chip.name)
def test_each_operator_takes_what_arithmetic_or_memory_takes(batch, chip):
    seconds = profile.chip_seconds(network(batch), chip)
    macs = np.array([36 * 3 * 18, 108 * 5])
    moved = np.array([72 + 54 + 108, 108 + 540 + 5])  # int8: a byte for each number
    expected = np.maximum(macs / chip.peak, moved / chip.memory_bandwidth) / roofline.REACHED
    np.testing.assert_allclose(seconds[[0, 3]], expected)
    assert not seconds[[1, 2]].any()
    assert len(graph.read_graph(network(batch)).operators) == len(seconds) == 4


def test_an_operator_that_is_not_counted_is_named():
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        g (float[1,4] x) => (float[1,4] y) { y = Hardmax(x) }""")
    with pytest.raises(ValueError, match="Hardmax"):
        profile.chip_seconds(model.SerializeToString(), roofline.SENSOR)
