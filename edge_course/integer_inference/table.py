"""The table of computations, and the checks that say why an operator cannot be computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_course.integer_inference.step import Step, fused_activation
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_file import Operator, Tensor

Computation = Callable[[Step], np.ndarray]
Check = Callable[[Operator], str]  # returns why not, or nothing

COMPUTATIONS: dict[str, Computation] = {}
CHECKS: dict[str, tuple[Check, ...]] = {}


def computes(name: str, *checks: Check) -> Callable[[Computation], Computation]:
    """Enter the decorated function into the table, with what has to hold for it."""

    def enter(function: Computation) -> Computation:
        COMPUTATIONS[name], CHECKS[name] = function, (_types, _fused, *checks)
        return function

    return enter


def check_operator(operator: Operator) -> None:
    """Refuse an operator that cannot be computed here.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is unknown, or has a setting or a tensor that is; the message names it.
    """
    if operator.name not in COMPUTATIONS:
        raise ModelError(
            f"cannot compute {operator.name} with integers; "
            f"known are {', '.join(sorted(COMPUTATIONS))}"
        )
    for check in CHECKS[operator.name]:
        if reason := check(operator):
            output = operator.outputs[0].name
            raise ModelError(f"cannot compute {operator.name} with integers ({output!r}): {reason}")


def check_micro(operator: Operator) -> None:
    """Refuse an operator that TFLM computes in a way that is not written here.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is one; the message names it.
    """
    reason = ""
    if operator.name in ("LOGISTIC", "TANH"):
        reason = "it takes them from fixed-point numbers of its own"
    elif operator.name == "RELU6" and same_codes(operator):
        reason = "it clips codes without changing their scale"
    elif operator.name == "DEPTHWISE_CONV_2D":
        channels, filters = operator.inputs[0].shape[-1], operator.outputs[0].shape[-1]
        if (multiplier := operator.options.depthMultiplier) * channels != filters:
            reason = f"its depth multiplier is {multiplier}, but it makes {filters} of {channels}"
    if reason:
        raise ModelError(
            f"cannot compute {operator.name} as TFLM does ({operator.outputs[0].name!r}): {reason}"
        )


def settings(operator: Operator) -> str:
    """Refuse an operator without its table of settings."""
    return "" if operator.options is not None else "its settings are missing"


def same_codes(operator: Operator) -> str:
    """Refuse inputs whose codes mean something else than those of the output."""
    output = _meaning(operator.outputs[0])
    if any(_meaning(t) != output for t in operator.given if t.dtype == np.int8):
        return "its input and its output have different scales or zero points"
    return ""


def not_the_batch(axes: np.ndarray, rank: int) -> str:
    """Refuse axes of which one is the first, along which the inputs lie."""
    if any(int(axis) % rank == 0 for axis in np.ravel(axes)):
        return "it works along the first axis, along which different inputs lie"
    return ""


def must_be_constant(operator: Operator, i: int) -> str:
    """Refuse settings (axes, sizes, an order) that are not numbers of the file."""
    if operator.inputs[i].values is None:
        return f"its input {operator.inputs[i].name!r} is computed while the network runs"
    return ""


def spreads(operator: Operator) -> str:
    """Refuse two inputs that do not spread over each other for every number of inputs."""
    output = operator.outputs[0].shape
    for tensor in operator.given:
        rows = tensor.shape[0] if len(tensor.shape) == len(output) else 1
        if rows != (1 if tensor.values is not None else output[0]):
            return f"{tensor.name!r} of shape {tensor.shape} does not spread over the inputs"
    return ""


def _meaning(tensor: Tensor) -> tuple[list[float], list[int]]:
    return tensor.scales.tolist(), tensor.zero_points.tolist()


def _types(operator: Operator) -> str:
    """Refuse what is not int8, but for whole numbers of the file and the floats at its borders."""
    borders = {"QUANTIZE": operator.given, "DEQUANTIZE": operator.outputs}.get(operator.name, ())
    for tensor in (*operator.given, *operator.outputs):
        whole = tensor.values is not None and tensor.dtype in (np.int32, np.int64)
        border = tensor.dtype == np.float32 and tensor in borders
        if tensor.dtype != np.int8 and not whole and not border:
            return (
                f"the tensor {tensor.name!r} is {tensor.dtype}, expected int8; convert the model "
                'to full int8, as litert.convert(model, "int8", calibration) does'
            )
        if tensor.dtype == np.int8 and tensor.values is None and len(tensor.scales) != 1:
            return f"the tensor {tensor.name!r} has {len(tensor.scales)} scales, expected one"
    return ""


def _fused(operator: Operator) -> str:
    known = ("NONE", "RELU", "RELU6")
    if (activation := fused_activation(operator)) not in known:
        return f"its fused activation {activation} is neither ReLU nor ReLU6"
    return ""
