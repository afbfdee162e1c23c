"""A PyTorch network as the operators that LiteRT would run: what `network` rounds one by one.

A converter makes one operator of a layer, the normalisation behind it and the activation behind
both; so does this. What has no such operator is refused, and the node is named.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import torch
from torch import fx, nn
from torch.nn import functional

from edge_course.networks.torch_graph import node_refusal, traced_graph
from edge_course.quantization_aware.windows import WindowSettings, conv_window, pair, pooling_window

# What is called as a function or a method, and the layer that does the same.
_AS_LAYER = {
    functional.relu: nn.ReLU, torch.relu: nn.ReLU, "relu": nn.ReLU,
    functional.relu6: nn.ReLU6, functional.hardswish: nn.Hardswish,
    functional.max_pool2d: nn.MaxPool2d, functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}  # fmt: skip
_IDENTITIES = {
    nn.Identity, nn.Dropout, nn.Dropout2d, functional.dropout, functional.dropout2d, "contiguous",
}  # fmt: skip
_FLATTEN = {nn.Flatten, torch.flatten, torch.reshape, "flatten", "view", "reshape"}
_SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_CONCATENATE = {torch.cat, torch.concat}
_MEANS = {torch.mean, "mean"}
_NORMS = {nn.BatchNorm1d: nn.Linear, nn.BatchNorm2d: nn.Conv2d}  # and the layer before it
_POOLS = {nn.MaxPool2d: "MAX_POOL_2D", nn.AvgPool2d: "AVERAGE_POOL_2D"}
_ACTIVATIONS = {nn.ReLU: "RELU", nn.ReLU6: "RELU6", nn.Hardswish: "HARD_SWISH"}
_WITH_WEIGHTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_FUSING = {*_WITH_WEIGHTS, *_POOLS.values(), "ADD"}  # can apply ReLU or ReLU6 themselves
FUSED = {nn.Identity: "NONE", nn.ReLU: "RELU", nn.ReLU6: "RELU6"}  # as LiteRT calls them


@dataclass
class TracedOperator:
    """One operator of a network.

    Attributes
    ----------
    kind : as LiteRT's schema calls it; "INPUT" and "FLATTEN" compute nothing.
    name : of its layer in the network, or of its node.
    inputs : the numbers of the operators that it reads, in the list of all.
    shape : of its output for one input: (channels, height, width) or (features,).
    layer : the convolution, dense layer or pooling.
    norm : the normalisation behind it, to be folded.
    activation : what it applies last: nn.Identity, nn.ReLU or nn.ReLU6.
    window : of a convolution or pooling.
    picture : channels, height and width of what was flattened to the features that it returns;
        None if it returns no such features, or their order does not depend on it.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    layer: nn.Module | None = None
    norm: nn.Module | None = None
    activation: nn.Module = field(default_factory=nn.Identity)
    window: WindowSettings | None = None
    picture: tuple[int, int, int] | None = None


def trace_operators(model: nn.Module, shape: tuple[int, ...]) -> list[TracedOperator]:
    """Return a network's operators in the order of computing: the input first, the output last.

    Parameters
    ----------
    model : one input and one output; see `network.QuantizedNetwork` for what may be in it.
    shape : of one input, (channels, height, width) or (features,).

    Raises
    ------
    ValueError
        If it is no network, cannot be traced, does not take that shape, or has something that
        has no operator; the message names the node.
    """
    graph = traced_graph(model, shape)
    walk = _Walk(dict(model.named_modules()))
    for node in list(graph.nodes):
        if walk.is_identity(node):
            node.replace_all_uses_with(node.all_input_nodes[0])
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)  # nobody reads it
    for node in graph.nodes:
        walk.visit(node)
    return walk.operators


