"""Which operator of a template, an int8 file of the same network, computes which step.

From the output backwards: every activation has one operator that makes it, and that reads the
activations that the step reads. What the converter inserts in between only moves codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from edge_course.networks import layout
from edge_course.quantization import quant
from edge_course.runtimes.tflite_file import Graph, Operator, Tensor, shape_tensors

# The output has the scale and zero point of the input.
MOVED_ONLY = {"PAD", "MIRROR_PAD", "RESHAPE", "TRANSPOSE", "QUANTIZE"}
NO_PADS = ((0, 0), (0, 0))
SAME = 0  # of the schema's padding: as many zeros as `layout.same_pads` says


class ExportStep(NamedTuple):
    """What the file has to hold of one operator.

    Attributes
    ----------
    operator : as the schema calls it; "INPUT" comes first and stands for the file's input.
    output : scale and zero point of what the operator returns.
    fused : the activation that the operator applies: "NONE", "RELU" or "RELU6".
    settings : more of its settings, each a name of the schema and a value.
    weight : int8 codes in LiteRT's order, or None.
    weight_scales : float32, one for each output channel.
    bias : int32 codes, scale = input scale · weight scale.
    inputs : the numbers of the steps that it reads, 0 for the file's input.
    kernel : height and width of its window, None if it has none.
    pads : what the window sees around a picture: (top, bottom), (left, right).
    size : how many numbers it returns for one input.
    picture : channels, height and width of what was flattened to the features that it reads; None
        if it reads no such features, or their order does not depend on it.
    """

    operator: str
    output: quant.Parameters
    fused: str = "NONE"
    settings: tuple[tuple[str, int], ...] = ()
    weight: np.ndarray | None = None
    weight_scales: np.ndarray | None = None
    bias: np.ndarray | None = None
    inputs: tuple[int, ...] = ()
    kernel: tuple[int, int] | None = None
    pads: tuple[tuple[int, int], tuple[int, int]] = NO_PADS
    size: int = 0
    picture: tuple[int, int, int] | None = None


def matched_operators(steps: Sequence[ExportStep], graph: Graph) -> list[Operator]:
    """Return the operator of each step but the first, which stands for the input.

    Parameters
    ----------
    steps : the network's, the last one returns its output.
    graph : of the template.

    Raises
    ------
    ValueError
        If the graph is of another network; the message names the operator.
    """
    if any(tensor.dtype != np.int8 for tensor in (*graph.inputs, *graph.outputs)):
        raise ValueError('the template is no int8 file: convert with the mode "int8"')
    shapes = shape_tensors(graph.operators)
    computing = [o for o in graph.operators if o.outputs[0].index not in shapes]
    wanted = [step.operator for step in steps[1:]]
    there = [o.name for o in computing if o.name not in MOVED_ONLY]
    if Counter(wanted) != Counter(there):
        raise _other_network(f"expected {wanted}, got {there}")
    makers = {o.outputs[0].index: o for o in computing}
    tensors = {len(steps) - 1: _origin(graph.outputs[0], makers)[0].index}  # step → its output
    operators = []
    for number in reversed(range(1, len(steps))):
        step, operator = steps[number], makers.get(tensors[number])
        if operator is None or operator.name != step.operator:
            got = "the input" if operator is None else operator.name
            raise _other_network(f"expected {step.operator} as operator {number}, got {got}")
        _check_fit(step, operator, makers)
        for start, tensor in zip(step.inputs, operator.inputs, strict=False):  # then weights
            origin = _origin(tensor, makers)[0].index
            if tensors.setdefault(start, origin) != origin:
                raise _other_network(f"its {operator.name}, operator {number}, reads another one")
        operators.append(operator)
    if tensors[0] != graph.inputs[0].index:
        raise _other_network("its first operator does not read the input")
    return operators[::-1]


def in_order_of_pytorch(graph: Graph) -> set[int]:
    """Return the tensors whose numbers are channel by channel: those behind a TRANSPOSE."""
    turned: set[int] = set()
    for operator in graph.operators:
        turns = operator.name == "TRANSPOSE"
        if operator.name != "FULLY_CONNECTED" and turns != (operator.inputs[0].index in turned):
            turned.add(operator.outputs[0].index)
    return turned


def _origin(tensor: Tensor, makers: dict[int, Operator]) -> tuple[Tensor, list[Operator]]:
    """Return the tensor whose codes these are, and the operators that moved them from there."""
    moves = []
    while tensor.index in makers and makers[tensor.index].name in MOVED_ONLY:
        moves.append(makers[tensor.index])
        tensor = moves[-1].inputs[0]
    return tensor, moves


def _check_fit(step: ExportStep, operator: Operator, makers: dict[int, Operator]) -> None:
    """Refuse an operator that computes something else."""
    from ai_edge_litert.schema_py_generated import ActivationFunctionType

    expected = dict(step.settings)
    if hasattr(operator.options, "fusedActivationFunction"):
        expected["fusedActivationFunction"] = getattr(ActivationFunctionType, step.fused)
    for name, value in expected.items():
        setting = getattr(operator.options, name)
        if setting != value:
            raise _other_network(f"its {operator.name} has {name} = {setting}, expected {value}")
    shape = operator.outputs[0].shape
    if prod(shape) != step.size:
        raise _other_network(f"its {operator.name} returns {shape}, expected {step.size} numbers")
    if step.operator == "MEAN" and sorted(operator.inputs[1].values) != [1, 2]:
        raise _other_network("its MEAN is one over other axes than height and width")
    if step.bias is not None and step.bias.any() and len(operator.inputs) < 3:
        raise _other_network(f"its {operator.name} has no bias")
    pads = _pads(step, operator, makers)
    if pads != step.pads:
        raise _other_network(f"its {operator.name} has the padding {pads}, expected {step.pads}")


def _pads(
    step: ExportStep, operator: Operator, makers: dict[int, Operator]
) -> tuple[tuple[int, int], ...]:
    """Return what an operator sees around the picture: (top, bottom), (left, right)."""
    pads = np.zeros((2, 2), int)
    # A border of zeros would win in a window of negative numbers.
    border = "MIRROR_PAD" if step.operator == "MAX_POOL_2D" else "PAD"
    for move in _origin(operator.inputs[0], makers)[1]:
        if move.name in ("PAD", "MIRROR_PAD"):
            added = move.inputs[1].values  # (dimensions, 2)
            if move.name != border or added.shape != (4, 2) or added[[0, 3]].any():
                raise _other_network(f"its {operator.name} reads a {move.name} of {added.tolist()}")
            pads += added[1:3]
    if step.kernel and operator.options.padding == SAME:
        strides = (operator.options.strideH, operator.options.strideW)
        axes = zip(operator.inputs[0].shape[1:3], step.kernel, strides, strict=True)
        pads += np.array([layout.same_pads(*axis) for axis in axes])
    return tuple(map(tuple, pads.tolist()))


def _other_network(what: str) -> ValueError:
    return ValueError(
        f"the template is of another network: {what}; in_tensorflow.litert_file makes one of the "
        "network's own ONNX file"
    )
