"""Networks to train with their rounding, of every shape that `QuantizedNetwork` takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_course import process
from edge_course.frameworks import in_tensorflow
from edge_course.networks import torch_models
from edge_course.quantization_aware import sensitivity
from edge_course.quantization_aware.export import export_litert
from edge_course.quantization_aware.fake_quantize import MovingRange
from edge_course.quantization_aware.network import QuantizedNetwork
from edge_course.runtimes import ort


class RandomNetwork(nn.Module):
    """Blocks in random order, as layers and as functions; each leaves a picture for the next."""

    def __init__(self, seed: int):
        super().__init__()
        self.choose = choose = random.Random(seed)
        torch.manual_seed(seed)
        self.shape = (choose.randint(1, 4), choose.randint(7, 12), choose.randint(7, 12))
        self.steps, channels = [], self.shape[0]
        self.layers = nn.ModuleList()
        self.plain(channels, 6)
        channels = 6
        blocks = [self.separable, self.residual, self.twin, self.joined, self.pooled, self.plain]
        for _ in range(choose.randint(1, 3)):
            channels = choose.choice(blocks)(channels, choose.choice([3, 4, 6]))
        self.head(choose.choice(["mean", "flatten", "view", "pool", "picture"]), channels)
        del self.choose

    def add(self, layer: nn.Module) -> nn.Module:
        self.layers.append(layer)
        return layer

    def conv(self, made: int, channels: int, kernel: int = 3, *, active: bool = True, **settings):
        """A convolution, mostly normalised, then one of the activations."""
        conv = nn.Conv2d(
            channels, made, kernel, padding=kernel // 2, bias=self.choose.random() < 0.6, **settings
        )
        if conv.bias is not None:  # else, with luck, a ReLU lets nothing through
            nn.init.uniform_(conv.bias, 0, 0.5)
        parts = [conv]
        if self.choose.random() < 0.6:
            norm = nn.BatchNorm2d(made)
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
            parts.append(norm)
        if active:
            kinds = [nn.ReLU(), nn.ReLU6(), nn.Hardswish(), nn.Dropout(0.1)]
            parts.append(self.choose.choice(kinds))
        return self.add(nn.Sequential(*parts))

    def plain(self, channels: int, made: int) -> int:
        groups = 2 if channels % 2 == made % 2 == 0 and self.choose.random() < 0.3 else 1
        self.steps.append(
            self.conv(made, channels, stride=self.choose.choice([1, 1, 2]), groups=groups)
        )
        return made

    def separable(self, channels: int, made: int) -> int:
        stride, factor = self.choose.choice([1, 2]), self.choose.choice([1, 1, 2])
        wide = channels * factor
        self.steps.append(self.conv(wide, channels, stride=stride, groups=channels))
        self.steps.append(self.conv(made, wide, 1))
        return made

    def residual(self, channels: int, made: int) -> int:
        inner = self.conv(made, channels)
        back = self.conv(channels, made, 1, active=False)
        after = self.choose.choice([functional.relu, functional.relu6, lambda x: x.contiguous()])
        self.steps.append(lambda x: after(x + back(inner(x))))
        return channels

    def twin(self, channels: int, made: int) -> int:
        """Two branches alike, one of them longer."""
        a, b, c = self.conv(made, channels), self.conv(made, channels), self.conv(made, made)
        self.steps.append(lambda x: torch.add(a(x), c(b(x))))
        return made

    def joined(self, channels: int, made: int) -> int:
        a, b = self.conv(made, channels), self.conv(3, channels, 1)
        if self.choose.random() < 0.5:
            self.steps.append(lambda x: torch.cat([a(x), b(x)], dim=1))
            return made + 3
        self.steps.append(lambda x: torch.cat([x, b(x)], dim=1))
        return channels + 3

    def pooled(self, channels: int, made: int) -> int:
        pools = [
            self.add(nn.MaxPool2d(2)), self.add(nn.AvgPool2d(2)), self.add(nn.MaxPool2d(3, 2, 1)),
            self.add(nn.AvgPool2d(3, 1, 1)), lambda x: functional.max_pool2d(x, 2),
            lambda x: functional.relu(functional.avg_pool2d(x, (1, 2))),
        ]  # fmt: skip
        small = min(self.size()) < 2  # only those that keep the size are left
        self.steps.append(self.choose.choice(pools[2:4] if small else pools))
        return channels

    def size(self) -> tuple[int, int]:
        """The height and the width of the picture so far."""
        with torch.no_grad():
            return self.eval().pictures(torch.zeros(1, *self.shape)).shape[2:]

    def head(self, kind: str, channels: int) -> None:
        height, width = self.size()
        if height * width == 1 and kind in ("mean", "pool"):
            kind = "flatten"  # the converter leaves out a mean of one place
        if kind == "picture":
            self.steps.append(self.conv(4, channels, 1, active=False))
            return
        flattens = {
            "mean": lambda x: x.mean((2, 3)),
            "pool": self.add(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
            "flatten": lambda x: functional.dropout(torch.flatten(x, 1), 0.1, self.training),
            "view": lambda x: x.view(x.size(0), -1),
        }
        self.steps.append(flattens[kind])
        features = channels if kind in ("mean", "pool") else channels * height * width
        self.steps.append(self.add(nn.Linear(features, 8)))
        self.steps.append(self.choose.choice([functional.relu, functional.hardswish]))
        self.steps.append(self.add(nn.Linear(8, 5, bias=self.choose.random() < 0.5)))

    def pictures(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step(x)
        return x

    forward = pictures


class Colour(nn.Module):
    """3 × 32 × 32, a sum around a depthwise layer, Hardswish, seven classes."""

    shape = (3, 32, 32)

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(8)
        self.act = nn.Hardswish()
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8)
        self.scores = nn.Linear(8, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.stem_norm(self.stem(x)))
        y = functional.relu6(self.depthwise(x))
        x = functional.relu(x + self.norm(self.pointwise(y)))
        return self.scores(x.mean((2, 3)))


def dense() -> nn.Sequential:
    model = nn.Sequential(
        nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(32, 16, bias=False), nn.Hardswish(), nn.Linear(16, 4),
    )  # fmt: skip
    model.shape = (20,)
    return model


def seed_like() -> nn.Sequential:
    """As the course's seed CNN: max pooling, then a dense layer that reads every place."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(6 * 6 * 5, 16), nn.ReLU(), nn.Linear(16, 10),
    )  # fmt: skip
    model.shape = (1, 14, 12)
    return model


