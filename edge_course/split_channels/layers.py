"""Layers divided by channels over several workers: what each keeps, computes and joins.

Pictures are (n, channels, height, width) here, as in PyTorch. NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

MIXING = ("conv", "dense")  # every output channel needs every input channel
LAYER_KINDS = (*MIXING, "depthwise", "max_pool", "mean")
ACTIVATIONS = ("", "relu", "relu6")
DIVISIONS = {
    "whole": LAYER_KINDS,  # every worker computes all of it
    "output": MIXING,  # each worker has some of the filters
    "input": MIXING,  # each worker has, of every filter, the slices for some input channels
    "own": tuple(kind for kind in LAYER_KINDS if kind not in MIXING),  # each keeps to its channels
}


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a network.

    Attributes
    ----------
    name : what it is called.
    kind : "conv", "dense", "depthwise" (a convolution of each channel by itself), "max_pool"
        (the largest of 2×2), "mean" (of each channel, height and width vanish).
    weight : conv (out, in, rows, columns); dense (out, in) or, behind a convolution, (out, in,
        rows, columns); depthwise (channels, rows, columns); else None.
    bias : (out,), or None.
    stride, padding : of a convolution; zeros are padded on all four sides.
    activation : "", "relu" or "relu6", applied last.
    add : name of an earlier layer whose output is added before the activation, or "".
    channels : of the output of the whole layer, also if this is a part of it; 0 if they are
        those of the input. Set by itself.

    Raises
    ------
    ValueError
        If the kind or the activation is unknown, or the weight or bias does not fit the kind.

    Taught in: notebooks/15_split_by_channels.ipynb
    """

    name: str
    kind: str
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    stride: int = 1
    padding: int = 0
    activation: str = ""
    add: str = ""
    channels: int = 0

    def __post_init__(self):
        if self.kind not in LAYER_KINDS or self.activation not in ACTIVATIONS:
            raise ValueError(
                f"{self.name}: expected one of the kinds {LAYER_KINDS} "
                f"and activations {ACTIVATIONS}, "
                f"got {self.kind!r} and {self.activation!r}"
            )
        dimensions = {"conv": (4,), "dense": (2, 4), "depthwise": (3,)}.get(self.kind, (0,))
        shape = np.shape(self.weight) if self.weight is not None else ()
        bias = np.shape(self.bias) if self.bias is not None else shape[:1]
        if len(shape) not in dimensions or bias != shape[:1]:
            raise ValueError(
                f"{self.name}: expected a weight with {' or '.join(map(str, dimensions))} "
                f"dimensions and a bias for each output, got shapes {shape} and {bias}"
            )
        object.__setattr__(self, "channels", self.channels or (shape[0] if shape else 0))


def share(channels: int, workers: int, rank: int) -> tuple[int, int]:
    """Return where a worker's share of the channels begins and where it ends (not included).

    The shares follow each other and differ by at most one channel; the first workers have
    the larger ones, as with ``numpy.array_split``.

    Parameters
    ----------
    channels : how many there are to share out, at least 0.
    workers : how many share them, at least 1; there may be more workers than channels.
    rank : the worker's number, from 0 to workers − 1.

    Raises
    ------
    ValueError
        If a number is out of these ranges.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if channels < 0 or workers < 1 or not 0 <= rank < workers:
        raise ValueError(
            "expected channels from 0, workers from 1 and a rank from 0 to workers − 1, "
            f"got {channels} channels, {workers} workers, rank {rank}"
        )
    each, left_over = divmod(channels, workers)
    start = rank * each + min(rank, left_over)
    return start, start + each + (rank < left_over)


def cut_layer(layer: Layer, division: str, workers: int, rank: int) -> Layer:
    """Return what a worker keeps of a layer: the layer with only its part of the weights.

    Parameters
    ----------
    layer : the whole layer.
    division : "whole" keeps all; "output" keeps some filters with their biases; "input" keeps
        of every filter the slices for some input channels, and all biases, because the bias
        is added once, after the sum; "own" keeps some channels of a layer that does not mix.
    workers, rank : as for `share`.

    Raises
    ------
    ValueError
        If a layer of this kind cannot be divided so, or there is no such rank.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    check_divisions([layer], [division])
    if division == "whole" or layer.weight is None:
        return layer
    if division == "input":  # axis 1 of a weight is that of the inputs
        start, stop = share(layer.weight.shape[1], workers, rank)
        return replace(layer, weight=layer.weight[:, start:stop])
    start, stop = share(layer.weight.shape[0], workers, rank)
    bias = None if layer.bias is None else layer.bias[start:stop]
    return replace(layer, weight=layer.weight[start:stop], bias=bias)


def check_divisions(layers: Sequence[Layer], divisions: Sequence[str]) -> None:
    """Raise a ValueError if not each layer has a division, or one that its kind allows."""
    if len(layers) != len(divisions) or not layers:
        raise ValueError(
            f"expected one division for each of {len(layers)} layers, got {len(divisions)}: "
            f"{', '.join(divisions)}"
        )
    for layer, division in zip(layers, divisions, strict=True):
        if layer.kind not in DIVISIONS.get(division, ()):
            fitting = [name for name, kinds in DIVISIONS.items() if layer.kind in kinds]
            raise ValueError(
                f"{layer.name}: a {layer.kind} layer can be divided as {', '.join(fitting)}, "
                f"got {division!r}"
            )


