"""What the tests of structured pruning compute with PyTorch, in a process of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import prod
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from edge_course import fashion_mnist
from edge_course.networks import torch_models
from edge_course.structured_pruning import choice, cut, trace
from edge_course.structured_pruning.arithmetic import flattened_columns
from edge_course.structured_pruning.groups import channel_groups
from edge_course.structured_pruning.trace import Axis, Walk
from tests.support.prunable_networks import SHAPE, network


def kill(model: nn.Module, groups: dict, dead: dict[str, np.ndarray]) -> None:
    """Set all to 0 that makes some channels or hands them on."""
    with torch.no_grad():
        for name, channels in dead.items():
            for member in groups[name].members:
                if member.role == "reads":
                    continue
                layer = model.get_submodule(member.layer)
                for c in channels.tolist():
                    start = member.first + c * member.width
                    for parameter in layer.parameters():
                        parameter[start : start + member.width] = 0


def pictures(seed: int) -> torch.Tensor:
    return torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(seed)) - 0.3


def difference(a: nn.Module, b: nn.Module, seed: int) -> float:
    """The largest difference of two networks' outputs, relative to outputs above 1."""
    with torch.no_grad():
        x = pictures(seed)
        expected, result = a(x), b(x)
    assert expected.shape == result.shape
    return float((expected - result).abs().max() / max(1.0, float(expected.abs().max())))


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def dead_channels(seed: int) -> dict[str, float | bool]:
    """Kill random channels of a random network, cut them, and look at what changed."""
    model, rng = network(seed), np.random.default_rng(seed)
    groups = channel_groups(model, shape=SHAPE)
    dead = {n: rng.permutation(g.channels)[: rng.integers(g.channels)] for n, g in groups.items()}
    kill(model, groups, dead)
    before = copy.deepcopy(model)
    importance = choice.group_importance(model, "magnitude", shape=SHAPE)
    alive = {n: np.setdiff1d(np.arange(g.channels), dead[n]) for n, g in groups.items()}
    shares = {n: choice.keep_share({n: importance[n]}, len(a) / groups[n].channels)[n]
              for n, a in alive.items()}  # fmt: skip
    small = cut.cut_channels(model, shares, shape=SHAPE)
    return {
        "importance finds them": all(np.array_equal(shares[n], a) for n, a in alive.items()),
        "difference": difference(model, small, seed),
        "and now": other_ways(seed, model, alive),
        "original unchanged": same(before, model),
        "sizes": channels_made(small, groups) == {n: {len(a)} for n, a in alive.items()},
        "macs": macs_are_right(model, small, alive),
        "dead": sum(map(len, dead.values())),
        "parameters": parameters(small) / parameters(model),
        "ties": any(len(g.layers("makes")) > 1 for g in groups.values()),
        "depthwise": any(1 < groups_of(m) == m.in_channels for m in model.modules()),
        "grouped": any(1 < groups_of(m) < m.in_channels for m in model.modules()),
    }


def other_ways(seed: int, model: nn.Module, alive: dict[str, np.ndarray]) -> tuple[str, float]:
    """Cut and reorder at once; or only reorder; or keep what is dead and one channel that lives."""
    way = ("cut and reordered", "reordered", "living channels cut")[seed % 3]
    rng, sizes = np.random.default_rng(seed), channel_groups(model, shape=SHAPE)
    if way == "cut and reordered":
        kept = {name: rng.permutation(channels) for name, channels in alive.items()}
    elif way == "reordered":
        model = network(seed)  # in which nothing is dead
        kept = {name: rng.permutation(group.channels) for name, group in sizes.items()}
    else:
        kept = {n: np.setdiff1d(np.arange(g.channels), alive[n][1:]) for n, g in sizes.items()}
    return way, difference(model, cut.cut_channels(model, kept, shape=SHAPE), seed)


