"""ONNX Runtime's own quantizer on one dense layer: the exercise of notebook 04."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes.onnx_files import one_layer_model

if TYPE_CHECKING:
    import onnx


def dense_model(weight: np.ndarray) -> onnx.ModelProto:
    """Return an ONNX model of one dense layer without bias, from "x" to "y".

    Parameters
    ----------
    weight : float32 (outputs, inputs), as PyTorch keeps it; y = x · weightᵀ.

    Raises
    ------
    ValueError
        If the weight is of another shape.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    from onnx import helper

    weight = np.asarray(weight, np.float32)
    if weight.ndim != 2 or not weight.size:
        raise ValueError(f"expected a weight (outputs, inputs), got the shape {weight.shape}")
    outputs, inputs = weight.shape
    node = helper.make_node("Gemm", ["x", "weight"], ["y"], transB=1)
    model = one_layer_model(node, weight, ["n", inputs], ["n", outputs])
    # So the quantizer does not recommend, at every call, a preparation that changes nothing here.
    prepared = ("onnx.infer", "onnx.quant.pre_process")
    helper.set_model_props(model, dict.fromkeys(prepared, "onnxruntime.quant"))
    return model


def int8_outputs(weight: np.ndarray, calibration: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return what a dense layer computes in int8, with scales from the calibration rows."""
    from onnxruntime import InferenceSession
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Rows(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.left, None)
            return None if row is None else {"x": row[np.newaxis]}  # a batch of one

    with TemporaryDirectory() as folder:
        made = Path(folder, "int8.onnx")
        types = {"weight_type": QuantType.QInt8, "activation_type": QuantType.QUInt8}
        quantize_static(dense_model(weight), made, Rows(), per_channel=True, **types)
        session = InferenceSession(made.read_bytes(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x})[0]
