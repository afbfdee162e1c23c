"""Which channels of a PyTorch network depend on each other, and so can only go together.

A filter makes one channel. Whoever reads that channel has an input less when it goes; batch
normalisation and depthwise layers hand it on; and a sum ties the channels of all that it adds
up. The network is traced once, every tensor's channels get a number, and sums tie the
numbers. Fang et al. (2023), "DepGraph: Towards Any Structural Pruning".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx, nn

from edge_course.networks.torch_models import INPUT_SHAPE
from edge_course.networks.torch_training import evaluating, one_thread
from edge_course.structured_pruning.arithmetic import tied
from edge_course.structured_pruning.trace import Member, Walk


@dataclass(frozen=True)
class Group:
    """Channels that go together, wherever they are made, handed on and read.

    Attributes
    ----------
    name : the first layer that makes them.
    channels : how many there are.
    members : all axes that have entries for them, in the order of the computation.
    """

    name: str
    channels: int
    members: tuple[Member, ...]

    def layers(self, *roles: str) -> tuple[str, ...]:
        """Return the names of the layers with one of these roles, each once."""
        return tuple(dict.fromkeys(m.layer for m in self.members if m.role in roles))


def channel_groups(model: nn.Module, *, shape: tuple[int, ...] = INPUT_SHAPE) -> dict[str, Group]:
    """Return all groups of channels that can be cut, by name, in the order of the computation.

    The network's own input and its scores are in none: nobody could use it without them.

    Parameters
    ----------
    model : a network that `torch.fx` can trace, of convolutions (ordinary or depthwise), dense
        layers, batch normalisation, pooling, activations, flatten, sums, products and
        concatenations; one input and one output. It stays as it is.
    shape : of one input, (channels, height, width) or (features,).

    Raises
    ------
    ValueError
        If it is no network, cannot be traced, does not take that shape, or has something
        that is not understood; the message names the node.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    found, fixed = dependencies(model, shape=shape)
    return {name: group for name, group in found.items() if name not in fixed}


def dependencies(
    model: nn.Module, *, shape: tuple[int, ...] = INPUT_SHAPE
) -> tuple[dict[str, Group], set[str]]:
    """Return all groups, those that are never cut too, and the names of the latter.

    What no layer makes, the network's input, is called "input". See `channel_groups`.
    """
    with evaluating(model):
        graph = _traced(model, shape)
    walk = Walk(dict(model.named_modules()))
    for node in graph.nodes:
        walk.visit(node)
    labels = tied(len(walk.sizes), walk.ties).tolist()
    found, names = {}, {}
    for label in sorted(set(labels)):
        members = tuple(m for dimension, m in walk.members if labels[dimension] == label)
        names[label] = next((m.layer for m in members if m.role == "makes"), "input")
        found[names[label]] = Group(names[label], walk.sizes[label], members)
    return found, {names[labels[dimension]] for dimension in walk.fixed}


def _traced(model: nn.Module, shape: tuple[int, ...]) -> fx.Graph:
    """Return the network's graph; each node's ``meta`` has the shape of its tensor."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # whatever a model's own code raises
        raise ValueError(
            f"this network cannot be traced ({error}): its forward must do the same whatever "
            "the numbers are"
        ) from error
    try:
        with torch.no_grad(), one_thread():
            _Shapes(model, graph=graph).run(torch.zeros(2, *shape))
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the network does not take float32 inputs (n, {', '.join(map(str, shape))}): {reason}"
        ) from error
    return graph


class _Shapes(fx.Interpreter):
    """Runs a graph and notes the shape of every result."""

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        n.meta["shape"] = tuple(result.shape) if isinstance(result, torch.Tensor) else None
        return result
