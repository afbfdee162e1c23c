"""From a network trained with fake quantization to a LiteRT file with its very numbers.

A converter would look at the weights and at some pictures and choose scales of its own. Here
nothing is chosen: the file of the int8 network, which has the right operators already, gets
every code, scale and zero point that was trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np

from edge_course import data
from edge_course.quantization import quant
from edge_course.runtimes import tflite_file

TEMPLATE = "depthwise_cnn_int8.tflite"  # in data/
COMPUTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MEAN")
MOVED_ONLY = ("PAD", "RESHAPE")  # the output has the scale and zero point of the input
MOST_PACKED = 7  # a layer whose codes go no further can be packed, two codes a byte


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
    """

    operator: str
    output: quant.Parameters
    fused: str = "NONE"
    settings: tuple[tuple[str, int], ...] = ()
    weight: np.ndarray | None = None
    weight_scales: np.ndarray | None = None
    bias: np.ndarray | None = None


class Exportable(Protocol):
    """What `export_litert` takes, such as `network.QuantizedNetwork`."""

    def steps(self) -> Iterable[ExportStep]:
        """Yield the network operator by operator."""


def export_litert(
    network: Exportable, template: bytes | str | os.PathLike | None = None, *, packed: bool = False
) -> bytes:
    """Return the content of a ``.tflite`` file that computes what was trained.

    Parameters
    ----------
    network : its `steps` give every integer and every scale.
    template : the content of an int8 file of the same network, or its path, with any numbers;
        by default that of the depthwise CNN in ``data/``.
    packed : store weights whose codes lie between −7 and 7 in INT4 tensors, two in a byte;
        else they are int8 tensors, whose upper four bits say nothing new.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If the template is no TFLite model.
    ValueError
        If its operators, their settings or the shapes of their weights are not the network's.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    template = data.read(TEMPLATE) if template is None else template
    graph = tflite_file.read_tflite(template)
    first, *steps = network.steps()
    computed = [o for o in graph.operators if o.name in COMPUTED]
    wanted, there = [s.operator for s in steps], [o.name for o in computed]
    if wanted != there:
        raise ValueError(f"the template is of another network: expected {wanted}, got {there}")
    (given,) = graph.inputs
    changed = {given.index: _activation(given, first.output)}
    small = set()
    _copy_codes(graph, changed)
    for step, operator in zip(steps, computed, strict=True):
        _check_settings(step, operator)
        out = operator.outputs[0]
        changed[out.index] = _activation(out, step.output)
        if step.weight is not None:
            start, weight, bias = operator.inputs
            scales = step.weight_scales
            zeros = np.zeros(len(scales), np.int64)
            changed[weight.index] = weight._replace(
                scales=scales, zero_points=zeros, values=step.weight
            )
            changed[bias.index] = bias._replace(
                scales=changed[start.index].scales[0] * scales, zero_points=zeros, values=step.bias
            )
            small |= {weight.index} if np.abs(step.weight).max() <= MOST_PACKED else set()
        _copy_codes(graph, changed)
    return tflite_file.rewrite(template, changed.values(), packed=small if packed else ())


def _activation(tensor: tflite_file.Tensor, codes: quant.Parameters) -> tflite_file.Tensor:
    return tensor._replace(
        scales=np.array([codes.scale], np.float32),
        zero_points=np.array([codes.zero_point], np.int64),
    )


def _copy_codes(graph: tflite_file.Graph, changed: dict[int, tflite_file.Tensor]) -> None:
    """Give the output of an operator that only moves codes the parameters of its input."""
    for operator in graph.operators:
        start, out = operator.inputs[0], operator.outputs[0]
        if operator.name in MOVED_ONLY and start.index in changed:
            there = changed[start.index]
            changed[out.index] = out._replace(scales=there.scales, zero_points=there.zero_points)


def _check_settings(step: ExportStep, operator: tflite_file.Operator) -> None:
    """Refuse a template whose operator computes something else."""
    from ai_edge_litert.schema_py_generated import ActivationFunctionType

    fused = getattr(ActivationFunctionType, step.fused)
    if step.operator == "MEAN":
        return
    for name, value in (("fusedActivationFunction", fused), *step.settings):
        setting = getattr(operator.options, name)
        if setting != value:
            raise ValueError(
                f"the template is of another network: its {operator.name} has {name} = {setting}, "
                f"expected {value}"
            )
