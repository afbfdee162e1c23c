"""From a network trained with fake quantization to a LiteRT file with its very numbers.

A converter would look at the weights and at some pictures and choose scales of its own. Here
nothing is chosen: the file of the int8 network, which has the right operators already, gets
every code, scale and zero point that was trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from edge_course import data
from edge_course.quantization import quant
from edge_course.quantization_aware.template import (
    MOVED_ONLY,
    ExportStep,
    in_order_of_pytorch,
    matched_operators,
)
from edge_course.runtimes import tflite_file

TEMPLATE = "depthwise_cnn_int8.tflite"  # in data/
MOST_PACKED = 7  # a layer whose codes go no further can be packed, two codes a byte


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
    template : the content of an int8 file of the same network, or its path, with any numbers, such
        as `in_tensorflow.litert_file` makes; by default that of the depthwise CNN in ``data/``.
    packed : store weights whose codes lie between −7 and 7 in INT4 tensors, two in a byte;
        else they are int8 tensors, whose upper four bits say nothing new.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If the template is no TFLite model.
    ValueError
        If its operators, what they read, their settings or the shapes of their weights are not
        the network's.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    template = data.read(TEMPLATE) if template is None else template
    graph = tflite_file.read_tflite(template)
    steps = list(network.steps())
    operators = matched_operators(steps, graph)
    turned = in_order_of_pytorch(graph)
    changed = {graph.inputs[0].index: _with_codes(graph.inputs[0], steps[0].output)}
    small = set()
    for step, operator in zip(steps[1:], operators, strict=True):
        out = operator.outputs[0]
        changed[out.index] = _with_codes(out, step.output)
        if step.weight is None:
            continue
        start, weight, *bias = operator.inputs
        if weight.index in changed:
            raise ValueError(f"two layers of the template share the weights of {operator.name}")
        codes, scales = step.weight, step.weight_scales
        if step.picture and start.index in turned:
            channels, height, width = step.picture
            places = codes.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)  # NHWC → NCHW
            codes = places.reshape(codes.shape)
        zeros = np.zeros(len(scales), np.int64)
        changed[weight.index] = weight._replace(scales=scales, zero_points=zeros, values=codes)
        for tensor in bias:  # one, or none
            bias_scales = steps[step.inputs[0]].output.scale * scales
            changed[tensor.index] = tensor._replace(
                scales=bias_scales, zero_points=zeros, values=step.bias
            )
        small |= {weight.index} if np.abs(codes).max() <= MOST_PACKED else set()
    for operator in graph.operators:
        if operator.name in MOVED_ONLY and operator.inputs[0].index in changed:
            there, out = changed[operator.inputs[0].index], operator.outputs[0]
            changed[out.index] = out._replace(scales=there.scales, zero_points=there.zero_points)
    return tflite_file.rewrite(template, changed.values(), packed=small if packed else ())


def _with_codes(tensor: tflite_file.Tensor, codes: quant.Parameters) -> tflite_file.Tensor:
    return tensor._replace(
        scales=np.array([codes.scale], np.float32),
        zero_points=np.array([codes.zero_point], np.int64),
    )
