"""What the tests of structured pruning compute with PyTorch, in a process of its own."""

from __future__ import annotations

import copy
import operator
import random
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from edge_course import fashion_mnist
from edge_course.networks import torch_models
from edge_course.structured_pruning import choice, cut
from edge_course.structured_pruning.groups import channel_groups

SHAPE = (2, 9, 9)
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Tanh, nn.GELU, nn.LeakyReLU)  # 0 → 0


def _sizes_of_all(x: torch.Tensor) -> torch.Tensor:
    n, channels, height, width = x.shape
    return x.view(n, channels * height * width)


def _as_in(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(n, c, 1, 1) → (n, c), with the sizes of another tensor."""
    n, channels, _, _ = x.size()
    return y.view(n, channels)


def _spread(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(n, c) → (n, c, h, w)."""
    n, channels, _, _ = x.size()
    return y.view(n, channels, 1, 1).expand_as(x)


# (n, c, h, w) → (n, everything), as people write it
FLATTENS = (
    lambda x: x.flatten(1), lambda x: torch.flatten(x, start_dim=1),
    lambda x: x.view(x.size(0), -1), lambda x: x.view(x.shape[0], -1),
    lambda x: x.reshape(len(x), -1), lambda x: torch.reshape(x, (x.size()[0], -1)),
    lambda x: x.view(-1, x.shape[1:].numel()), lambda x: x.flatten(2).flatten(1), _sizes_of_all,
)  # fmt: skip
# (n, c, h, w) → (n, c)
AVERAGES = (
    lambda x: x.mean((2, 3)), lambda x: x.flatten(2).mean(-1), lambda x: x.mean(3).mean(2),
    lambda x: x.view(x.size(0), x.size(1), -1).mean(2),
    lambda x: functional.avg_pool2d(x, x.size()[2:]).view(len(x), -1),
    lambda x: functional.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2),
)  # fmt: skip
# What is done with the results that a layer takes
STEPS = {
    "layer": lambda x: x, "add": operator.add, "mul": operator.mul,
    "cat": lambda *values: torch.cat(values, dim=1), "as in": _as_in, "spread": _spread,
    **{f"flatten {i}": function for i, function in enumerate(FLATTENS)},
    **{f"average {i}": function for i, function in enumerate(AVERAGES)},
}  # fmt: skip