def groups_of(layer: nn.Module) -> int:
    return getattr(layer, "groups", 1)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def channels_made(model: nn.Module, groups: dict) -> dict[str, set[int]]:
    """How many channels the layers that make a group really return, by running the network."""
    made: dict[str, set[int]] = {name: set() for name in groups}

    def look(name: str, entries: int) -> Callable:
        return lambda layer, x, y: made[name].add(y.shape[1] // entries)

    for name, group in groups.items():
        for member in group.members:
            if member.role == "makes":
                layer = model.get_submodule(member.layer)
                layer.register_forward_hook(look(name, member.width))
    with torch.no_grad():
        model(pictures(0))
    return made


def macs_are_right(model: nn.Module, small: nn.Module, kept: dict[str, np.ndarray]) -> bool:
    """PyTorch's own counter, ours by running, and ours by arithmetic before anything is cut."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        small(torch.zeros(1, *SHAPE))
    counted = sum(cut.layer_macs(small, shape=SHAPE).values())
    cost = choice.ChannelCost(model, shape=SHAPE)
    predicted = cost.left({name: len(channels) for name, channels in kept.items()})
    return counter.get_total_flops() == 2 * counted and counted == predicted


def random_networks(seeds: range) -> list[dict[str, float | bool]]:
    return [{"seed": seed, **dead_channels(seed)} for seed in seeds]


def right(result: dict) -> bool:
    """Whether nothing changed that should not."""
    way, changed = result["and now"]
    return (
        result["importance finds them"] and result["difference"] <= 1e-5
        and result["original unchanged"] and result["sizes"] and result["macs"]
        and (way == "living channels cut" or changed <= 1e-5)
    )  # fmt: skip


# Faults that the random networks have to find: name → object, attribute, what stands in its place.
FAULTS: dict[str, tuple[object, str, object]] = {
    "columns behind a flatten place after place": (
        cut, "flattened_columns",
        lambda kept, places: flattened_columns(kept, places).reshape(-1, places).T.ravel(),
    ),
    "columns behind a flatten begin one late": (
        cut, "flattened_columns",
        lambda kept, places: flattened_columns(kept, places) + (places > 1 and max(kept) == 0),
    ),
    "a sum ties nothing": (Walk, "tie", lambda self, node, a, b: None),
    "joined tensors begin at 0": (
        Walk, "note",
        lambda self, name, role, segments: self.axes.extend(
            Axis(name, role, 0, segment) for segment in segments
        ),
    ),
    "normalisations keep all": (
        Walk, "note",
        lambda self, name, role, segments: (
            hasattr(self.modules[name], "running_mean") or Walk_note(self, name, role, segments)
        ),
    ),
    "grouped convolutions keep all": (
        Walk, "note",
        lambda self, name, role, segments: (role == "each"
        and isinstance(self.modules[name], nn.Conv2d))
        or Walk_note(self, name, role, segments),
    ),
    "a group of channels is cut in two": (trace, "gcd", lambda a, b: a),
    "a group makes as much as it reads": (
        Walk, "handed_on", lambda self, node, layer, inputs: inputs,
    ),
    "one entry of each channel counts": (
        choice, "_of_group", lambda score, layer, group: score[: group.channels],
    ),
    "multiply-accumulates of a group read all": (
        cut.measure, "conv_macs",
        lambda size, kernel, inputs, groups=1: conv_macs(size, kernel, inputs),
    ),
}  # fmt: skip
Walk_note, conv_macs = Walk.note, cut.measure.conv_macs


def first_seed_that_finds(fault: str, seeds: range) -> int | None:
    """The first random network that is not right, or raises an error, with a fault in the code."""
    with mock.patch.object(*FAULTS[fault]):
        for seed in seeds:
            try:
                if not right(dead_channels(seed)):
                    return seed
            except (ValueError, RuntimeError, IndexError, AssertionError):
                return seed
    return None


def described(name: str) -> dict[str, tuple[int, list[str]]]:
    """The groups of one of the course's networks."""
    groups = channel_groups(getattr(torch_models, name)(), shape=torch_models.INPUT_SHAPE)
    return {n: (g.channels, [str(m) for m in g.members]) for n, g in groups.items()}


class Odd(nn.Module):
    """A small network with one odd thing in the middle: pictures (n, 4, 6, 6) → (n, 4)."""

    def __init__(self, odd: Callable, *layers: nn.Module):
        super().__init__()
        self.first, self.last = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.layers, self.odd = nn.ModuleList(layers), odd
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.last(self.odd(self, self.first(x))).mean((2, 3))


class TwoInputs(nn.Module):
    def forward(self, x, y=None):
        return x + y


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(4, 8, 1)

    def forward(self, x):
        return self.layer(x), x


def _shared() -> nn.Module:
    model = Odd(lambda m, x: m.layers[0](x), nn.Conv2d(8, 8, 1))
    model.layers.append(nn.Conv2d(8, 8, 1))
    model.layers[1].weight = model.layers[0].weight
    model.odd = lambda m, x: m.layers[1](m.layers[0](x))
    return model


def _masked() -> nn.Module:
    model = Odd(lambda m, x: m.layers[0](x), nn.Conv2d(8, 8, 1))
    prune.l1_unstructured(model.layers[0], "weight", amount=0.5)
    return model


class Flat(nn.Module):
    """A small network that flattens in its own way: pictures (n, 4, 6, 6) → (n, 4)."""

    def __init__(self, flatten: Callable):
        super().__init__()
        self.conv, self.dense, self.flatten = nn.Conv2d(4, 8, 1), nn.Linear(288, 4), flatten

    def forward(self, x):
        return self.dense(self.flatten(self.conv(x)))


class AsksForSizes(nn.Module):
    """Adds its input where the layer makes as many channels as it reads."""

    def __init__(self):
        super().__init__()
        self.first, self.layer = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = self.first(x)
        y = self.layer(x)
        return self.last(y.relu() if self.layer.in_channels == 8 else y).mean((2, 3))


REFUSED: dict[str, Callable[[], nn.Module]] = {
    "a number of features": lambda: Flat(lambda x: x.view(-1, 288)),
    "a number of features, reshaped": lambda: Flat(lambda x: torch.reshape(x, (len(x), 288))),
    "a number of pictures": lambda: Flat(lambda x: x.view(2, -1)),
    "channels behind places": lambda: Flat(lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1)),
    "fewer channels": lambda: Flat(lambda x: x.view(x.size(0), 4, -1).flatten(1)),
    "shuffled": lambda: Flat(lambda x: x.view(len(x), 2, 4, 36).transpose(1, 2).flatten(1)),
    "squeezed": lambda: Odd(lambda m, x: x.mean((2, 3), keepdim=True).squeeze()[..., None, None]),
    "chunks": lambda: Odd(lambda m, x: torch.cat(x.chunk(2, dim=1), 1)),
    "chunks by function": lambda: Odd(lambda m, x: torch.cat(torch.chunk(x, 2, 1), 1)),
    "a part": lambda: Odd(lambda m, x: torch.cat(x.split(4, 1), 1)),
    "a slice": lambda: Odd(lambda m, x: x[:, [1, 0, 2, 3, 4, 5, 6, 7]]),
    "counted place by place": lambda: Flat(lambda x: x.view(-1, prod(list(x.size()[1:])))),
    "a mean of all": lambda: Odd(lambda m, x: x - x.mean()),
    "times the number of channels": lambda: Odd(lambda m, x: x * x.size(1)),
    "pooled by channels": lambda: Odd(lambda m, x: functional.adaptive_avg_pool2d(x, x.shape[1])),
    "pooled in a row": lambda: Odd(
        lambda m, x: m.layers[0](x.flatten(2)).view(len(x), -1, 3, 6), nn.MaxPool2d((1, 2))
    ),
    "groups across a seam": lambda: Odd(
        lambda m, x: m.layers[2](torch.cat([m.layers[0](x), m.layers[1](x)], 1)),
        nn.Conv2d(8, 3, 1),
        nn.Conv2d(8, 5, 1),
        nn.Conv2d(8, 8, 1, groups=4),
    ),
    "transposed": lambda: Odd(lambda m, x: m.layers[0](x), nn.ConvTranspose2d(8, 8, 1)),
    "norm over channels": lambda: Odd(lambda m, x: m.layers[0](x), nn.GroupNorm(2, 8)),
    "learned slope": lambda: Odd(lambda m, x: m.layers[0](x), nn.PReLU(8)),
    "softmax": lambda: Odd(lambda m, x: functional.softmax(x, dim=1)),
    "another shape": lambda: Odd(lambda m, x: x.reshape(-1, 8, 12, 3)),
    "turned": lambda: Odd(lambda m, x: x.transpose(2, 3)),
    "a parameter": lambda: Odd(lambda m, x: m.factor * x),
    "mean over channels": lambda: Odd(lambda m, x: x - x.mean(1, keepdim=True)),
    "joined along the height": lambda: Odd(lambda m, x: torch.cat([x, x], dim=2)),
    "broadcast": lambda: Odd(lambda m, x: x * m.layers[0](x), nn.Conv2d(8, 1, 1)),
    "joined and added": lambda: Odd(
        lambda m, x: torch.cat([m.layers[0](x), m.layers[0](x)], 1) + x, nn.Conv2d(8, 4, 1)
    ),
    "flattened in part": lambda: Odd(lambda m, x: x.flatten(2)[..., None]),
    "a dense layer on pictures": lambda: Odd(lambda m, x: m.layers[0](x), nn.Linear(6, 6)),
    "shared weights": _shared,
    "masked weights": _masked,
    "it depends": lambda: Odd(lambda m, x: x if x.sum() > 0 else -x),
    "two inputs": TwoInputs,
    "two outputs": TwoOutputs,
    "another input": lambda: nn.Conv2d(3, 8, 1),
    "no network": lambda: "a network",
}


