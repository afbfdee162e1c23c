"""Another network for notebook 15: a residual sum, a depthwise layer, one colour, six classes."""

from pathlib import Path

import numpy as np
import onnx

from edge_course import stripes

TEXT = """<ir_version: 10, opset_import: ["": 18]> g (float[n,1,18,14] x) => (float[n,6] scores) {
  a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1) b = Relu(a)
  c = Conv<pads=[1,1,1,1], group=10>(b, w2) d = Clip(c, low, high)
  e = Conv(d, w3) f = Add(e, b) h = Relu(f)
  i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h)
  j = Flatten(i) k = MatMul(j, w4) l = Add(k, b4) m = Relu(l) scores = MatMul(m, w5)
}"""
SHAPES = {
    "w1": (10, 1, 3, 3), "w2": (10, 1, 3, 3), "w3": (10, 10, 1, 1), "w4": (120, 16), "b4": (16,),
    "w5": (16, 6), "low": (), "high": (),
}  # fmt: skip


def network() -> Path:
    model = onnx.parser.parse_model(TEXT)
    random = np.random.default_rng(0)
    arrays = {name: random.normal(scale=0.3, size=shape) for name, shape in SHAPES.items()}
    for name, array in (arrays | {"low": np.array(0.0), "high": np.array(6.0)}).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(array), name))
    onnx.save(model, "their_model.onnx")
    return Path("their_model.onnx")


def data() -> tuple[np.ndarray, np.ndarray]:
    return stripes.pictures(50, (18, 14, 1), classes=6)
