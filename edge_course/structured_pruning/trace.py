"""What every node of a traced network does to the channels that go through it.

The rules behind `groups`: which layers make, hand on and read which channels, and which
channels a sum ties. What is not known is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional

AXES = {"makes": 0, "each": 0, "reads": 1}  # of the weight along which a channel is cut

# What computes every number, or every channel, by itself, and leaves the channels as they are.
_BY_ITSELF = {
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Sigmoid,
    nn.Hardsigmoid, nn.Identity, nn.Dropout, nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
    torch.relu, torch.tanh, torch.sigmoid, functional.relu, functional.relu6, functional.silu,
    functional.gelu, functional.hardswish, functional.dropout, functional.max_pool2d,
    functional.avg_pool2d, functional.adaptive_avg_pool2d, "relu", "tanh", "sigmoid", "contiguous",
}  # fmt: skip
_ENTRY_BY_ENTRY = {
    operator.add, operator.iadd, operator.sub, operator.mul, operator.imul, torch.add, torch.sub,
    torch.mul, "add", "add_", "sub", "mul", "mul_",
}  # fmt: skip
_FLATTEN = {nn.Flatten, torch.flatten, "flatten"}
_CONCATENATE = {torch.cat, torch.concat}
_NORMS = {nn.BatchNorm1d, nn.BatchNorm2d}


@dataclass(frozen=True)
class Member:
    """One axis of one layer that has an entry, or a block of entries, for each channel.

    Attributes
    ----------
    layer : the layer's name in the network: "block2.pointwise.conv".
    role : "makes": its filters or neurons make the channels; "each": it treats each channel by
        itself (batch normalisation, depthwise convolution); "reads": the channels are inputs.
    first : the axis' entry where the first channel begins; not 0 behind a concatenation.
    width : entries for each channel: height · width of what was flattened, mostly 1.
    """

    layer: str
    role: str
    first: int = 0
    width: int = 1

    def __str__(self) -> str:
        block = f" ({self.width} entries each)" if self.width > 1 else ""
        return f"{self.role} {self.layer}{block}"


class Segment(NamedTuple):
    """Some entries of a tensor's axis of channels.

    Attributes
    ----------
    dimension : the number that these channels go by.
    channels : how many there are.
    width : entries for each channel.
    """

    dimension: int
    channels: int
    width: int


class Walk:
    """Goes through a graph node by node and notes whose channels are whose.

    Parameters
    ----------
    modules : name → layer of the network.

    Attributes
    ----------
    sizes : channels of each dimension.
    ties : pairs of dimensions that have to be cut alike.
    members : dimension and the axis that has entries for it.
    fixed : dimensions that are never cut: the network's input and output.
    """

    def __init__(self, modules: Mapping[str, nn.Module]):
        self.modules = modules
        self.sizes: list[int] = []
        self.ties: list[tuple[int, int]] = []
        self.members: list[tuple[int, Member]] = []
        self.fixed: list[int] = []
        self.segments: dict[fx.Node, tuple[Segment, ...]] = {}
        self.seen: dict[nn.Module, tuple[tuple[Segment, ...], tuple[Segment, ...]]] = {}
        self.weights: dict[nn.Parameter, str] = {}

    def visit(self, node: fx.Node) -> None:
        """Note what a node does to the channels; refuse it if that is not known."""
        if node.op == "output":
            if not isinstance(node.args[0], fx.Node):
                raise _refusal(node, "expected a network with one output")
            self.fixed += [s.dimension for s in self.segments[node.args[0]]]
            return
        shape = node.meta["shape"]
        if shape is None:
            raise _refusal(node, "it does not return a tensor")
        self.segments[node] = segments = self.through(node)
        if sum(s.channels * s.width for s in segments) != shape[1]:
            raise _refusal(node, f"its channels do not add up to the {shape[1]} it has")

    def through(self, node: fx.Node) -> tuple[Segment, ...]:
        """Return the segments of a node's output."""
        if node.op == "placeholder":
            if self.fixed:
                raise _refusal(node, "expected a network with one input")
            segment = self.new(node.meta["shape"][1])
            self.fixed.append(segment.dimension)
            return (segment,)
        layer = self.modules.get(str(node.target)) if node.op == "call_module" else None
        kind = type(layer) if layer is not None else node.target
        if kind in _CONCATENATE:
            return self.concatenated(node)
        inputs = [self.segments[n] for n in node.all_input_nodes]
        if kind in _ENTRY_BY_ENTRY and inputs:
            return self.combined(node, inputs)
        if len(inputs) != 1:
            raise _refusal(node, _UNKNOWN)
        if kind in _BY_ITSELF:
            return inputs[0]
        if kind in _FLATTEN:
            return _flattened(node, inputs[0])
        if kind in (torch.mean, "mean"):
            return _averaged(node, inputs[0])
        if layer is not None and kind in (nn.Conv2d, nn.Linear, *_NORMS):
            return self.layer(node, layer, inputs[0])
        raise _refusal(node, _UNKNOWN)

    def new(self, channels: int) -> Segment:
        """Return channels that nobody had before."""
        self.sizes.append(channels)
        return Segment(len(self.sizes) - 1, channels, 1)

    def combined(self, node: fx.Node, inputs: list[tuple[Segment, ...]]) -> tuple[Segment, ...]:
        """A sum or product, entry by entry: what is added up has to be cut alike."""
        shapes = [n.meta["shape"] for n in node.all_input_nodes]
        if len({len(shape) for shape in shapes}) > 1:
            raise _refusal(node, f"it combines the shapes {', '.join(map(str, shapes))}")
        for other in inputs[1:]:
            self.tie(node, inputs[0], other)
        return inputs[0]

    def tie(self, node: fx.Node, a: tuple[Segment, ...], b: tuple[Segment, ...]) -> None:
        """Note that two tensors have to be cut alike."""
        if [s[1:] for s in a] != [s[1:] for s in b]:
            raise _refusal(
                node,
                f"it combines {_described(a)} with {_described(b)}: "
                "only channels of the same kind and number can be tied",
            )
        self.ties += [(s.dimension, t.dimension) for s, t in zip(a, b, strict=True)]

    def concatenated(self, node: fx.Node) -> tuple[Segment, ...]:
        """Tensors joined along their channels: one's stand behind the other's."""
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        dimensions = len(node.meta["shape"])
        if axis not in (1, 1 - dimensions):
            raise _refusal(node, f"it joins along axis {axis}, only channels (axis 1) can be")
        parts = node.args[0] if node.args else node.kwargs["tensors"]
        return tuple(segment for part in parts for segment in self.segments[part])

    def layer(
        self, node: fx.Node, layer: nn.Module, inputs: tuple[Segment, ...]
    ) -> tuple[Segment, ...]:
        """A layer with weights: it makes and reads channels, or treats each by itself."""
        if layer in self.seen:  # called again with the same weights
            self.tie(node, self.seen[layer][0], inputs)
            return self.seen[layer][1]
        name = str(node.target)
        self.check_weights(node, layer)
        if isinstance(layer, nn.Linear) and len(node.meta["shape"]) != 2:
            raise _refusal(
                node, "a dense layer is understood behind a flatten only, on (n, inputs)"
            )
        if isinstance(layer, nn.Conv2d) and len(node.meta["shape"]) != 4:
            raise _refusal(node, "expected pictures (n, channels, height, width)")
        if type(layer) in _NORMS or is_depthwise(layer):
            # A depthwise layer can make several channels of each: a block of entries more.
            factor = 1 if type(layer) in _NORMS else layer.out_channels // layer.in_channels
            outputs = tuple(s._replace(width=s.width * factor) for s in inputs)
            self.note(name, "each", outputs)
        elif getattr(layer, "groups", 1) > 1:
            raise _refusal(
                node,
                f"{layer.in_channels} channels in {layer.groups} groups: only groups of one "
                "channel (depthwise) are understood",
            )
        else:
            outputs = (self.new(len(layer.weight)),)
            self.note(name, "reads", inputs)
            self.note(name, "makes", outputs)
        self.seen[layer] = inputs, outputs
        return outputs

    def note(self, name: str, role: str, segments: tuple[Segment, ...]) -> None:
        """Note that one axis of a layer has entries for these channels, one after another."""
        first = 0
        for dimension, channels, width in segments:
            self.members.append((dimension, Member(name, role, first, width)))
            first += channels * width

    def check_weights(self, node: fx.Node, layer: nn.Module) -> None:
        """Refuse weights that are computed from others, or that two layers share."""
        own = dict(layer.named_parameters(recurse=False))
        needed = set() if type(layer) in _NORMS else {"weight"}
        if not needed <= set(own) <= {"weight", "bias"}:
            raise _refusal(node, f"expected the parameters weight and bias, got {sorted(own)}")
        for parameter in own.values():
            if self.weights.setdefault(parameter, str(node.target)) != str(node.target):
                raise _refusal(node, f"it shares its weights with {self.weights[parameter]!r}")


