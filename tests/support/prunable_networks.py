"""Random networks whose channels can be cut, and the ways in which people write a flatten."""

from __future__ import annotations

import operator
import random

import torch
from torch import nn
from torch.nn import functional

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