def refusal(name: str) -> str:
    """The message with which a network is refused."""
    model = REFUSED[name]()
    if isinstance(model, nn.Module):
        model.eval()
    try:
        channel_groups(model, shape=(4, 6, 6))
    except ValueError as error:
        return str(error)
    return ""


UNDERSTOOD: dict[str, Callable[[], nn.Module]] = {
    "groups": lambda: Odd(
        lambda m, x: m.layers[1](m.layers[0](x)),
        nn.Conv2d(8, 16, 3, padding=1, groups=4), nn.Conv2d(16, 8, 1),
    ),
    "groups of groups": lambda: Odd(
        lambda m, x: m.layers[1](m.layers[0](x)),
        nn.Conv2d(8, 16, 1, groups=8), nn.Conv2d(16, 8, 1, groups=4),
    ),
    "groups and a sum": lambda: Odd(
        lambda m, x: x + m.layers[0](x), nn.Conv2d(8, 8, 3, padding=1, groups=4)
    ),
    "joined in groups": lambda: Odd(
        lambda m, x: m.layers[0](torch.cat([x, x], 1)), nn.Conv2d(16, 8, 1, groups=8)
    ),
    "view": lambda: Flat(lambda x: x.view(x.size(0), -1)),
    "len": lambda: Flat(lambda x: x.reshape(len(x), -1)),
    "pooled by its size": lambda: Odd(
        lambda m, x: x * functional.avg_pool2d(x, x.size()[2:]).view(len(x), -1, 1, 1)
    ),
    "another tensor's size": lambda: Odd(
        lambda m, x: m.layers[0](x).view(len(x), x.size(1), 6, 6), nn.Conv2d(8, 8, 1)
    ),
    "functions": lambda: Odd(
        lambda m, x: functional.max_pool2d(functional.relu6(torch.relu(x)), 2) * 0.5 + 1
    ),
    "a mean": lambda: Odd(lambda m, x: x * torch.mean(x, (2, 3), keepdim=True)),
    "the same layer twice": lambda: Odd(
        lambda m, x: m.layers[0](m.layers[0](x)), nn.Conv2d(8, 8, 3, padding=1)
    ),
    "joined with itself": lambda: Odd(lambda m, x: m.layers[0](torch.cat([x, x], 1)),
                                      nn.Conv2d(16, 8, 1)),
    "joined with the input": lambda: nn.Sequential(_JoinsInput(), nn.Conv2d(12, 4, 1)),
    "methods": lambda: Odd(lambda m, x: x.relu().add(x).sigmoid()),
    "norm without numbers": lambda: Odd(
        lambda m, x: m.layers[0](x), nn.BatchNorm2d(8, affine=False)
    ),
    "norm of flattened": lambda: nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.Flatten(), nn.BatchNorm1d(128), nn.Dropout(), nn.Linear(128, 4)
    ),
}  # fmt: skip