class Made(NamedTuple):
    """What the fake-quantized network and the file's runtime are to be compared on.

    Outputs are in LiteRT's order: of the network in real numbers, rounded, and then trained.
    """

    inputs: np.ndarray
    real: np.ndarray
    rounded: np.ndarray
    trained: np.ndarray
    scale: float  # of the trained outputs
    file: bytes


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def outputs(model: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.moveaxis(model.eval()(channels_first(x)).numpy(), 1, -1)


def exported(model: nn.Module, call: Callable, count: int = 200) -> Made:
    """Round a network, train it a little so that the template has other numbers, export it."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (count, *model.shape[1:], model.shape[0])).astype(np.float32)
    template = make_template(model, call, x[:4])
    network = QuantizedNetwork(model, shape=model.shape).calibrate(x[:100])
    rounded = outputs(network, x)
    train(network, channels_first(x[:64]))
    trained, scale = outputs(network, x), float(network.operators[-1].output.codes.scale)
    return Made(x, outputs(model, x), rounded, trained, scale, export_litert(network, template))


def make_template(model: nn.Module, call: Callable, x: np.ndarray, mode: str = "int8") -> bytes:
    onnx = ort.export(model.eval(), model.shape)
    return call(in_tensorflow.litert_file, onnx, mode, x if mode == "int8" else None)


def train(network: QuantizedNetwork, x: torch.Tensor) -> None:
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    network.train()
    for _ in range(3):
        y = network(x)
        loss = (y - torch.randn_like(y)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Everything(NamedTuple):
    """What is made while a process with TensorFlow is there."""

    random: list[Made]
    named: dict[str, Made]
    losses: dict[str, list[float]]  # of each layer of one of them with 2 and 8 bits
    expected: float  # with 2 bits in the first layer, in PyTorch


def everything(count: int) -> Everything:
    torch.manual_seed(0)
    models = {"colour": Colour(), "dense": dense(), "seed_like": seed_like()}
    with process.another() as call:
        return Everything(
            [exported(RandomNetwork(seed), call) for seed in range(count)],
            {name: exported(model, call, 1000) for name, model in models.items()},
            *sensitivities(models["seed_like"], call),
        )


def sensitivities(model: nn.Module, call: Callable) -> tuple[dict[str, list[float]], float]:
    x = np.random.default_rng(1).normal(0, 1, (200, 14, 12, 1)).astype(np.float32)
    network = QuantizedNetwork(model, shape=model.shape).calibrate(x)
    labels = outputs(model, x).argmax(axis=1)
    template = make_template(model, call, x[:4])
    losses = sensitivity.bit_sensitivity(network, x, labels, (2, 8), template)
    scores = torch.from_numpy(outputs(network.set_bits({"0": 2}), x))
    return losses, functional.cross_entropy(scores, torch.from_numpy(labels)).item()


def names() -> dict[str, list[str]]:
    plain = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3)),
        nn.Flatten(), nn.Linear(2 * 24 * 24, 3),
    )  # fmt: skip
    models = {
        "depthwise": torch_models.depthwise_cnn(), "seed": torch_models.seed_cnn(), "plain": plain
    }  # fmt: skip
    return {name: list(QuantizedNetwork(model).layers()) for name, model in models.items()}


def largest_codes(bits: dict[str, int]) -> dict[str, int]:
    """The largest code of a weight in each layer of the seed CNN."""
    torch.manual_seed(0)
    x = np.random.default_rng(0).random((8, 28, 28, 1), np.float32)
    network = QuantizedNetwork(torch_models.seed_cnn()).set_bits(bits).calibrate(x)
    steps = [step for step in network.steps() if step.weight is not None]
    most = [int(np.abs(step.weight).max()) for step in steps]
    return dict(zip(network.layers(), most, strict=True))


def joined_ranges() -> tuple[tuple[float, float], ...]:
    """The real numbers of the first and the last code, of two ranges that were joined."""
    ranges = [MovingRange(), MovingRange()]
    ranges[0].share(ranges[1])
    for one, numbers in zip(ranges, ([-2.0, 1.0], [0.0, 8.0]), strict=True):
        one(torch.tensor(numbers))
    ends = []
    for one in ranges:
        scale, zero_point = one.codes
        ends.append(tuple(round(float(scale * (c - zero_point)), 1) for c in (-128, 127)))
    return tuple(ends)
