"""The rival of channels: layers divided by the rows of the picture, with borders exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from edge_course.split_channels.cost import ring_bytes
from edge_course.split_channels.layers import (
    Layer,
    compute_layer,
    finish_layer,
    output_shape,
    share,
)

WINDOWED = ("conv", "depthwise", "max_pool")  # a row of the output needs some rows of the input


class ByRows(NamedTuple):
    """The output of the last layer, and the bytes that each worker sends."""

    output: np.ndarray
    bytes: tuple[float, ...]


def together_by_rows(layers: Sequence[Layer], workers: int, x: np.ndarray) -> ByRows:
    """Run a network whose pictures are shared out by rows, all workers in this process.

    Every worker has all weights, the whole input, and of each later picture its `share` of the
    rows. What its windows need beyond that, the owners of these rows send (the halo; Mao et al.
    2017, "MoDNN"). A mean, and a dense layer over a picture, are sums of the workers' parts.

    Parameters
    ----------
    layers : the whole network.
    workers : how many, at least 1.
    x : the input, (n, channels, height, width).

    Raises
    ------
    ValueError
        If there is no worker, or an input does not fit its layer.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    sent, outputs = np.zeros(workers), {"input": x}
    y, has_all = x, True  # whether every worker has all rows of y
    for layer in layers:
        if layer.kind in WINDOWED:
            sums, halo = _windows(layer, workers, y)
            sent += 0 if has_all else halo
        elif y.ndim == 4 and not has_all:
            sums = _summed(layer, workers, y)
            sent += ring_bytes("sum", sums.nbytes, workers)
        else:
            sums = compute_layer(layer, y)
        y = outputs[layer.name] = finish_layer(layer, sums, outputs.get(layer.add))
        has_all = layer.kind not in WINDOWED
    return ByRows(y, tuple(sent))


def input_rows(layer: Layer, start: int, stop: int) -> tuple[int, int]:
    """Return which rows of a layer's input its output's rows from start to stop need.

    The first is negative, and the end larger than the height, where they lie in the padding.
    """
    if layer.kind == "max_pool":
        return 2 * start, 2 * stop
    first = layer.stride * start - layer.padding
    return first, layer.stride * (stop - 1) - layer.padding + layer.weight.shape[-2]


def _windows(layer: Layer, workers: int, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's sums, and the bytes of each worker's rows that others need for them."""
    height, pad, strips, halo = y.shape[2], layer.padding, [], np.zeros(workers)
    owner = [rank for rank in range(workers) for _ in range(*share(height, workers, rank))]
    padded = np.pad(y, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    for rank in range(workers):
        start, stop = share(output_shape(layer, y.shape)[2], workers, rank)
        if start == stop:
            continue
        first, end = input_rows(layer, start, stop)
        for row in range(max(first, 0), min(end, height)):
            halo[owner[row]] += y[:, :, row].nbytes if owner[row] != rank else 0
        strips.append(
            compute_layer(replace(layer, padding=0), padded[:, :, first + pad : end + pad])
        )
    return np.concatenate(strips, axis=2), halo


def _summed(layer: Layer, workers: int, y: np.ndarray) -> np.ndarray:
    """Return the sum of what each worker makes of its rows: of a mean, or of a dense layer."""
    pieces = [slice(*share(y.shape[2], workers, rank)) for rank in range(workers)]
    if layer.kind == "mean":
        return sum(y[:, :, p].sum(axis=(2, 3)) for p in pieces) / (y.shape[2] * y.shape[3])
    return sum(
        compute_layer(replace(layer, weight=layer.weight[:, :, p]), y[:, :, p]) for p in pieces
    )