class _JoinsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(4, 8, 1)

    def forward(self, x):
        return torch.cat([self.layer(x), x], dim=-3)


def understood(name: str) -> tuple[float, float]:
    """Outputs after reordering; and after cutting a channel that no layer behind looks at."""
    torch.manual_seed(0)
    model = UNDERSTOOD[name]().eval()
    groups = channel_groups(model, shape=(4, 6, 6))
    first = next(iter(groups))
    x = torch.rand(3, 4, 6, 6)
    order = {n: np.random.default_rng(1).permutation(g.channels) for n, g in groups.items()}
    with torch.no_grad():
        expected = model(x)
        reordered = cut.cut_channels(model, order, shape=(4, 6, 6))(x)
        for member in groups[first].members:
            if member.role == "reads":
                weight = model.get_submodule(member.layer).weight
                start = member.first + 3 * member.width
                weight[:, start : start + member.width] = 0
        unread = model(x)
        kept = np.delete(np.arange(groups[first].channels), 3)
        small = cut.cut_channels(model, {first: kept}, shape=(4, 6, 6))
        return float((expected - reordered).abs().max()), float((unread - small(x)).abs().max())


def cut_what_asks_for_sizes(kept: dict) -> None:
    cut.cut_channels(AsksForSizes().eval(), kept, shape=(4, 6, 6))