class _Walk:
    """Goes through a graph node by node and collects the operators."""

    def __init__(self, modules: Mapping[str, nn.Module]):
        self.modules = modules
        self.operators: list[TracedOperator] = []
        self.numbers: dict[fx.Node, int] = {}  # of the operator whose output a node is
        self.computed: set[nn.Module] = set()

    def module(self, node: fx.Node) -> nn.Module | None:
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def kind(self, node: fx.Node) -> object:
        module = self.module(node)
        return node.target if module is None else type(module)

    def is_identity(self, node: fx.Node) -> bool:
        """Tell whether a node returns what it reads, when nothing is trained."""
        kind = self.kind(node)
        return kind in _IDENTITIES or (
            kind in _FLATTEN and node.meta["shape"] == node.all_input_nodes[0].meta["shape"]
        )

    def visit(self, node: fx.Node) -> None:
        """Add a node to the operators, or to the operator that it becomes part of."""
        shape = node.meta["shape"]
        if node.op == "output":
            if not isinstance(node.args[0], fx.Node) or shape is None or len(self.operators) < 2:
                raise node_refusal(node, "expected a network that computes one output")
        elif node.op == "placeholder":
            if self.operators:
                raise node_refusal(node, "expected a network with one input")
            if len(shape) not in (2, 4):
                raise node_refusal(node, f"expected 1 or 3 sizes of an input, got {shape[1:]}")
            self.add(node, "INPUT")
        elif node.meta["is_size"]:
            pass  # a view may need it
        elif shape is None:
            raise node_refusal(node, _UNKNOWN)
        elif not node.all_input_nodes:
            raise node_refusal(node, "it is no layer's output: only layers may have weights")
        else:
            self.compute(node)

    def compute(self, node: fx.Node) -> None:
        kind, layer = self.kind(node), self.module(node)
        if kind in _AS_LAYER:
            settings = {name: value for name, value in node.kwargs.items() if name != "input"}
            layer = _AS_LAYER[kind](*node.args[1:], **settings)
            kind = type(layer)
        _check_in_place(node, layer)
        if kind in (nn.Conv2d, nn.Linear):
            self.weighted(node, layer)
        elif kind in _NORMS:
            self.norm(node, layer)
        elif kind in _ACTIVATIONS:
            self.activation(node, layer)
        elif kind in _POOLS:
            window = pooling_window(node, layer)
            self.add(node, _POOLS[kind], layer=layer, window=window)
        elif kind is nn.AdaptiveAvgPool2d or kind in _MEANS:
            _check_mean(node, layer)
            self.add(node, "MEAN")
        elif kind in _FLATTEN:
            self.flatten(node)
        elif kind in _SUMS:
            self.sum(node)
        elif kind in _CONCATENATE:
            self.concatenation(node)
        else:
            raise node_refusal(node, _UNKNOWN)

    def add(self, node: fx.Node, kind: str, **settings: object) -> None:
        """Add an operator that reads what the node reads first, or ``reads``."""
        name = str(node.target) if node.op == "call_module" else node.name
        inputs = tuple(self.numbers[n] for n in settings.pop("reads", node.all_input_nodes[:1]))
        self.numbers[node] = len(self.operators)
        self.operators.append(
            TracedOperator(kind, name, inputs, node.meta["shape"][1:], **settings)
        )

    def before(self, node: fx.Node) -> tuple[TracedOperator, bool]:
        """Return the operator before a node, and whether no other node reads its numbers."""
        start = node.all_input_nodes[0]
        readers = [reader for reader in start.users if reader.meta["shape"] is not None]
        return self.operators[self.numbers[start]], len(readers) == 1

    def weighted(self, node: fx.Node, layer: nn.Conv2d | nn.Linear) -> None:
        if layer in self.computed:
            raise node_refusal(node, "it is computed twice; give each place a layer of its own")
        self.computed.add(layer)
        own = {name for name, _ in layer.named_parameters(recurse=False)}
        if "weight" not in own or own - {"weight", "bias"}:
            raise node_refusal(
                node,
                f"expected the parameters weight and bias, got {sorted(own)}; make what computes "
                "them permanent, as prune.remove does",
            )
        if isinstance(layer, nn.Linear):
            if len(node.meta["shape"]) != 2:
                raise node_refusal(node, "a dense layer takes (n, features): flatten before it")
            self.add(node, "FULLY_CONNECTED", layer=layer)
            return
        depthwise = 1 < layer.groups == layer.in_channels
        window = conv_window(node, layer)
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self.add(node, kind, layer=layer, window=window)

    def norm(self, node: fx.Node, norm: nn.Module) -> None:
        before, alone = self.before(node)
        if (
            not isinstance(before.layer, _NORMS[type(norm)])
            or before.norm is not None
            or not (alone and isinstance(before.activation, nn.Identity))
        ):
            raise node_refusal(
                node,
                "it can be folded only into a convolution or dense layer directly before it that "
                f"nothing else reads; before it is {before.name!r}",
            )
        if norm.weight is None or norm.running_mean is None:
            raise node_refusal(node, "expected a normalisation with γ, β and averages")
        before.norm = norm
        self.numbers[node] = self.numbers[node.all_input_nodes[0]]

    def activation(self, node: fx.Node, activation: nn.Module) -> None:
        before, alone = self.before(node)
        if not (type(activation) in FUSED and before.kind in _FUSING and alone):
            kind = _ACTIVATIONS[type(activation)]
            self.add(node, kind, layer=activation, picture=before.picture)
            return
        if not isinstance(before.activation, nn.ReLU6):  # ReLU of ReLU6 changes nothing
            before.activation = activation
        self.numbers[node] = self.numbers[node.all_input_nodes[0]]

    def flatten(self, node: fx.Node) -> None:
        shape, before = node.meta["shape"], self.before(node)[0]
        if shape != (2, prod(before.shape)):
            raise node_refusal(
                node, f"it turns (n, {before.shape}) into {shape}, expected (n, everything)"
            )
        places = prod(before.shape[1:])
        self.add(node, "FLATTEN", picture=before.shape if places > 1 else None)

    def sum(self, node: fx.Node) -> None:
        reads = [a for a in node.args if isinstance(a, fx.Node)]
        if len(reads) != 2 or len(node.args) != 2 or node.kwargs:
            raise node_refusal(node, "expected a sum of two tensors, and nothing else")
        a, b = (self.operators[self.numbers[n]] for n in reads)
        if a.shape != b.shape or a.picture != b.picture:
            raise node_refusal(
                node, f"it adds {a.name!r} {a.shape} and {b.name!r} {b.shape}: expected one shape"
            )
        self.add(node, "ADD", reads=reads, picture=a.picture)

    def concatenation(self, node: fx.Node) -> None:
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        reads = node.args[0] if node.args else node.kwargs["tensors"]
        if axis not in (1, 1 - len(node.meta["shape"])):
            raise node_refusal(node, f"it joins along axis {axis}, only channels (axis 1) can be")
        if any(self.operators[self.numbers[n]].picture for n in reads):
            raise node_refusal(node, "it joins flattened pictures: join them before the flatten")
        self.add(node, "CONCATENATION", reads=reads)


