"""Random PyTorch networks out of the operators that `onnx_to_keras` knows, exported to ONNX.

``python -m tests.support.onnx_networks FOLDER traced 0 300`` exports those of the seeds 0 to 299.
It is run in a process of its own, so that no process holds both PyTorch and TensorFlow.
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

# PyTorch's two exporters: the old one traces a run, in milliseconds; the new one captures the
# program, in about a second.
EXPORTERS = {"traced": False, "captured": True}


class Apply(nn.Module):
    """A function without weights, as a module."""

    def __init__(self, function: Callable[..., torch.Tensor], *modules: nn.Module):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *(part(x) for part in self.parts))


class Constant(nn.Module):
    """Computes with an array that is matched from the last axis on."""

    KINDS: ClassVar = {
        "add": lambda x, a: a + x,
        "multiply": lambda x, a: x * a,
        "subtract": lambda x, a: a - x,
        "divide": lambda x, a: x / (1 + a * a),
    }

    def __init__(self, kind: str, *shape: int):
        super().__init__()
        self.kind = kind
        self.register_buffer("array", torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.KINDS[self.kind](x, self.array)


def conv(r: random.Random, shape: list[int]) -> nn.Module:
    channels = shape[1]
    kernel = (r.randint(1, 4), r.randint(1, 4)) if r.random() < 0.4 else r.choice((1, 3, 3, 5))
    settings = {"bias": r.random() < 0.7}
    kind = r.choice(("stride", "dilation", "same", "plain"))
    if kind == "stride":
        settings["stride"] = r.choice((2, 3, (1, 2), (2, 1)))
    if kind == "dilation":
        settings["dilation"] = r.choice((2, (1, 2), (2, 1)))
        settings["stride"] = r.choice((1, 1, 2))
    settings["padding"] = "same" if kind == "same" else (r.randint(0, 2), r.randint(0, 2))
    groups = r.choice((1, 1, channels, channels, 2, 3))
    groups = groups if channels % groups == 0 else 1
    filters = groups * r.randint(1, 3) if groups > 1 else r.randint(1, 8)
    return nn.Conv2d(channels, filters, kernel, groups=groups, **settings)


def norm(r: random.Random, shape: list[int]) -> nn.Module:
    made = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(
        shape[1], eps=r.choice((1e-5, 1e-3))
    )
    nn.init.normal_(made.weight, 1, 0.5)
    nn.init.normal_(made.bias)
    nn.init.normal_(made.running_mean)
    nn.init.uniform_(made.running_var, 0.3, 2)
    return made


def activation(r: random.Random, shape: list[int]) -> nn.Module:
    low, high = sorted((r.uniform(-1, 0.5), r.uniform(-0.5, 1)))
    return r.choice(
        (
            nn.ReLU(),
            nn.ReLU6(),
            nn.Sigmoid(),
            nn.Tanh(),
            nn.Softplus(),
            nn.SiLU(),
            nn.GELU(approximate=r.choice(("none", "tanh"))),
            nn.Hardswish(),
            nn.Hardsigmoid(),
            nn.LeakyReLU(r.uniform(0, 0.5)),
            nn.ELU(),
            nn.Hardtanh(low, high + 0.1),
            Apply(lambda x: x.clamp(min=low)),
            Apply(lambda x: x.clamp(max=high)),
            nn.Softmax(r.randrange(1, len(shape))),
        )
    )


def pool(r: random.Random, shape: list[int]) -> nn.Module:
    kernel = r.choice((2, 3, (2, 3), (3, 1)))
    sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    pads = tuple(r.randint(0, size // 2) for size in sizes)
    stride = r.choice((1, 2, 3, (1, 2)))
    if r.random() < 0.5:
        fitting = [(size + 2 * pad - k) % s == 0 for size, pad, k, s in zip(
            shape[2:], pads, sizes, stride if isinstance(stride, tuple) else (stride, stride),
            strict=True)]  # fmt: skip
        return nn.MaxPool2d(kernel, stride, pads, ceil_mode=all(fitting) and not any(pads))
    if r.random() < 0.3:
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)  # as padding "same"
    return nn.AvgPool2d(kernel, stride, pads, count_include_pad=r.random() < 0.5)


def resize(r: random.Random, shape: list[int]) -> nn.Module:
    """Return what makes a picture larger."""
    channels, border = shape[1], [r.randint(0, 2) for _ in range(4)]
    strides, filters = r.choice((1, 2, (2, 1))), r.randint(1, 4)
    return r.choice(
        (
            nn.Upsample(scale_factor=r.choice((2, 3)), mode="nearest"),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.ConvTranspose2d(channels, filters, 3, strides, r.choice((0, 1)), bias=False),
            nn.ConvTranspose2d(channels, filters, (2, 3), 2, 1, output_padding=1),
            nn.ConstantPad2d(border, r.choice((0.0, 1.5))),
            nn.ReflectionPad2d(border),
        )
    )


def constant(r: random.Random, shape: list[int]) -> nn.Module:
    kind = r.choice(tuple(Constant.KINDS))
    if len(shape) == 2:
        return Constant(kind, *r.choice(((), (shape[1],), (1, shape[1]))))
    _, c, h, w = shape
    return Constant(kind, *r.choice(((), (c, 1, 1), (1, c, 1, 1), (h, 1), (w,), (c, h, w))))


def branches(r: random.Random, shape: list[int]) -> nn.Module:
    channels = shape[1]
    kind = r.choice(("add", "multiply", "gate", "concat"))
    if kind == "gate":  # squeeze and excitation: a factor for each channel
        mean = r.choice((nn.AdaptiveAvgPool2d(1), Apply(lambda x: x.mean((2, 3), keepdim=True))))
        gate = nn.Sequential(mean, nn.Conv2d(channels, channels, 1), nn.Sigmoid())
        return Apply(torch.mul, gate)
    if kind == "concat":
        axis = r.choice((1, 1, 1, 2, 3))
        filters = r.randint(1, 4) if axis == 1 else channels
        other = nn.Conv2d(channels, filters, 3, padding=1)
        return Apply(lambda x, y: torch.cat((y, x, x), axis), other)
    other = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), activation(r, shape))
    return Apply(torch.add if kind == "add" else torch.mul, other)


def head(r: random.Random, shape: list[int]) -> list[nn.Module]:
    """Return what makes 2-D of 4-D, or nothing: then the output is a picture."""
    size = shape[1] * shape[2] * shape[3]
    return r.choice(
        (
            [],
            [nn.Flatten()],
            [nn.Flatten()],
            [Apply(lambda x: x.reshape(-1, size))],
            [Apply(lambda x: x.view(x.size(0), -1))],
            [Apply(lambda x: x.permute(0, 2, 3, 1)), nn.Flatten()],
            [nn.AdaptiveMaxPool2d(1), nn.Flatten()],
            [nn.AdaptiveAvgPool2d(1), Apply(lambda x: x.squeeze(3).squeeze(2))],
            [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
            [Apply(lambda x: x.mean((2, 3)))],
        )
    )


def tail(r: random.Random, shape: list[int]) -> list[nn.Module]:
    """Return what follows on 2-D."""
    features = shape[1]
    dense = [nn.Linear(features, r.randint(2, 8), bias=r.random() < 0.7)]
    dense = dense if r.random() < 0.9 else []
    units = dense[0].out_features if dense else features
    before = [norm(r, shape), activation(r, shape), constant(r, shape), nn.Dropout()]
    after = [norm(r, [0, units]), activation(r, [0, units])]
    last = [
        nn.Softmax(1),
        Apply(lambda x: x.reshape(-1, units, 1, 1)),
        Apply(lambda x: x[:, :, None, None]),
        nn.Identity(),
    ]
    return [
        *r.sample(before, r.choice((0, 0, 0, 1))),
        *dense,
        *(r.sample(after, r.randint(0, 2)) if r.random() < 0.5 else []),
        *r.sample(last, r.choice((0, 1))),
    ]


def grow(layers: list[nn.Module], x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Append a layer if it fits; return the new output."""
    try:
        y = layer.eval()(x)
    except RuntimeError:  # larger than the picture, or other padding than a pooling takes
        return x
    if not y.numel() or y.numel() > 4000:
        return x
    layers.append(layer)
    return y


