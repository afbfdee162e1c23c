"""From a PyTorch model to ONNX, and from ONNX to int8; used as ``ort.export`` and so on."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError, checked_inputs
from edge_course.runtimes.onnx_files import onnx_errors_explained, read_proto

if TYPE_CHECKING:
    import onnx
    import torch

QUANTIZATION_MODES = ("dynamic", "int8")
INPUT, OUTPUT = "image", "scores"
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}



def export(model: torch.nn.Module, shape: tuple[int, ...] = (1, 28, 28)) -> bytes:
    """Return a PyTorch model as the content of an ``.onnx`` file, for any batch size.

    The exporter folds batch normalisation into the convolution before it.

    Parameters
    ----------
    model : in evaluation mode; one float32 input (n, *shape), one output.
    shape : the shape of one input, without the batch.

    Returns
    -------
    bytes
        A graph with the input "image" and the output "scores".

    Raises
    ------
    ValueError
        If it is no PyTorch model, is in training mode, does not take that shape, or does
        not return one output with a row for each input.
    ModelError
        If PyTorch cannot export it, or not for any batch size.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"expected a PyTorch model (torch.nn.Module), got {type(model).__name__}")
    if any(module.training for module in model.modules()):
        raise ValueError(
            "the model is in training mode, where batch normalisation and dropout compute "
            "something else: call model.eval() before you export it"
        )
    for batch in (3, 2):
        example = torch.zeros(batch, *shape)
        try:
            with torch.no_grad():
                y = model(example)
        except Exception as error:  # whatever a model's own code raises
            raise ValueError(
                f"the model does not take float32 inputs of shape {tuple(example.shape)}: {error}"
            ) from error
        if not isinstance(y, torch.Tensor) or y.ndim < 1 or len(y) != batch:
            got = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
            raise ValueError(
                f"expected a model with one output ({batch}, …) for {batch} inputs, got {got}"
            )
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                model,
                (example,),  # of two: the exporter would take a batch of one for a constant
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
    except Exception as error:  # its causes have no common base; the first line names them
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ModelError(f"PyTorch cannot export this model: {reason}") from error
    proto = _without_notes(program.model_proto)
    if not proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param:
        raise ModelError(
            "PyTorch has exported this model for a batch of two only; does its code turn "
            "the size of the batch into a plain number?"
        )
    return proto.SerializeToString()


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep away what the exporter says about itself; what goes wrong is raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _without_notes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without what only its exporter needs; a third of a small file is that."""
    graph = proto.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input,
                 *graph.output):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    # Shapes of weights are in the weights; said twice, they contradict a weight transposed later.
    weights = {weight.name for weight in graph.initializer}
    kept = [value for value in graph.value_info if value.name not in weights]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return proto


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
        If it is not an ONNX model, is quantized already, or cannot be quantized.
    ValueError
        If the mode is unknown, or the calibration set is missing, empty, of another
        shape or dtype, has NaN or infinity, or was given for another mode.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    if mode not in QUANTIZATION_MODES:
        raise ValueError(f"expected one of the modes {', '.join(QUANTIZATION_MODES)}, got {mode!r}")
    name = model_files.name(model)
    proto = _without_notes(read_proto(model))
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
        return _without_notes(onnx.load(made)).SerializeToString()


def _batches(
    name: str, proto: onnx.ModelProto, mode: str, calibration: np.ndarray | None
) -> Iterator[dict[str, np.ndarray]]:
    """Return the checked calibration set one input at a time, as every model can take it."""
    if mode != "int8":
        if calibration is not None:
            raise ValueError(f'only the mode "int8" takes a calibration set, not "{mode}"')
        return iter(())
    if calibration is None:
        raise ValueError('the mode "int8" needs a calibration set: some real inputs, float32')
    weights = {weight.name for weight in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ModelError(f"{name}: expected one input, got {len(inputs)}")
    shape = tuple(d.dim_value or d.dim_param for d in inputs[0].type.tensor_type.shape.dim)[1:]
    calibration = checked_inputs(calibration, shape, "calibration set")
    return ({inputs[0].name: x[np.newaxis]} for x in calibration)
