"""Which channels of a PyTorch network depend on each other, and so can only go together.

A filter makes one channel. Whoever reads that channel has an input less when it goes; batch
normalisation and depthwise layers hand it on; a sum ties the channels of all that it adds up;
and a grouped convolution ties those of each of its groups. The network is traced once, every
tensor's channels get a number, and sums tie the numbers.
Fang et al. (2023), "DepGraph: Towards Any Structural Pruning".
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from torch import nn

from edge_course.networks.torch_graph import traced_graph
from edge_course.structured_pruning.arithmetic import tied
from edge_course.structured_pruning.trace import Walk


@dataclass(frozen=True)
class Member:
    """One axis of one layer that has an entry, or a block of entries, for each channel.

    Attributes
    ----------
    layer : the layer's name in the network: "block2.pointwise.conv".
    role : "makes": its filters or neurons make the channels; "each": it treats each channel by
        itself (batch normalisation, depthwise and grouped convolution); "reads": the channels
        are inputs.
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


@dataclass(frozen=True)
class Group:
    """Channels that go together, wherever they are made, handed on and read.

    Attributes
    ----------
    name : the first layer that makes them.
    channels : how many there are; behind a grouped convolution one is what a whole group takes.
    members : all axes that have entries for them, in the order of the computation.
    """

    name: str
    channels: int
    members: tuple[Member, ...]

    def layers(self, *roles: str) -> tuple[str, ...]:
        """Return the names of the layers with one of these roles, each once."""
        return tuple(dict.fromkeys(m.layer for m in self.members if m.role in roles))


def channel_groups(model: nn.Module, *, shape: tuple[int, ...]) -> dict[str, Group]:
    """Return all groups of channels that can be cut, by name, in the order of the computation.

    The network's own input and its scores are in none: nobody could use it without them.

    Parameters
    ----------
    model : a network that `torch.fx` can trace, of convolutions, dense layers, batch
        normalisation, pooling, activations, flatten, view and reshape, sums, products and
        concatenations; one input and one output. It stays as it is.
    shape : of one input, (channels, height, width) or (features,).

    Raises
    ------
    ValueError
        If it is no network, cannot be traced, does not take that shape, or has something
        that is not understood; the message names the node.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    every_group, fixed = dependencies(model, shape=shape)
    return {name: group for name, group in every_group.items() if name not in fixed}


def dependencies(model: nn.Module, *, shape: tuple[int, ...]) -> tuple[dict[str, Group], set[str]]:
    """Return all groups, those that are never cut too, and the names of the latter.

    What no layer makes, the network's input, is called "input". See `channel_groups`.
    """
    graph = traced_graph(model, shape)
    walk = Walk(dict(model.named_modules()))
    for node in graph.nodes:
        walk.visit(node)
    labels = tied(len(walk.units), walk.ties).tolist()
    channels: dict[int, int] = {}  # what can be cut everywhere
    for label, units in zip(labels, walk.units, strict=True):
        channels[label] = gcd(channels.get(label, 0), units)
    members: dict[int, list[Member]] = {label: [] for label in sorted(channels)}
    for layer, role, first, (dimension, entries) in walk.axes:
        label = labels[dimension]
        members[label].append(Member(layer, role, first, entries // channels[label]))
    names = {
        label: next((m.layer for m in some if m.role == "makes"), "input")
        for label, some in members.items()
    }
    every_group = {
        names[label]: Group(names[label], channels[label], tuple(some))
        for label, some in members.items()
    }
    return every_group, {names[labels[dimension]] for dimension in walk.fixed}
