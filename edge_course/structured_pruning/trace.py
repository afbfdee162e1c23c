"""What every node of a traced network does to the channels that go through it.

The rules behind `groups`: which layers make, hand on and read which channels, and which
channels a sum ties. What is not known is refused.

A tensor's axis of channels is a row of segments, one behind another in a concatenation. A
segment has some entries for each unit of a dimension: what can only be cut as a whole, mostly
one filter of the layer that made it.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from math import gcd
from typing import NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional

from edge_course.networks.torch_graph import node_refusal
from edge_course.structured_pruning.sizes import RESHAPES, is_tensor, sizes_follow, tied_by_reshape

AXES = {"makes": 0, "each": 0, "reads": 1}  # role → axis of the weight along which it is cut

# What computes every number, or every channel, by itself, and leaves the channels as they are.
_BY_ITSELF = {
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Sigmoid,
    nn.Hardsigmoid, nn.Identity, nn.Dropout, nn.Dropout2d, torch.relu, torch.tanh, torch.sigmoid,
    functional.relu, functional.relu6, functional.silu, functional.gelu, functional.hardswish,
    functional.dropout, "relu", "tanh", "sigmoid", "contiguous",
}  # fmt: skip
_POOLS = {
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, functional.max_pool2d,
    functional.avg_pool2d, functional.adaptive_avg_pool2d,
}  # fmt: skip
_ENTRY_BY_ENTRY = {
    operator.add, operator.iadd, operator.sub, operator.mul, operator.imul, torch.add, torch.sub,
    torch.mul, "add", "add_", "sub", "mul", "mul_", "expand_as",
}  # fmt: skip
_APART = {
    torch.chunk, torch.split, torch.tensor_split, torch.unbind, "chunk", "split", "tensor_split",
    "unbind",
}  # fmt: skip
_CONCATENATE = {torch.cat, torch.concat}
_NORMS = {nn.BatchNorm1d, nn.BatchNorm2d}


class Segment(NamedTuple):
    """Some entries of a tensor's axis of channels: as many for each unit of a dimension."""

    dimension: int
    entries: int


class Axis(NamedTuple):
    """Some entries of one axis of a layer: a `groups.Member`, as long as units are not known."""

    layer: str
    role: str
    first: int
    segment: Segment


