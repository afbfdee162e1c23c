"""Sizes that a traced network computes with: do they follow when channels are cut?

``x.view(x.size(0), -1)`` does, ``x.view(-1, 5408)`` does not: the number stands in the code.
So a node is computed again, for tensors with other numbers of channels. They have shapes, but
no content (PyTorch's "meta" device), and cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import torch
from torch import fx, nn

RESHAPES = {
    nn.Flatten, torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, "flatten", "view",
    "reshape", "squeeze", "unsqueeze",
}  # fmt: skip

_Modules = Mapping[str, nn.Module]
_BATCH = 3  # the network was traced with another one


def is_tensor(node: fx.Node) -> bool:
    """Tell whether a node of a graph that was run gives a tensor."""
    return node.meta["shape"] is not None


def with_other_channels(
    node: fx.Node, modules: _Modules, channels: Mapping[fx.Node, int], batch: int
) -> object:
    """Return what a node gives for a batch of another size, and tensors with other channels.

    Parameters
    ----------
    node : of a graph, whose nodes' ``meta["shape"]`` is the shape of their tensor, or None.
    modules : name → layer of the network.
    channels : how many the tensors have on which the node depends; left out: as they are.
    batch : how many inputs.
    """

    def value(n: fx.Node) -> object:
        if not is_tensor(n):
            return with_other_channels(n, modules, channels, batch)
        _, count, *places = n.meta["shape"]
        return torch.empty(batch, channels.get(n, count), *places, device="meta")

    args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
    if node.op == "call_module":
        return modules[node.target](*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    return node.target(*args, **kwargs)


def measured_tensors(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the tensors that a node takes, or whose sizes it computes with."""
    for n in node.all_input_nodes:
        if is_tensor(n):
            yield n
        else:
            yield from measured_tensors(n)


def sizes_follow(node: fx.Node, modules: _Modules) -> bool:
    """Tell whether the sizes that a node computes with stay as they are if channels are cut."""
    for size in node.all_input_nodes:
        if not is_tensor(size):
            more = {n: n.meta["shape"][1] + 1 for n in measured_tensors(size)}
            now, then = (with_other_channels(size, modules, c, _BATCH) for c in ({}, more))
            if now != then:
                return False
    return True


def tied_by_reshape(node: fx.Node, modules: _Modules) -> tuple[fx.Node, ...] | None:
    """Return the tensors that must have as many channels as what a node reshapes.

    Parameters
    ----------
    node : one of `RESHAPES`, (n, channels, …) → (n, entries, …): some entries for each channel,
        one channel after another.
    modules : name → layer of the network.

    Returns
    -------
    tuple of fx.Node or None
        ``c`` of ``y.view(n, c, 1, 1)`` may come from another tensor's shape; mostly there is
        none. None: it is right for no other number of channels.
    """
    x, *others = dict.fromkeys(measured_tensors(node))
    channels = x.meta["shape"][1]
    alike = tuple(n for n in others if n.meta["shape"][1] == channels)
    for tied in ((), alike):
        if all(_reshapes(node, modules, dict.fromkeys((x, *tied), c)) for c in (channels + 1, 1)):
            return tied
    return None


def _reshapes(node: fx.Node, modules: _Modules, channels: Mapping[fx.Node, int]) -> bool:
    """Tell whether a node gives each channel as many entries as in the network as it is."""
    x = next(iter(channels))
    entries = node.meta["shape"][1] // x.meta["shape"][1]  # of each channel
    try:
        made = with_other_channels(node, modules, channels, _BATCH).shape
    except (RuntimeError, IndexError, TypeError):  # it does not fit
        return False
    whole = _BATCH * channels[x] * prod(x.meta["shape"][2:])
    return made[:2] == (_BATCH, channels[x] * entries) and prod(made) == whole