def units(name: str) -> dict[str, tuple[int, list[str]]]:
    """The groups of one of the networks that are understood."""
    groups = channel_groups(UNDERSTOOD[name]().eval(), shape=(4, 6, 6))
    return {n: (g.channels, [str(m) for m in g.members]) for n, g in groups.items()}


def importances_of_pictures(
    shape: tuple[int, ...], given: tuple[int, ...] | None = None, kind: str = "activation"
) -> dict[str, np.ndarray]:
    """Of a small network that takes other pictures than the course's; shape is the pictures'."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 8 * 10, 4))
    images = np.random.default_rng(0).random(shape, np.float32)
    return choice.group_importance(
        model.eval(), kind, images, np.arange(len(images)) % 4, shape=given
    )


def cut_seed_cnn(kept: dict) -> dict[str, tuple[int, ...]]:
    """Shapes of the seed CNN's parameters after cutting."""
    model = cut.cut_channels(torch_models.seed_cnn(), kept, shape=torch_models.INPUT_SHAPE)
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def by_hand(kept: list[int]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The seed CNN's weights, before and after cutting its convolution."""
    torch.manual_seed(1)
    model = torch_models.seed_cnn()
    small = cut.cut_channels(model, {"conv": kept}, shape=torch_models.INPUT_SHAPE)
    return tuple({n: p.detach().numpy() for n, p in m.named_parameters()} for m in (model, small))


def modes() -> list[bool]:
    """Whether a copy keeps mode, what is frozen and class, and the original its averages."""
    model = torch_models.depthwise_cnn().train()
    model.stem.conv.weight.requires_grad_(False)
    averages = model.stem.norm.running_mean.clone()
    small = cut.cut_channels(model, {"stem.conv": [1, 0]}, shape=torch_models.INPUT_SHAPE)
    with_gradient = small.block1.pointwise.conv.weight.requires_grad
    return [
        model.training and small.training and small.stem.norm.training,
        not small.stem.conv.weight.requires_grad and with_gradient,
        type(small) is type(model) and type(small.block1) is type(model.block1),
        torch.equal(averages, model.stem.norm.running_mean),
        not cut.cut_channels(model.eval(), {}, shape=torch_models.INPUT_SHAPE).training,
    ]


def cut_down_to_one_and_again() -> list[int]:
    """A depthwise CNN with one channel in each group still works, and can be looked at again."""
    model = torch_models.depthwise_cnn().eval()
    groups = channel_groups(model, shape=torch_models.INPUT_SHAPE)
    small = cut.cut_channels(model, {name: [3] for name in groups}, shape=torch_models.INPUT_SHAPE)
    again = channel_groups(small, shape=torch_models.INPUT_SHAPE)
    return [*small(torch.zeros(2, 1, 28, 28)).shape, *(g.channels for g in again.values())]


def importances(kind: str) -> dict[str, np.ndarray]:
    """Of the trained depthwise CNN, on a few pictures."""

    train = fashion_mnist.load("train")
    return choice.group_importance(
        torch_models.trained_depthwise_cnn(), kind,
        fashion_mnist.preprocess(train.images[:100]), train.labels[:100],
    )  # fmt: skip


def kept_macs(
    name: str, share: float, given: dict | None = None, least: float = 0.25
) -> tuple[dict, float]:
    """Which channels stay, and the share of the multiply-accumulates that really does."""
    model = getattr(torch_models, f"trained_{name}")()
    scores = (
        choice.group_importance(model, "magnitude", shape=torch_models.INPUT_SHAPE)
        if given is None
        else given
    )
    kept = choice.keep_macs(model, scores, share, least=least, shape=torch_models.INPUT_SHAPE)
    small = cut.cut_channels(model, kept, shape=torch_models.INPUT_SHAPE)
    total = sum(cut.layer_macs(model, shape=torch_models.INPUT_SHAPE).values())
    return kept, sum(cut.layer_macs(small, shape=torch_models.INPUT_SHAPE).values()) / total


def one_more_would_do(name: str, share: float) -> bool:
    """Whether the chosen network is the largest one of its order that fits."""
    model = getattr(torch_models, f"trained_{name}")()
    scores = choice.group_importance(model, "magnitude", shape=torch_models.INPUT_SHAPE)
    cost = choice.ChannelCost(model, shape=torch_models.INPUT_SHAPE)
    kept = choice.keep_macs(model, scores, share, shape=torch_models.INPUT_SHAPE)
    gone = [
        (scores[g][c] / cost.of_channel(g), g)
        for g, channels in kept.items()
        for c in np.setdiff1d(np.arange(len(scores[g])), channels)
    ]
    last = max(gone)[1]
    counts = {g: len(c) + (g == last) for g, c in kept.items()}
    return cost.left(counts) <= share * cost.left({})


def uncountable(kind: str) -> None:
    if kind == "layer":
        cut.layer_macs(nn.Sequential(nn.ConvTranspose2d(1, 2, 3)), shape=torch_models.INPUT_SHAPE)
    if kind == "shape":
        cut.layer_macs(torch_models.seed_cnn(), shape=(3, 28, 28))
    if kind == "network":
        cut.layer_macs("seed_cnn", shape=torch_models.INPUT_SHAPE)
    if kind == "no shape":
        choice.group_importance(torch_models.seed_cnn(), "magnitude")
    if kind == "group":
        choice.ChannelCost(torch_models.seed_cnn(), shape=torch_models.INPUT_SHAPE).left(
            {"scores": 3}
        )


def refreshed(training: bool = False) -> list[bool]:
    """Whether the averages are those of what a normalisation sees, and nothing else changed."""
    torch.manual_seed(0)
    model = torch_models.trained_depthwise_cnn().train(training)
    images = np.random.default_rng(0).random((40, 28, 28, 1), np.float32)
    before = copy.deepcopy(model)
    fresh = cut.refresh_averages(model, images, batch=20)
    with torch.no_grad():
        y = fresh.stem.conv(torch.from_numpy(images.transpose(0, 3, 1, 2)))
        parts = y.split(20)
        mean = torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0)
        variance = torch.stack([part.var((0, 2, 3)) for part in parts]).mean(0)
    weights = zip(model.parameters(), fresh.parameters(), strict=True)
    return [
        torch.allclose(fresh.stem.norm.running_mean, mean, atol=1e-6),
        torch.allclose(fresh.stem.norm.running_var, variance, rtol=1e-4),
        all(torch.equal(a, b) for a, b in weights),
        same(before, model),
        not any(layer.training for layer in fresh.modules()),
        fresh.stem.norm.momentum == model.stem.norm.momentum,
        same(torch_models.trained_seed_cnn(),
             cut.refresh_averages(torch_models.trained_seed_cnn(), images)),
    ]  # fmt: skip