class Walk:
    """Goes through a graph node by node and notes whose channels are whose.

    Parameters
    ----------
    modules : name → layer of the network.

    Attributes
    ----------
    units : into how many parts each dimension can be cut; those of tied ones into fewer.
    ties : pairs of dimensions that have to be cut alike.
    axes : what layers have for the channels, in the order of the computation.
    fixed : dimensions that are never cut: the network's input and output.
    """

    def __init__(self, modules: Mapping[str, nn.Module]):
        self.modules = modules
        self.units: list[int] = []
        self.ties: list[tuple[int, int]] = []
        self.axes: list[Axis] = []
        self.fixed: list[int] = []
        self.segments: dict[fx.Node, tuple[Segment, ...]] = {}
        self.seen: dict[nn.Module, tuple[tuple[Segment, ...], tuple[Segment, ...]]] = {}
        self.weights: dict[nn.Parameter, str] = {}

    def visit(self, node: fx.Node) -> None:
        """Note what a node does to the channels; refuse it if that is not known."""
        if node.op == "output":
            if not isinstance(node.args[0], fx.Node):
                raise node_refusal(node, "expected a network with one output")
            self.fixed += [s.dimension for s in self.segments[node.args[0]]]
            return
        if node.meta["is_size"]:  # looked at where it is used
            return
        if not is_tensor(node):
            raise node_refusal(node, _TAKEN_APART if node.target in _APART else _UNKNOWN)
        self.segments[node] = segments = self.through(node)
        shape = node.meta["shape"]
        if sum(s.entries for s in segments) != shape[1]:
            raise node_refusal(node, f"its channels do not add up to the {shape[1]} it has")

    def through(self, node: fx.Node) -> tuple[Segment, ...]:
        """Return the segments of a node's output."""
        if node.op == "placeholder":
            if self.fixed:
                raise node_refusal(node, "expected a network with one input")
            segment = self.new(node.meta["shape"][1])
            self.fixed.append(segment.dimension)
            return (segment,)
        layer = self.modules.get(str(node.target)) if node.op == "call_module" else None
        kind = type(layer) if layer is not None else node.target
        inputs = [self.segments[n] for n in node.all_input_nodes if is_tensor(n)]
        if kind in RESHAPES and len(inputs) == 1:
            return self.reshaped(node, inputs[0])
        if not sizes_follow(node, self.modules):
            raise node_refusal(
                node, "it computes with a number of channels, which would be another"
            )
        if kind in _CONCATENATE:
            return self.concatenated(node)
        if kind in _ENTRY_BY_ENTRY and inputs:
            return self.combined(node, inputs)
        if len(inputs) != 1:
            raise node_refusal(node, _UNKNOWN)
        if kind in _BY_ITSELF:
            return inputs[0]
        if kind in _POOLS:
            _check_pictures(node)
            return inputs[0]
        if kind in (torch.mean, "mean"):
            _check_mean(node)
            return inputs[0]
        if layer is not None and kind in (nn.Conv2d, nn.Linear, *_NORMS):
            return self.layer(node, layer, inputs[0])
        raise node_refusal(node, _UNKNOWN)

    def new(self, channels: int) -> Segment:
        """Return channels that nobody had before."""
        self.units.append(channels)
        return Segment(len(self.units) - 1, channels)

    def reshaped(self, node: fx.Node, inputs: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """Channel after channel, each with some of its places: (n, c, …) → (n, c · entries, …)."""
        shape, made = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if len(made) < 2 or made[0] != shape[0] or made[1] % shape[1]:
            raise node_refusal(
                node,
                f"it turns {shape} into {made}: the channels (axis 1) have to stay where they are, "
                "or to be flattened, as torch.flatten(x, 1) does",
            )
        tied = tied_by_reshape(node, self.modules)
        if tied is None:
            raise node_refusal(
                node,
                f"it turns {shape} into {made}, but with another number of channels it would "
                "not do the same: write torch.flatten(x, 1), or sizes taken from x.shape in "
                "place of numbers",
            )
        for other in tied:
            self.tie(node, inputs, self.segments[other])
        each = made[1] // shape[1]
        return tuple(s._replace(entries=s.entries * each) for s in inputs)

    def combined(self, node: fx.Node, inputs: list[tuple[Segment, ...]]) -> tuple[Segment, ...]:
        """A sum or product, entry by entry: what is added up has to be cut alike."""
        shapes = [n.meta["shape"] for n in node.all_input_nodes if is_tensor(n)]
        if len({len(shape) for shape in shapes}) > 1:
            raise node_refusal(node, f"it combines the shapes {', '.join(map(str, shapes))}")
        for other in inputs[1:]:
            self.tie(node, inputs[0], other)
        return inputs[0]

    def tie(self, node: fx.Node, a: tuple[Segment, ...], b: tuple[Segment, ...]) -> None:
        """Note that two tensors have to be cut alike."""
        if [s.entries for s in a] != [s.entries for s in b]:
            raise node_refusal(
                node,
                f"it combines {_described(a)} with {_described(b)}: "
                "only as many channels, joined of as many parts, can be tied",
            )
        self.ties += [(s.dimension, t.dimension) for s, t in zip(a, b, strict=True)]

    def concatenated(self, node: fx.Node) -> tuple[Segment, ...]:
        """Tensors joined along their channels: one's stand behind the other's."""
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        dimensions = len(node.meta["shape"])
        if axis not in (1, 1 - dimensions):
            raise node_refusal(node, f"it joins along axis {axis}, only channels (axis 1) can be")
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
            raise node_refusal(
                node, "a dense layer is understood behind a flatten only, on (n, inputs)"
            )
        if isinstance(layer, nn.Conv2d):
            _check_pictures(node)
        if isinstance(layer, nn.Conv2d | nn.Linear) and getattr(layer, "groups", 1) == 1:
            outputs = (self.new(len(layer.weight)),)
            self.note(name, "reads", inputs)
            self.note(name, "makes", outputs)
        else:
            outputs = self.handed_on(node, layer, inputs)
            self.note(name, "each", outputs)
        self.seen[layer] = inputs, outputs
        return outputs

    def handed_on(
        self, node: fx.Node, layer: nn.Module, inputs: tuple[Segment, ...]
    ) -> tuple[Segment, ...]:
        """A normalisation treats each channel by itself, a grouped convolution each group.

        So its groups go as a whole, with all that they read and make. A depthwise convolution
        has a group for each channel.
        """
        groups = getattr(layer, "groups", None)
        if groups is None:  # a normalisation
            return inputs
        read, made = layer.in_channels // groups, layer.out_channels // groups  # of each group
        for dimension, entries in inputs:
            if entries % read:
                raise node_refusal(
                    node,
                    f"its groups of {read} channels lie across the seams of what was joined: "
                    f"{_described(inputs)}",
                )
            self.units[dimension] = gcd(self.units[dimension], entries // read)
        return tuple(s._replace(entries=s.entries // read * made) for s in inputs)

    def note(self, name: str, role: str, segments: tuple[Segment, ...]) -> None:
        """Note that one axis of a layer has entries for these channels, one after another."""
        first = 0
        for segment in segments:
            self.axes.append(Axis(name, role, first, segment))
            first += segment.entries

    def check_weights(self, node: fx.Node, layer: nn.Module) -> None:
        """Refuse weights that are computed from others, or that two layers share."""
        own = dict(layer.named_parameters(recurse=False))
        needed = set() if type(layer) in _NORMS else {"weight"}
        if not needed <= set(own) <= {"weight", "bias"}:
            raise node_refusal(node, f"expected the parameters weight and bias, got {sorted(own)}")
        for parameter in own.values():
            if self.weights.setdefault(parameter, str(node.target)) != str(node.target):
                raise node_refusal(node, f"it shares its weights with {self.weights[parameter]!r}")


_UNKNOWN = (
    "it is not understood, so nobody knows which channels depend on each other here; known are "
    "convolutions, dense layers, batch normalisation, pooling, activations, flatten, view and "
    "reshape, sums, products and concatenations"
)
_TAKEN_APART = (
    "it takes a tensor apart, and whose channels are in which part is not understood: let a "
    "layer of its own make each part"
)


def _described(segments: tuple[Segment, ...]) -> str:
    return " + ".join(f"{s.entries} channels" for s in segments)


def _check_pictures(node: fx.Node) -> None:
    """Refuse pooling of (n, c, l): PyTorch takes it for one picture, and pools the channels."""
    if len(node.meta["shape"]) != 4:
        raise node_refusal(node, "expected pictures (n, channels, height, width)")


def _check_mean(node: fx.Node) -> None:
    """Refuse a mean over pictures or channels."""
    shape = node.all_input_nodes[0].meta["shape"]
    axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    axes = [axes] if isinstance(axes, int) else list(axes or ())
    if not axes or {axis % len(shape) for axis in axes} & {0, 1}:
        raise node_refusal(node, f"a mean over the axes {axes}: expected height and width, 2 and 3")
