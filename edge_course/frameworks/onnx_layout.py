"""An ONNX file asked for pictures whose channels come last: the exercise of notebook 05."""

from __future__ import annotations

import numpy as np


def convolution_model(kernel: np.ndarray) -> bytes:
    """Return one convolution without padding or bias as the content of an ``.onnx`` file.

    Parameters
    ----------
    kernel : float32 OIHW (filters, channels, height, width), as ONNX keeps it.

    Raises
    ------
    ValueError
        If the kernel is of another shape.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.asarray(kernel, np.float32)
    if kernel.ndim != 4 or not kernel.size:
        raise ValueError(f"expected a kernel OIHW, got the shape {kernel.shape}")
    filters, channels = kernel.shape[:2]
    ends = {"picture": ["n", channels, "h", "w"], "maps": ["n", filters, "y", "x"]}
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in ends.items()
    )
    node = helper.make_node("Conv", ["picture", "kernel"], ["maps"])
    weights = [numpy_helper.from_array(kernel, "kernel")]
    graph = helper.make_graph([node], "convolution", [given], [made], weights)
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def onnx_channels_last(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return what an ONNX convolution computes of NHWC pictures, as NHWC."""
    from onnxruntime import InferenceSession

    session = InferenceSession(convolution_model(kernel), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    maps = session.run(None, {name: np.transpose(x, (0, 3, 1, 2))})[0]
    return np.transpose(maps, (0, 2, 3, 1))
