"""An ONNX file asked for pictures whose channels come last: the exercise of notebook 05."""

from __future__ import annotations

import numpy as np

from edge_course.runtimes.onnx_files import one_layer_model


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
    from onnx import helper

    kernel = np.asarray(kernel, np.float32)
    if kernel.ndim != 4 or not kernel.size:
        raise ValueError(f"expected a kernel OIHW, got the shape {kernel.shape}")
    filters, channels = kernel.shape[:2]
    node = helper.make_node("Conv", ["picture", "kernel"], ["maps"])
    shapes = ["n", channels, "h", "w"], ["n", filters, "y", "x"]
    return one_layer_model(node, kernel, *shapes).SerializeToString()


def onnx_channels_last(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return what an ONNX convolution computes of NHWC pictures, as NHWC."""
    from onnxruntime import InferenceSession

    session = InferenceSession(convolution_model(kernel), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    maps = session.run(None, {name: np.transpose(x, (0, 3, 1, 2))})[0]
    return np.transpose(maps, (0, 2, 3, 1))
