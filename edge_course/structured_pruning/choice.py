"""Which channels go and which stay: importance of whole groups, shares, and budgets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import ceil

import numpy as np
from torch import nn

from edge_course.pruning import importance
from edge_course.structured_pruning import cut, groups
from edge_course.structured_pruning.arithmetic import removal_order
from edge_course.structured_pruning.groups import Group
from edge_course.structured_pruning.trace import AXES


def group_importance(
    model: nn.Module,
    kind: str,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    *,
    seed: int = 0,
    shape: tuple[int, ...] | None = None,
) -> dict[str, np.ndarray]:
    """Return the importance of every channel of every group: of all that make it, together.

    Each convolution or dense layer that makes the channels, and each depthwise one that hands
    them on, has its own opinion (`importance.of_channels`). Each is divided by its sum over the
    channels, so that none speaks louder than the others, and they are averaged. What comes out
    is a channel's share of its group's importance: the more channels a group has, the smaller.

    Parameters
    ----------
    model : in evaluation mode, as `groups.channel_groups` takes it.
    kind : "magnitude", "activation", "zeros", "taylor" or "random".
    images : float32 (n, height, width, channels); not needed for "magnitude" and "random".
    labels : integer classes (n,); needed for "taylor".
    seed : of "random".
    shape : of one input, (channels, height, width) or (features,); if left out that of the
        images; needed where there are none.

    Returns
    -------
    dict[str, np.ndarray]
        Name of the group → float64 (channels,), at least 0, with the sum 1 (or all 0).

    Raises
    ------
    ValueError
        If the network is not understood, the images are of another shape or left out with the
        shape, or what `importance.of_channels` refuses.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    importances: dict[str, np.ndarray] = {}
    prunable = list(importance.layers(model))
    for name, group in groups.channel_groups(model, shape=_input_shape(images, shape)).items():
        opinions = []
        for layer in group.layers("makes", "each"):
            if layer not in prunable:  # a normalisation
                continue
            other = len(prunable) * seed + prunable.index(layer)  # random anew for each layer
            score = importance.of_channels(model, layer, kind, images, labels, seed=other)
            score = _of_group(score, layer, group)
            opinions.append(score / score.sum() if score.any() else score)
        importances[name] = np.mean(opinions, axis=0)
    return importances


