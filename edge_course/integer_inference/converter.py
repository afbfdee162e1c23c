"""What LiteRT's converter decides in the mode "int8", computed again from ranges alone.

It runs the float32 network on the calibration set and notes the range of every tensor;
from the ranges come scales and zero points. The rules are those of the LiteRT 8-bit
quantization specification; what that leaves open was found by comparing files.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edge_course.quantization import calibration, quant
from edge_course.runtimes import model_files
from edge_course.runtimes.tflite_file import Operator, Tensor, read_tflite

CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # of the kernel
SAME_CODES = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "RESHAPE", "PAD")  # only move or choose codes
FIXED = {  # the output's range is known: 0 to 1, and −1 to 1
    "SOFTMAX": quant.Parameters(np.float32(1 / 256), np.int32(-128)),
    "LOGISTIC": quant.Parameters(np.float32(1 / 256), np.int32(-128)),
    "TANH": quant.Parameters(np.float32(1 / 128), np.int32(0)),
}
SEEN = ("ADD", "SUB", "MUL", "MEAN", "CONCATENATION")  # the output has the range that was seen
IN_PLACE = ("ADD", "SUB", "MUL", "DIV", "SOFTMAX")  # may write their result over an input


class SeenRange(NamedTuple):
    """The smallest and the largest number seen, float32."""

    low: np.float32
    high: np.float32


def seen_ranges(
    model: bytes | str | os.PathLike, inputs: np.ndarray, *, in_place: bool = True
) -> dict[str, SeenRange]:
    """Return the range of every activation of a float32 model over some inputs.

    The converter's calibrator runs TensorFlow's own kernels, one input at a time, and the
    last bits of a sum depend on the kernel; so this does the same.

    It looks at an operator's inputs after the operator has run. By then an element-wise one
    (`IN_PLACE`) may have overwritten an input: if nothing else reads that, the result takes
    its memory. The result's range is then noted for the input as well. (Smallest case:
    x² · (−1) inside a network; for x = (1, 1) the range noted of x² is −1 to 1.) A range that
    became too wide does no harm but to the resolution.

    Parameters
    ----------
    model : the content of a float32 ``.tflite`` file, or its path.
    inputs : float32, shape (n, *input shape): the calibration set.
    in_place : note overwritten inputs as the calibrator does; else what they really were.

    Returns
    -------
    dict of str to SeenRange
        Tensor name → range.

    Raises
    ------
    ModelError
        If it is not a TFLite model that the runtime can read.
    ValueError
        If the inputs are of another dtype or shape, there are none, or not all are finite.
    """
    operators = read_tflite(model).operators
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's interpreter announces its end
        made = tf.lite.Interpreter(
            model_content=model_files.content(model),
            experimental_op_resolver_type=(
                tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
            experimental_preserve_all_tensors=True,
        )
        made.allocate_tensors()
    start = made.get_input_details()[0]
    inputs = model_files.checked_inputs(inputs, tuple(map(int, start["shape"][1:])), "inputs")
    index = {t["name"]: t["index"] for t in made.get_tensor_details() if t["dtype"] == np.float32}
    computed = [start["name"], *(out.name for op in operators for out in op.outputs)]
    ranges = {name: SeenRange(np.inf, -np.inf) for name in computed if name in index}
    for one in inputs:
        made.set_tensor(start["index"], one[np.newaxis])
        made.invoke()
        for name, (low, high) in ranges.items():
            now = calibration.minimum_maximum(made.get_tensor(index[name]))
            ranges[name] = SeenRange(min(low, now[0]), max(high, now[1]))
    if in_place:
        for op, overwritten in _overwritten(operators):
            old, new = ranges[overwritten], ranges[op.outputs[0].name]
            ranges[overwritten] = SeenRange(min(old.low, new.low), max(old.high, new.high))
    return ranges


def _overwritten(operators: Sequence[Operator]) -> list[tuple[Operator, str]]:
    """Return which operators put their result in the memory of which of their inputs."""
    read = Counter(t.name for op in operators for t in op.given)
    sizes = {out.name: math.prod(out.shape) for op in operators for out in op.outputs}
    pairs = []
    for op in operators:
        result = op.outputs[0]
        # Neither the model's output nor a single number shares its memory.
        if op.name in IN_PLACE and read[result.name] and sizes[result.name] > 1:
            free = [t.name for t in op.given if read[t.name] == 1]
            same_size = [name for name in free if sizes.get(name) == sizes[result.name]]
            pairs += [(op, name) for name in same_size[:1]]
    return pairs


def parameters(
    model: bytes | str | os.PathLike, ranges: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, quant.Parameters]:
    """Return the scale and zero point of every tensor that the converter makes an integer.

    * activations: `quant.asymmetric` of the range, one for the tensor;
    * what only moves or chooses codes (max-pool, reshape, pad …): those of its input, so that
      nothing has to be computed; a concatenation's inputs: those of its output;
    * softmax, logistic, tanh: fixed, as their range is known;
    * kernels: `quant.symmetric`, one scale of each output channel;
    * biases: int32, scale = input scale · kernel scale, so that they can be added to the sum
      of products. (A bias too large for that makes the converter widen the kernel's scale,
      which is left out here.)

    Parameters
    ----------
    model : the content of a float32 ``.tflite`` file, or its path.
    ranges : tensor name → (low, high), of every activation, as `seen_ranges` returns them.

    Returns
    -------
    dict of str to quant.Parameters
        Tensor name → float32 scale and int32 zero point, numbers for activations and arrays
        that spread over the weights.

    Raises
    ------
    ModelError
        If it is not a TFLite model that the runtime can read.
    ValueError
        If there is an operator without a rule here, or a range is missing or not finite.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    operators, ranges = read_tflite(model).operators, dict(ranges)
    for op in operators:
        for t in (*op.given, *op.outputs):
            if t.values is None and t.dtype == np.float32 and t.name not in ranges:
                raise ValueError(f"expected a range of every activation, none of {t.name}")
    for op in reversed(operators):
        if op.name == "CONCATENATION":
            ranges |= {t.name: ranges[op.outputs[0].name] for t in op.inputs}
    codes = {name: quant.asymmetric(*limits) for name, limits in ranges.items()}
    for op in operators:
        start, out = op.inputs[0], op.outputs[0]
        if op.name in CHANNEL_AXIS:
            kernel, *biases = op.inputs[1:]
            limits = calibration.minimum_maximum(kernel.values, CHANNEL_AXIS[op.name])
            codes[kernel.name] = quant.symmetric(*limits)
            scale = codes[start.name].scale * codes[kernel.name].scale.ravel()
            codes |= {
                b.name: quant.Parameters(scale, np.zeros_like(scale, np.int32)) for b in biases
            }
        elif op.name in SAME_CODES:
            codes[out.name] = codes[start.name]
        elif op.name in FIXED:
            codes[out.name] = FIXED[op.name]
        elif op.name in SEEN:
            constants = [t for t in op.given if t.values is not None and t.dtype == np.float32]
            for t in constants:
                codes[t.name] = quant.asymmetric(*calibration.minimum_maximum(t.values))
        elif out.dtype == np.float32:
            raise ValueError(f"no rule for the operator {op.name}")
    return codes


