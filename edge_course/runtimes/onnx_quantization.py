"""From a float32 ONNX model to one that computes in int8; used as ``ort.quantize_model``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError, checked_inputs
from edge_course.runtimes.onnx_files import onnx_errors_explained, read_proto, without_notes
from edge_course.runtimes.ort_session import session

if TYPE_CHECKING:
    import onnx

QUANTIZATION_MODES = ("dynamic", "int8")
COMPARED = 8  # calibration inputs on which the int8 file is compared with the float32 one
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}


def quantize_model(
    model: bytes | str | os.PathLike, mode: str, calibration: np.ndarray | None = None
) -> bytes:
    """Return a float32 ONNX model as one that computes in int8.

    "int8" (ONNX Runtime calls it static) gives weights and activations a scale before it
    runs: int8 weights with one scale per output channel, uint8 activations with a scale
    from the calibration set. Such a file says so in pairs of QuantizeLinear and
    DequantizeLinear (QDQ) around float operators, which the runtime fuses into integer ones.
    Input and output stay float32. An x86 processor without VNNI adds pairs of products in
    16 bits, where a few large ones saturate: scores can differ a little between processors.

    "dynamic" stores the weights of dense layers as int8 and finds the scale of their
    inputs anew on every run. Convolutions stay float32: a convolution with
    scales found while running is slower than a float32 one.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path; one input.
    mode : "dynamic" or "int8".
    calibration : for "int8" only: real inputs, float32 (n, …), that show the range of
        every activation.

    Raises
    ------
    ModelError
        If it is not an ONNX model, is quantized already, or cannot be quantized; if the int8
        file gives other shapes, numbers that are not finite, or nothing like the float32 one.
    ValueError
        If the mode is unknown, or the calibration set is missing, empty, of another
        shape or dtype, has NaN or infinity, or was given for another mode.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    if mode not in QUANTIZATION_MODES:
        raise ValueError(f"expected one of the modes {', '.join(QUANTIZATION_MODES)}, got {mode!r}")
    name = model_files.name(model)
    proto = without_notes(read_proto(model))
    if any(node.op_type in _QUANTIZED for node in proto.graph.node):
        raise ModelError(f"{name}: is quantized already; expected the float32 model")
    batches = _batches(name, proto, mode, calibration)

    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Calibration(quantization.CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    settings = {"per_channel": True, "weight_type": quantization.QuantType.QInt8}
    # ONNX Runtime's quantizer reads and writes files.
    with (
        tempfile.TemporaryDirectory() as folder,
        onnx_errors_explained(name, "quantize", runtime="ONNX Runtime"),
    ):
        given, prepared, made = (
            str(Path(folder, f"{step}.onnx")) for step in ("given", "prepared", "quantized")
        )
        onnx.checker.check_model(proto)  # the quantizer only logs what is wrong with a model
        onnx.save(proto, given)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        if mode == "dynamic":
            dense = ["Gemm", "MatMul"]
            quantization.quantize_dynamic(prepared, made, op_types_to_quantize=dense, **settings)
        else:
            activations = quantization.QuantType.QUInt8
            quantization.quantize_static(
                prepared, made, Calibration(), activation_type=activations, **settings
            )
        content = without_notes(onnx.load(made)).SerializeToString()
    _check_quantized(name, proto, content, calibration)
    return content


def _check_quantized(
    name: str, proto: onnx.ModelProto, content: bytes, calibration: np.ndarray | None
) -> None:
    """Raise a ModelError if the int8 file does not run as the float32 one does, roughly."""
    original, quantized = session(proto.SerializeToString()), session(content)
    (given,) = original.get_inputs()
    if calibration is None:
        batch, *sizes = given.shape or [""]
        if given.type != "tensor(float)" or not all(isinstance(size, int) for size in sizes):
            return  # what it takes is not known; it loads
        batch = batch if isinstance(batch, int) else 4
        x = np.random.default_rng(0).normal(size=(batch, *sizes)).astype(np.float32)
        inputs = [{given.name: x}]
    else:
        inputs = [{given.name: x[np.newaxis]} for x in calibration[:COMPARED]]
    for x in inputs:
        with onnx_errors_explained(name, "run the int8 form of", runtime="ONNX Runtime"):
            answers = [runtime.run(None, x) for runtime in (original, quantized)]
        for output, expected, actual in zip(original.get_outputs(), *answers, strict=True):
            if actual.shape != expected.shape or not np.isfinite(actual).all():
                raise ModelError(
                    f"{name}: quantized wrongly: {output.name} has the shape {actual.shape}, for "
                    f"{expected.shape} in float32, or numbers that are not finite"
                )
            if expected.dtype.kind != "f":  # classes, for example: as near as their numbers
                continue
            error, size = np.linalg.norm(actual - expected), np.linalg.norm(expected)
            if error > size > 0:  # zeros would be nearer
                raise ModelError(
                    f"{name}: quantized wrongly: {output.name} is off by {error / size:.0%} of "
                    "its size in float32; is one weight or activation far larger than all others?"
                )


def _batches(
    name: str, proto: onnx.ModelProto, mode: str, calibration: np.ndarray | None
) -> Iterator[dict[str, np.ndarray]]:
    """Return the checked calibration set one input at a time, as every model can take it."""
    weights = {weight.name for weight in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ModelError(f"{name}: expected one input, got {len(inputs)}")
    if mode != "int8":
        if calibration is not None:
            raise ValueError(f'only the mode "int8" takes a calibration set, not "{mode}"')
        return iter(())
    if calibration is None:
        raise ValueError('the mode "int8" needs a calibration set: some real inputs, float32')
    shape = tuple(d.dim_value or d.dim_param for d in inputs[0].type.tensor_type.shape.dim)[1:]
    calibration = checked_inputs(calibration, shape, "calibration set")
    return ({inputs[0].name: x[np.newaxis]} for x in calibration)