_UNKNOWN = (
    "no operator is known that computes it with codes; known are Conv2d, Linear, BatchNorm1d and "
    "BatchNorm2d behind them, ReLU, ReLU6, Hardswish, MaxPool2d, AvgPool2d, the mean over height "
    "and width, sums of two tensors, concatenation of channels, flatten, Dropout and Identity"
)


def _check_in_place(node: fx.Node, layer: nn.Module | None) -> None:
    """Refuse to change numbers in place that somebody else reads."""
    in_place = node.target in (operator.iadd, "add_") or getattr(layer, "inplace", False)
    start = node.all_input_nodes[0]
    if in_place and len(start.users) > 1:
        raise node_refusal(
            node, f"it changes {start.name!r} in place, which others read too: leave inplace out"
        )


def _check_mean(node: fx.Node, pool: nn.AdaptiveAvgPool2d | None) -> None:
    """Refuse a mean over anything but height and width."""
    shape = node.all_input_nodes[0].meta["shape"]
    if pool is not None:
        if pair(pool.output_size) != (1, 1):
            raise node_refusal(node, f"it pools to {pool.output_size}, only 1 is one operator")
        return
    axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    axes = [axes] if isinstance(axes, int) else list(axes or ())
    if len(shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise node_refusal(node, f"a mean over the axes {axes}: expected height and width, 2 and 3")