_UNKNOWN = (
    "it is not understood, so nobody knows which channels depend on each other here; known are "
    "convolutions, dense layers, batch normalisation, pooling, activations, flatten, sums, "
    "products and concatenations"
)


def is_depthwise(layer: nn.Module) -> bool:
    """Tell whether a layer is a convolution that treats each channel by itself."""
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels


def _refusal(node: fx.Node, why: str) -> ValueError:
    what = {"call_module": "layer", "call_method": "method"}.get(node.op, node.op)
    target = getattr(node.target, "__name__", node.target)
    return ValueError(f"node {node.name!r} ({what} {target}): {why}")


def _described(segments: tuple[Segment, ...]) -> str:
    return " + ".join(
        f"{s.channels} channels" + (f" of {s.width} entries" if s.width > 1 else "")
        for s in segments
    )


def _flattened(node: fx.Node, inputs: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Channel after channel, each with all its places: (n, c, h, w) → (n, c·h·w)."""
    shape = node.all_input_nodes[0].meta["shape"]
    made = node.meta["shape"]
    if made != (shape[0], prod(shape[1:])):
        raise _refusal(node, f"it turns {shape} into {made}, expected (n, everything)")
    places = prod(shape[2:])
    return tuple(s._replace(width=s.width * places) for s in inputs)


def _averaged(node: fx.Node, inputs: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The mean over height and width leaves the channels."""
    shape = node.all_input_nodes[0].meta["shape"]
    axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    axes = [axes] if isinstance(axes, int) else list(axes or ())
    if len(shape) != 4 or not axes or {axis % 4 for axis in axes} - {2, 3}:
        raise _refusal(node, f"a mean over the axes {axes}: expected height and width, 2 and 3")
    return inputs
