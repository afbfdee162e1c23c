"""Cutting channels for real: a smaller dense network, with no zeros and no masks in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from edge_course import measure
from edge_course.networks.torch_graph import traced_graph
from edge_course.networks.torch_training import as_tensor, evaluating, one_thread, taking
from edge_course.structured_pruning.arithmetic import checked_kept, flattened_columns
from edge_course.structured_pruning.groups import Group, channel_groups
from edge_course.structured_pruning.trace import AXES

_NORMS = nn.BatchNorm1d, nn.BatchNorm2d
Kept = Mapping[str, Sequence[int] | np.ndarray]


def cut_channels(model: nn.Module, kept: Kept, *, shape: tuple[int, ...]) -> nn.Module:
    """Return a smaller network that has only some channels of some groups.

    Weights, biases and normalisations lose what belongs to the other channels, whoever makes,
    hands on or reads them. All channels in another order give the same network, reordered.

    Parameters
    ----------
    model : a network as `groups.channel_groups` takes it; it stays as it is.
    kept : name of a group → the channels that stay, integers (k,), in the order in which they
        shall stand. Groups that are left out keep all.
    shape : of one input, (channels, height, width) or (features,).

    Returns
    -------
    nn.Module
        A copy of the same class, in the same mode.

    Raises
    ------
    ValueError
        If the network is not understood, there is no such group, or a kept channel is not
        there or stands twice.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    groups = channel_groups(model, shape=shape)
    kept = _checked(kept, groups)
    entries: dict[tuple[str, int], list[tuple[int, int, np.ndarray]]] = {}
    for name, channels in kept.items():
        for member in groups[name].members:
            last = member.first + groups[name].channels * member.width
            chosen = member.first + flattened_columns(channels, member.width)
            axis = entries.setdefault((member.layer, AXES[member.role]), [])
            axis.append((member.first, last, chosen))
    small = copy.deepcopy(model)
    for (layer, axis), parts in entries.items():
        _select(small.get_submodule(layer), axis, parts)
    _check_same_steps(model, small, shape)
    return small


def _check_same_steps(model: nn.Module, small: nn.Module, shape: tuple[int, ...]) -> None:
    """Refuse a network that goes another way when it is smaller: ``if conv.in_channels == 8:``."""
    before, after = (
        [(node.op, node.target) for node in traced_graph(network, shape).nodes]
        for network in (model, small)
    )
    if before != after:
        raise ValueError(
            "with fewer channels this network computes other steps: its forward asks for the "
            "sizes of its layers; decide in __init__ what it does, and keep that in an attribute"
        )


def _checked(kept: Kept, groups: Mapping[str, Group]) -> dict[str, np.ndarray]:
    unknown = sorted(set(kept) - set(groups))
    if unknown:
        raise ValueError(
            f"there is no group of channels {unknown[0]!r} that can be cut; "
            f"there is: {', '.join(groups)}"
        )
    return {name: checked_kept(c, groups[name].channels, name) for name, c in kept.items()}


def _select(layer: nn.Module, axis: int, parts: list[tuple[int, int, np.ndarray]]) -> None:
    """Keep some entries of one axis: those chosen of each part, and all that are in no part."""
    index = np.arange(layer.weight.shape[1] if axis else _entries(layer))
    for first, last, chosen in sorted(parts, key=lambda part: part[0], reverse=True):
        index = np.concatenate([index[:first], chosen, index[last:]])
    selected = torch.from_numpy(index)
    made = layer.out_channels // layer.groups if isinstance(layer, nn.Conv2d) else 1  # of a group
    for store in (layer._parameters, layer._buffers):
        for name, tensor in store.items():
            if tensor is None or tensor.ndim <= axis:  # no bias; the number of batches seen
                continue
            new = tensor.detach().index_select(axis, selected)
            if isinstance(tensor, nn.Parameter):
                new = nn.Parameter(new, requires_grad=tensor.requires_grad)
            store[name] = new
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Conv2d):
        layer.out_channels, read = layer.weight.shape[:2]  # read: by each group
        if layer.groups > 1:
            layer.groups = layer.out_channels // made
        layer.in_channels = layer.groups * read
    else:
        layer.num_features = len(index)


def _entries(layer: nn.Module) -> int:
    """Return the entries of the axis of a layer's own channels; a norm may have no weight."""
    return layer.num_features if layer.weight is None else len(layer.weight)


def refresh_averages(model: nn.Module, images: np.ndarray, *, batch: int = 500) -> nn.Module:
    """Return a copy whose normalisations have averages of what they see now; no weight changes.

    Batch normalisation subtracts a mean and divides by a spread that were averaged in
    training. Where channels before it are gone, its inputs have others. Li et al. (2020),
    "EagleEye: Fast Sub-net Evaluation for Efficient Neural Network Pruning".

    Parameters
    ----------
    model : in evaluation mode; without batch normalisation, the copy computes the same.
    images : training pictures, float32 (n, height, width, channels).
    batch : pictures at a time; each batch counts the same.

    Raises
    ------
    ValueError
        If the model is in training mode, or the pictures are of another shape or dtype.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    if model.training:
        raise ValueError("the model is in training mode: call eval() when it is trained")
    fresh = copy.deepcopy(model)
    norms = [layer for layer in fresh.modules() if isinstance(layer, _NORMS)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average of all batches
        norm.train()
    with torch.no_grad(), one_thread():
        for part in as_tensor(images, fresh).split(batch):
            with taking(part):
                fresh(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return fresh.eval()


def layer_macs(model: nn.Module, *, shape: tuple[int, ...]) -> dict[str, int]:
    """Return the multiply-accumulates of one input in each convolution and dense layer.

    Batch normalisation is not counted: it is folded into a convolution before the network
    is shipped. Nor are activations, pooling and sums, which multiply little or nothing.

    Parameters
    ----------
    model : with layers that are `nn.Conv2d` or `nn.Linear`; called once each.
    shape : of one input, (channels, height, width) or (features,).

    Returns
    -------
    dict[str, int]
        Name of the layer → multiply-accumulates, in the order of the computation.

    Raises
    ------
    ValueError
        If it is no network, does not take that shape, or has another layer with weights.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    counts: dict[str, int] = {}

    def hook(name: str) -> Callable:
        def count(layer: nn.Module, _: tuple, y: torch.Tensor) -> None:
            if isinstance(layer, nn.Linear):
                rows = y.numel() // layer.out_features
                one = rows * measure.dense_macs(layer.in_features, layer.out_features)
            else:
                _, channels, height, width = y.shape
                size = height, width, channels
                one = measure.conv_macs(size, layer.kernel_size, layer.in_channels, layer.groups)
            counts[name] = counts.get(name, 0) + one

        return count

    handles = []
    try:
        with evaluating(model), torch.no_grad(), one_thread():
            for name, layer in model.named_modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    handles.append(layer.register_forward_hook(hook(name)))
                elif list(layer.parameters(recurse=False)) and not isinstance(layer, _NORMS):
                    raise ValueError(f"cannot count the layer {name!r}, a {type(layer).__name__}")
            model(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ValueError(
            f"the network does not take float32 inputs {(1, *shape)}: {error}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return counts