def network(seed: int) -> tuple[nn.Module, torch.Tensor]:
    """Return a random network and an input for it; the same for the same seed."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    example = torch.randn(2, r.randint(1, 6), r.randint(6, 12), r.randint(6, 12))
    layers: list[nn.Module] = []
    x = example
    steps = (conv, conv, conv, norm, activation, pool, resize, constant, branches)
    for step in r.choices(steps, k=r.randint(2, 6)):
        x = grow(layers, x, step(r, list(x.shape)))
    for layer in head(r, list(x.shape)):
        x = grow(layers, x, layer)
    for layer in tail(r, list(x.shape)) if x.ndim == 2 else []:
        x = grow(layers, x, layer)
    return nn.Sequential(*layers, nn.Identity()).eval(), example


def export(seed: int, path: Path, exporter: str) -> None:
    """Write a random network as an ONNX file with an open batch."""
    model, example = network(seed)
    if exporter == "captured":
        shapes = {"dynamic_shapes": ({0: torch.export.Dim("n")},)}
    else:
        shapes = {"dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}}
    torch.onnx.export(
        model,
        (example,),
        str(path),
        dynamo=EXPORTERS[exporter],
        input_names=["x"],
        output_names=["y"],
        external_data=False,
        verbose=False,
        **shapes,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("exporter", choices=EXPORTERS)
    parser.add_argument("start", type=int)
    parser.add_argument("stop", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # the old exporter is deprecated
    for seed in range(options.start, options.stop):
        export(seed, options.folder / f"{options.exporter}_{seed:05}.onnx", options.exporter)


if __name__ == "__main__":
    main()