def _input_shape(images: np.ndarray | None, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of one input, as it is given or as the images have it."""
    if np.ndim(images) != 4:  # there are none, or such as importance refuses
        if shape is None:
            raise ValueError(
                "without images nobody knows what the network takes: give the shape of one input, "
                "(channels, height, width) or (features,)"
            )
        return shape
    _, *places, channels = np.shape(images)
    if shape not in (None, (channels, *places)):
        raise ValueError(
            f"expected images (n, {', '.join(map(str, (*shape[1:], shape[0])))}) for inputs of the "
            f"shape {shape}, got {np.shape(images)}"
        )
    return channels, *places


def _of_group(score: np.ndarray, layer: str, group: Group) -> np.ndarray:
    """Return the scores of one group's channels: several entries for each are added up."""
    total = np.zeros(group.channels)
    for member in group.members:
        if member.layer == layer and member.role != "reads":
            part = score[member.first : member.first + group.channels * member.width]
            # (channels · width,) → (channels, width) → (channels,)
            total += part.reshape(group.channels, member.width).sum(axis=1)
    return total


def keep_share(
    importances: Mapping[str, np.ndarray], share: float, *, multiple: int = 1
) -> dict[str, np.ndarray]:
    """Return the most important channels of each group: the same share of every group.

    Parameters
    ----------
    importances : name of a group → importance of its channels, real numbers (channels,).
    share : of the channels that stay, above 0 and at most 1.
    multiple : the number of channels that stay is rounded to a multiple of this, at least one,
        if the group has so many.

    Returns
    -------
    dict[str, np.ndarray]
        Name of the group → the channels that stay, int64 (k,), in their old order; of equally
        important ones the first.

    Raises
    ------
    ValueError
        If the share or the multiple is not as above, or an importance is not finite.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share to keep above 0 and at most 1, got {share}")
    if multiple < 1:
        raise ValueError(f"expected a multiple of at least 1, got {multiple}")
    kept = {}
    for name, scores in _finite(importances).items():
        count = max(1, round(share * len(scores) / multiple)) * multiple
        kept[name] = np.sort(np.argsort(-scores, kind="stable")[:count])
    return kept


def keep_macs(
    model: nn.Module,
    importances: Mapping[str, np.ndarray],
    share: float,
    *,
    least: float = 0.25,
    shape: tuple[int, ...],
) -> dict[str, np.ndarray]:
    """Return the channels that stay when those go first that matter least for what they cost.

    All groups compete, see `arithmetic.removal_order`; the cost is that of
    `Cost.of_channel`. Channels go until at most the share of the multiply-accumulates is left.
    Importance and cost are those in the whole network. They say too little about the last
    channels of a group, through which all has to pass: some of each group stay in any case.

    Parameters
    ----------
    model : as `groups.channel_groups` takes it.
    importances : name of a group → importance of its channels, real numbers (channels,), to be
        compared with those of other groups. Groups that are left out keep all channels.
    share : of the multiply-accumulates, above 0 and at most 1.
    least : the share of each group's channels, rounded up, that stays; from 0 to 1.
    shape : of one input, (channels, height, width) or (features,).

    Returns
    -------
    dict[str, np.ndarray]
        Name of the group → the channels that stay, int64 (k,), in their old order; at least one.

    Raises
    ------
    ValueError
        If the share is not as above or cannot be reached, or the importances do not fit.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share to keep above 0 and at most 1, got {share}")
    if not 0 <= least <= 1:
        raise ValueError(f"expected a least share of each group from 0 to 1, got {least}")
    scores, cost = _finite(importances), ChannelCost(model, shape=shape)
    for name, values in scores.items():
        if len(values) != (expected := cost.channels(name)):
            raise ValueError(f"{name} has {expected} channels, got {len(values)} importances")
    order = _least_important_first(scores, cost, least)

    def kept(gone: int) -> dict[str, np.ndarray]:
        stays = {name: np.ones(len(values), bool) for name, values in scores.items()}
        for name, channel in order[:gone]:
            stays[name][channel] = False
        return {name: np.flatnonzero(mask) for name, mask in stays.items()}

    def macs(gone: int) -> int:
        return cost.left({name: len(channels) for name, channels in kept(gone).items()})

    most = share * macs(0)
    if macs(len(order)) > most:
        raise ValueError(
            f"with the fewest channels allowed in each group, more than {share:.1%} of the "
            "multiply-accumulates remain: choose a larger share, or let least be smaller"
        )
    # The more are gone, the fewer multiply-accumulates: the first number that is few enough.
    return kept(bisect_left(range(len(order)), -most, key=lambda gone: -macs(gone)))


def _least_important_first(
    scores: Mapping[str, np.ndarray], cost: ChannelCost, least: float
) -> list[tuple[str, int]]:
    """Return all channels that may go, (group, channel), in the order in which they go."""
    sizes = [len(values) for values in scores.values()]
    places = [(name, channel) for name, values in scores.items() for channel in range(len(values))]
    order = removal_order(
        np.concatenate(list(scores.values())),
        np.repeat([cost.of_channel(name) for name in scores], sizes),
        np.repeat(np.arange(len(sizes)), sizes),
    )
    may_go = {
        name: len(values) - max(1, ceil(least * len(values))) for name, values in scores.items()
    }
    chosen = []
    for name, channel in (places[i] for i in order):
        if may_go[name]:
            may_go[name] -= 1
            chosen.append((name, channel))
    return chosen


class ChannelCost:
    """The multiply-accumulates of a network, whatever the sizes of its groups.

    A layer's are proportional to the channels that it makes and to those that it reads, so
    nothing has to be cut to know them.

    Parameters
    ----------
    model : as `groups.channel_groups` takes it.
    shape : of one input, (channels, height, width) or (features,).

    Raises
    ------
    ValueError
        If the network is not understood.

    Taught in: notebooks/11_structured_pruning.ipynb
    """

    def __init__(self, model: nn.Module, *, shape: tuple[int, ...]):
        self._macs = cut.layer_macs(model, shape=shape)
        self._groups, self._fixed = groups.dependencies(model, shape=shape)
        # Layer and axis → the groups that have entries there, with how many for each channel.
        self._axes: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for name, group in self._groups.items():
            for member in group.members:
                if member.layer in self._macs:
                    axis = self._axes.setdefault((member.layer, AXES[member.role]), [])
                    axis.append((name, member.width))

    def channels(self, name: str) -> int:
        """Return the channels of a group that can be cut; raise a ValueError if there is none."""
        self._check_groups([name])
        return self._groups[name].channels

    def _check_groups(self, names: Iterable[str]) -> None:
        known = [name for name in self._groups if name not in self._fixed]
        for name in names:
            if name not in known:
                raise ValueError(
                    f"there is no group {name!r} that can be cut; there is: {', '.join(known)}"
                )

    def left(self, counts: Mapping[str, int]) -> int:
        """Return the multiply-accumulates of one input.

        Parameters
        ----------
        counts : name of a group → how many of its channels stay; all, if left out.
        """
        self._check_groups(counts)
        macs = dict(self._macs)
        for (layer, _), parts in self._axes.items():
            whole = sum(self._groups[name].channels * width for name, width in parts)
            stays = sum(
                counts.get(name, self._groups[name].channels) * width for name, width in parts
            )
            macs[layer] = macs[layer] * stays // whole  # leaves no remainder
        return sum(macs.values())

    def of_channel(self, name: str) -> int:
        """Return what goes with one channel of a group, if only it goes."""
        return self.left({}) - self.left({name: self.channels(name) - 1})


def _finite(importances: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the importances as arrays, or say what is wrong with them."""
    scores = {name: np.asarray(values) for name, values in importances.items()}
    if not scores:
        raise ValueError("there are no importances: expected those of at least one group")
    for name, values in scores.items():
        if values.ndim != 1 or not len(values) or values.dtype.kind not in "iuf":
            raise ValueError(
                f"{name}: expected an importance for each channel, real numbers (channels,), "
                f"got {values.dtype} {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: an importance is NaN or infinite")
    return scores
