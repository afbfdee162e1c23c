"""How long a network's operators take on a chip, and the bytes that they need there."""

from __future__ import annotations

import os

import numpy as np

from edge_course.cost_models import roofline
from edge_course.cost_models.onnx_work import onnx_work
from edge_course.cost_models.roofline import Chip, Work
from edge_course.runtimes import ort
from edge_course.split_layers.graph import read_graph

FLOAT_BYTES = 4  # of a number in the file; the chip computes with one byte for each


def chip_seconds(model: bytes | str | os.PathLike, chip: Chip) -> np.ndarray:
    """Return the seconds of each operator of a network on a chip, in int8: *modelled*.

    `roofline.modelled_seconds` of what each operator multiplies and moves. What multiplies
    nothing (an activation, a pooling, a sum) counts as nothing: such chips compute it along with
    the layer before, or in a small part of its time.

    Parameters
    ----------
    model : the content of an ``.onnx`` file in float32, or its path.
    chip : for example `roofline.SENSOR`.

    Returns
    -------
    np.ndarray
        float64 (operators,), in the order of `graph.read_graph`.

    Raises
    ------
    ModelError
        If it is not an ONNX model that can be cut.
    ValueError
        If an operator is not one that `onnx_work.onnx_macs` counts.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    found = {o.outputs[0].name: o for o in ort.operators(model)}
    works = [onnx_work([found[o.writes[0]]]) for o in read_graph(model).operators]
    return np.array([
        roofline.modelled_seconds(
            chip, Work(w.macs, w.weight_bytes // FLOAT_BYTES, w.activation_bytes // FLOAT_BYTES)
        )
        if w.macs
        else 0.0
        for w in works
    ])  # fmt: skip
