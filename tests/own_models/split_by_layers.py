"""Another network and other data for "Your own model" of notebook 14: grey, wide, two branches."""

import numpy as np
import onnx

from edge_course import stripes


def network() -> bytes:
    """Return a network for 20 × 32 grey pictures and three classes, with two branches, as ONNX."""
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]>
        branches (float[N,1,20,32] picture) => (float[N,3] answer) {
          a = Conv<strides=[2,2], pads=[2,2,2,2]>(picture, w1)
          b = HardSwish(a)
          c = Conv(b, w2)
          d = Conv<pads=[1,1,1,1]>(b, w3)
          e = Relu(d)
          f = Concat<axis=1>(c, e)
          g = MaxPool<kernel_shape=[2,2], strides=[2,2]>(f)
          h = Flatten(g)
          i = Gemm(h, w4)
          answer = Softmax(i)
        }""")
    random = np.random.default_rng(3)
    for n, shape in enumerate([(4, 1, 5, 5), (2, 4, 1, 1), (3, 4, 3, 3), (5 * 5 * 8, 3)], 1):
        values = random.normal(0, 0.3, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, f"w{n}"))
    return model.SerializeToString()


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (n, 20, 32, 1) and three classes."""
    return stripes.pictures(30, (20, 32, 1), classes=3, seed=5)