def output_shape(layer: Layer, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a layer's output for an input of some shape; of a part, of its part.

    Parameters
    ----------
    layer : the whole layer or a part of it; see `cut_layer`.
    shape : of the input, (n, channels, height, width), or (n, channels) for a dense layer.

    Returns
    -------
    tuple[int, ...]
        (n, channels out, height, width) or (n, channels out).

    Raises
    ------
    ValueError
        If the layer does not take such an input.
    """
    w = () if layer.weight is None else layer.weight.shape
    n, channels, *sides = shape
    if layer.kind == "dense" and (channels, *sides) in (w[1:], (*w[1:], 1, 1)):
        return n, w[0]
    if layer.kind == "mean" and len(sides) == 2:
        return n, channels
    if layer.kind == "max_pool" and len(sides) == 2:
        return n, channels, sides[0] // 2, sides[1] // 2
    if layer.kind in ("conv", "depthwise") and len(sides) == 2:
        padded = [side + 2 * layer.padding for side in sides]
        takes = w[0] if layer.kind == "depthwise" else w[1]
        if channels == takes and padded[0] >= w[-2] and padded[1] >= w[-1]:
            rows, columns = (
                (side - kernel) // layer.stride + 1
                for side, kernel in zip(padded, w[-2:], strict=True)
            )
            return n, w[0], rows, columns
    raise ValueError(
        f"{layer.name}: an input of shape {tuple(shape)} does not fit "
        + (f"a weight of shape {w}" if w else f"a {layer.kind} layer")
    )


def output_shapes(layers: Sequence[Layer], shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every layer's output by its name, and of the "input": see above.

    Raises
    ------
    ValueError
        If an input does not fit its layer, or what is added to an output does not fit it.
    """
    shapes = {"input": tuple(shape)}
    for layer in layers:
        shape = output_shape(layer, shape)
        if layer.add and shapes.get(layer.add) != shape:
            raise ValueError(
                f"{layer.name}: {layer.add!r} cannot be added to an output of shape {shape}: "
                f"expected an earlier layer of this shape, got {shapes.get(layer.add)}"
            )
        shapes[layer.name] = shape
    return shapes


def compute_layer(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Return a layer's output before bias, addition and activation; of a part, its part.

    Parameters
    ----------
    layer : the whole layer or a part of it; see `cut_layer`.
    x : real numbers, (n, channels, height, width), or (n, channels) for a dense layer.

    Returns
    -------
    np.ndarray
        (n, channels out, height, width) or (n, channels out).

    Raises
    ------
    ValueError
        If the input does not fit the layer.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    n, _, *sides = output_shape(layer, x.shape)
    w = layer.weight
    if layer.kind == "dense":
        features = math.prod(w.shape[1:])
        return x.reshape(n, features) @ w.reshape(len(w), features).T  # (n, in) @ (in, out)
    if layer.kind == "mean":
        return x.mean(axis=(2, 3))  # (n, channels)
    if layer.kind == "max_pool":
        even = x[:, :, : 2 * sides[0], : 2 * sides[1]]  # an odd last row or column is left out
        # (n, channels, height, 2, width, 2) → (n, channels, height, width)
        return even.reshape(n, -1, sides[0], 2, sides[1], 2).max(axis=(3, 5))
    x = np.pad(x, ((0, 0), (0, 0), *[(layer.padding, layer.padding)] * 2))
    patches = sliding_window_view(x, w.shape[-2:], axis=(2, 3))
    patches = patches[:, :, :: layer.stride, :: layer.stride]  # (n, channels, y, x, rows, columns)
    # A depthwise weight is (channels, rows, columns), that of a conv (out, in, rows, columns).
    sums = "ncyxij,cij->ncyx" if layer.kind == "depthwise" else "ncyxij,ocij->noyx"
    return np.ascontiguousarray(np.einsum(sums, patches, w, optimize=True))


def finish_layer(layer: Layer, y: np.ndarray, added: np.ndarray | None = None) -> np.ndarray:
    """Return a layer's output with its bias, what is added to it, and its activation.

    Parameters
    ----------
    layer : the whole layer or a part of it.
    y : what `compute_layer` returned, or the sum of what it returned to each worker.
    added : output of the layer that ``layer.add`` names, the shape of ``y``.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if layer.bias is not None:
        y = y + layer.bias.reshape(-1, *[1] * (y.ndim - 2))  # (out, 1, 1) or (out,)
    if added is not None:
        y = y + added
    if layer.activation:
        y = np.clip(y, 0, 6 if layer.activation == "relu6" else None)
    return y


def deal(
    layers: Sequence[Layer], divisions: Sequence[str], workers: int, rank: int
) -> tuple[Layer, ...]:
    """Return one worker's part of every layer; see `cut_layer`.

    Raises
    ------
    ValueError
        If there is not one division for each layer, a layer cannot be divided so, or there is
        no such rank.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    check_divisions(layers, divisions)
    return tuple(cut_layer(la, d, workers, rank) for la, d in zip(layers, divisions, strict=True))


def join(kind: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return what the workers have together.

    Parameters
    ----------
    kind : "gather" puts the channels of all beside each other; "sum" adds, number by number.
    arrays : what each worker has, in the order of the workers, (n, channels, …).

    Raises
    ------
    ValueError
        If the kind is another one.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if kind not in ("gather", "sum"):
        raise ValueError(f'expected the exchange "gather" or "sum", got {kind!r}')
    return np.concatenate(arrays, axis=1) if kind == "gather" else np.sum(arrays, axis=0)


def converted(layers: Sequence[Layer], dtype: str) -> tuple[Layer, ...]:
    """Return layers whose weights and biases have another dtype, such as "float64".

    Taught in: notebooks/15_split_by_channels.ipynb
    """

    def numbers(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array.astype(dtype)

    return tuple(replace(la, weight=numbers(la.weight), bias=numbers(la.bias)) for la in layers)