class RandomNetwork(nn.Module):
    """Convolutions, depthwise and grouped ones, sums, gates, concatenations, and a dense end."""

    def __init__(self, seed: int):
        super().__init__()
        self.choose = random.Random(seed)
        torch.manual_seed(seed)
        self.layers = nn.ModuleList()
        self.steps: list[tuple[str, list[int]]] = []
        channels = self.conv(SHAPE[0], self.size())
        for _ in range(self.choose.randint(1, 4)):
            block = self.choose.choice(
                [self.plain, self.residual, self.residual, self.separable, self.separable,
                 self.projected, self.joined, self.gated, self.gated_flat, self.grouped,
                 self.grouped, self.joined_in_groups]
            )  # fmt: skip
            channels = block(channels)
        self.head(channels)
        del self.choose

    def size(self) -> int:
        return self.choose.randint(2, 9)

    def add(self, layer: nn.Module, kind: str = "layer", *operands: int) -> int:
        """Note a step; return the number of its result."""
        self.layers.append(layer)
        self.steps.append((kind, list(operands) or [-1]))
        return len(self.steps) - 1

    def after(self, channels: int, *, activation: bool = True) -> int:
        if self.choose.random() < 0.7:
            self.add(nn.BatchNorm2d(channels))
        if activation:
            self.add(self.choose.choice(ACTIVATIONS)())
        return len(self.steps) - 1

    def conv(self, channels: int, made: int, *, activation: bool = True, stride: int = 1) -> int:
        kernel = self.choose.choice([1, 3])
        bias = self.choose.random() < 0.5
        self.add(nn.Conv2d(channels, made, kernel, stride, kernel // 2, bias=bias))
        self.after(made, activation=activation)
        return made

    def plain(self, channels: int) -> int:
        if self.choose.random() < 0.3:
            self.add(self.choose.choice([nn.MaxPool2d(2), nn.AvgPool2d(2, ceil_mode=True)]))
        return self.conv(channels, self.size(), stride=self.choose.choice([1, 2]))

    def depthwise(self, channels: int, factor: int) -> int:
        made = channels * factor
        self.add(nn.Conv2d(channels, made, 3, 1, 1, groups=channels, bias=factor > 1))
        self.after(made)
        return made

    def separable(self, channels: int) -> int:
        """Depthwise, then 1×1; sometimes added to the input."""
        start = len(self.steps) - 1
        made = self.depthwise(channels, self.choose.choice([1, 1, 2]) if channels > 1 else 1)
        if self.choose.random() < 0.5:
            self.conv(made, channels, activation=False)
            self.add(nn.ReLU(), "add", start, len(self.steps) - 1)
            return channels
        return self.conv(made, self.size())

    def residual(self, channels: int) -> int:
        start = len(self.steps) - 1
        inner = self.conv(channels, self.size())
        self.conv(inner, channels, activation=False)
        self.add(self.choose.choice(ACTIVATIONS)(), "add", start, len(self.steps) - 1)
        return channels

    def projected(self, channels: int) -> int:
        """A residual sum of two branches that are both computed."""
        start, made = len(self.steps) - 1, self.size()
        self.conv(channels, made, activation=False)
        first = len(self.steps) - 1
        self.add(nn.Conv2d(channels, made, 1), "layer", start)
        self.add(nn.ReLU(), "add", first, len(self.steps) - 1)
        return made

    def joined(self, channels: int) -> int:
        """The input and what is made of it, one behind the other."""
        start = len(self.steps) - 1
        made = self.conv(channels, self.size())
        self.add(nn.Identity(), "cat", start, len(self.steps) - 1)
        self.after(channels + made)
        return self.conv(channels + made, self.size())

    def gated(self, channels: int) -> int:
        """Each channel times a number made from all channels: squeeze and excitation."""
        start = len(self.steps) - 1
        self.add(nn.AdaptiveAvgPool2d(1))
        inner = self.conv(channels, self.size())
        self.add(nn.Conv2d(inner, channels, 1))
        self.add(nn.Hardsigmoid())
        self.add(nn.Identity(), "mul", start, len(self.steps) - 1)
        return channels

    def gated_flat(self, channels: int) -> int:
        """The same with dense layers: flattened, and unflattened by sizes of another tensor."""
        start = len(self.steps) - 1
        self.add(nn.AdaptiveAvgPool2d(1))
        self.add(nn.Identity(), "as in", len(self.steps) - 1, start)
        inner = self.size()
        self.add(nn.Linear(channels, inner))
        self.add(nn.ReLU())
        self.add(nn.Linear(inner, channels))
        self.add(nn.Identity(), "spread", len(self.steps) - 1, start)
        self.add(nn.Sigmoid())
        self.add(nn.Identity(), "mul", start, len(self.steps) - 1)
        return channels

    def group_of(self, read: int, groups: int) -> int:
        """A convolution of groups that read some channels each, and make one to three."""
        made = groups * self.choose.randint(1, 3)
        self.add(nn.Conv2d(groups * read, made, 3, 1, 1, groups=groups))
        self.after(made)
        return made

    def grouped(self, channels: int) -> int:
        """A grouped convolution between two others; sometimes a residual sum ties its channels."""
        start, read, groups = len(self.steps) - 1, self.choose.randint(2, 3), self.size()
        self.conv(channels, read * groups)
        made = self.group_of(read, groups)
        if self.choose.random() < 0.5:
            return made
        self.conv(made, channels, activation=False)
        self.add(nn.ReLU(), "add", start, len(self.steps) - 1)
        return channels

    def joined_in_groups(self, channels: int) -> int:
        """Two tensors, one behind the other; each group sees channels of one of them."""
        start, read = len(self.steps) - 1, self.choose.randint(1, 2)
        few, more = sorted([self.choose.randint(1, 4), self.choose.randint(2, 5)])
        self.conv(channels, read * few)
        first = len(self.steps) - 1
        self.add(nn.Conv2d(channels, read * more, 1), "layer", start)
        self.add(nn.Identity(), "cat", first, len(self.steps) - 1)
        return self.conv(self.group_of(read, few + more), self.size())

    def head(self, channels: int) -> None:
        if self.choose.random() < 0.3:
            self.add(nn.Identity(), f"average {self.choose.randrange(len(AVERAGES))}")
        else:
            if self.choose.random() < 0.5:
                self.add(nn.AdaptiveAvgPool2d(self.choose.choice([1, 2])))
            if self.choose.random() < 0.2:
                self.add(nn.Flatten())
            else:
                self.add(nn.Identity(), f"flatten {self.choose.randrange(len(FLATTENS))}")
        with torch.no_grad():
            inputs = self.eval()(torch.zeros(1, *SHAPE)).shape[1]
        if self.choose.random() < 0.6:
            hidden = self.size()
            self.add(nn.Linear(inputs, hidden))
            if self.choose.random() < 0.5:
                self.add(nn.BatchNorm1d(hidden))
            self.add(nn.ReLU())
            inputs = hidden
        self.add(nn.Linear(inputs, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        results = []
        for layer, (kind, operands) in zip(self.layers, self.steps, strict=True):
            values = [results[i] if results else x for i in operands]
            results.append(layer(STEPS[kind](*values)))
        return results[-1]


def network(seed: int) -> nn.Module:
    """A random network with random averages in its normalisations, in evaluation mode."""
    model = RandomNetwork(seed)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(-1.5, 1.5)
                layer.bias.normal_(0, 0.3)
        model.layers[-1].weight *= 0.5
    return model.eval()


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


def described(name: str) -> dict[str, tuple[int, list[str]]]:
    """The groups of one of the course's networks."""
    groups = channel_groups(getattr(torch_models, name)())
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


REFUSED: dict[str, Callable[[], nn.Module]] = {
    "grouped": lambda: Odd(lambda m, x: m.layers[0](x), nn.Conv2d(8, 8, 3, padding=1, groups=4)),
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
        found = cut.cut_channels(model, order, shape=(4, 6, 6))(x)
        for member in groups[first].members:
            if member.role == "reads":
                weight = model.get_submodule(member.layer).weight
                start = member.first + 3 * member.width
                weight[:, start : start + member.width] = 0
        unread = model(x)
        small = cut.cut_channels(model, {first: [0, 1, 2, 4, 5, 6, 7]}, shape=(4, 6, 6))
        return float((expected - found).abs().max()), float((unread - small(x)).abs().max())


def cut_seed_cnn(kept: dict) -> dict[str, tuple[int, ...]]:
    """Shapes of the seed CNN's parameters after cutting."""
    model = cut.cut_channels(torch_models.seed_cnn(), kept)
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def by_hand(kept: list[int]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The seed CNN's weights, before and after cutting its convolution."""
    torch.manual_seed(1)
    model = torch_models.seed_cnn()
    small = cut.cut_channels(model, {"conv": kept})
    return tuple({n: p.detach().numpy() for n, p in m.named_parameters()} for m in (model, small))


def modes() -> list[bool]:
    """Whether a copy keeps mode, what is frozen and class, and the original its averages."""
    model = torch_models.depthwise_cnn().train()
    model.stem.conv.weight.requires_grad_(False)
    averages = model.stem.norm.running_mean.clone()
    small = cut.cut_channels(model, {"stem.conv": [1, 0]})
    with_gradient = small.block1.pointwise.conv.weight.requires_grad
    return [
        model.training and small.training and small.stem.norm.training,
        not small.stem.conv.weight.requires_grad and with_gradient,
        type(small) is type(model) and type(small.block1) is type(model.block1),
        torch.equal(averages, model.stem.norm.running_mean),
        not cut.cut_channels(model.eval(), {}).training,
    ]


def cut_down_to_one_and_again() -> list[int]:
    """A depthwise CNN with one channel in each group still works, and can be looked at again."""
    model = torch_models.depthwise_cnn().eval()
    groups = channel_groups(model)
    small = cut.cut_channels(model, {name: [3] for name in groups})
    again = channel_groups(small)
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
    scores = choice.group_importance(model, "magnitude") if given is None else given
    kept = choice.keep_macs(model, scores, share, least=least)
    small = cut.cut_channels(model, kept)
    total = sum(cut.layer_macs(model).values())
    return kept, sum(cut.layer_macs(small).values()) / total


def one_more_would_do(name: str, share: float) -> bool:
    """Whether the chosen network is the largest one of its order that fits."""
    model = getattr(torch_models, f"trained_{name}")()
    scores = choice.group_importance(model, "magnitude")
    cost = choice.ChannelCost(model)
    kept = choice.keep_macs(model, scores, share)
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
        cut.layer_macs(nn.Sequential(nn.ConvTranspose2d(1, 2, 3)))
    if kind == "shape":
        cut.layer_macs(torch_models.seed_cnn(), shape=(3, 28, 28))
    if kind == "network":
        cut.layer_macs("seed_cnn")
    if kind == "group":
        choice.ChannelCost(torch_models.seed_cnn()).left({"scores": 3})


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