def beside_file(
    float32: bytes | str | os.PathLike, int8: bytes | str | os.PathLike, inputs: np.ndarray
) -> dict[str, tuple[quant.Parameters, Tensor]]:
    """Return `parameters` beside what the converter wrote into the int8 file.

    Parameters
    ----------
    float32 : a network without quantization, the content of a ``.tflite`` file, or its path.
    int8 : the same network in int8, its input and output too.
    inputs : float32, shape (n, *input shape): what the int8 file was calibrated on.

    Returns
    -------
    dict of str to (quant.Parameters, Tensor)
        Name in the float32 file → scale and zero point by the rules, and the int8 file's tensor,
        for every tensor that has a scale there.

    Raises
    ------
    ModelError
        If it is not a TFLite model that the runtime can read.
    ValueError
        As `parameters` and `seen_ranges`; or if the files do not have the same operators.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    ours, pairs = parameters(float32, seen_ranges(float32, inputs)), {}
    real, whole = read_tflite(float32).operators, read_tflite(int8).operators
    names = [[op.name for op in operators] for operators in (real, whole)]
    if names[0] != names[1]:
        raise ValueError(f"expected the same operators in both files, got {names[0]}, {names[1]}")
    for a, b in zip(real, whole, strict=True):
        for before, after in zip(a.inputs + a.outputs, b.inputs + b.outputs, strict=True):
            if len(after.scales):
                pairs[before.name] = ours[before.name], after
    return pairs
