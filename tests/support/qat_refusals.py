"""Networks that `QuantizedNetwork` does not take, and templates of other networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

from edge_course import process
from edge_course.quantization_aware.export import export_litert
from edge_course.quantization_aware.network import QuantizedNetwork
from tests.support.qat_networks import make_template


class Net(nn.Module):
    """Layers, and a function that says what to do with them."""

    shape = (3, 6, 6)

    def __init__(self, compute: Callable, **layers: nn.Module):
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.compute(self, x)


def conv(**settings) -> nn.Conv2d:
    return nn.Conv2d(3, 3, 3, padding=1, **settings)


def refused(name: str) -> None:
    """Give `QuantizedNetwork` something that it does not take."""
    norm, pool = nn.BatchNorm2d(3), functional.avg_pool2d
    masked = prune.l1_unstructured(conv(), "weight", 0.5)
    flat = nn.BatchNorm2d(3, track_running_stats=False)
    nets = {
        "gelu": Net(lambda m, x: m.act(m.conv(x)), conv=conv(), act=nn.GELU()),
        "dilated": Net(lambda m, x: m.conv(x), conv=conv(dilation=2)),
        "reflected": Net(lambda m, x: m.conv(x), conv=conv(padding_mode="reflect")),
        "norm first": Net(lambda m, x: m.conv(m.norm(x)), conv=conv(), norm=norm),
        "norm of a shared layer": Net(
            lambda m, x: (y := m.conv(x)) + m.norm(y), conv=conv(), norm=norm
        ),
        "norm without averages": Net(lambda m, x: m.norm(m.conv(x)), conv=conv(), norm=flat),
        "twice": Net(lambda m, x: m.conv(m.conv(x)), conv=conv()),
        "masked": Net(lambda m, x: m.conv(x), conv=masked),
        "in place": Net(
            lambda m, x: functional.relu(y := m.conv(x), inplace=True) + y, conv=conv()
        ),
        "constant": Net(lambda m, x: m.conv(x) + 1, conv=conv()),
        "broadcast": Net(lambda m, x: x + m.conv(x).mean((2, 3), True), conv=conv()),
        "product": Net(lambda m, x: m.conv(x) * x, conv=conv()),
        "ceil": Net(lambda m, x: functional.max_pool2d(m.conv(x), 4, ceil_mode=True), conv=conv()),
        "border left out": Net(
            lambda m, x: pool(m.conv(x), 3, 1, 1, count_include_pad=False), conv=conv()
        ),
        "pool to 2": Net(lambda m, x: functional.adaptive_avg_pool2d(m.conv(x), 2), conv=conv()),
        "mean of channels": Net(lambda m, x: m.conv(x).mean(1), conv=conv()),
        "dense on pictures": Net(lambda m, x: m.linear(m.conv(x)), conv=conv(),
                                 linear=nn.Linear(6, 6)),
        "cut in two": Net(lambda m, x: m.conv(x).view(-1, 54), conv=conv()),
        "joined rows": Net(lambda m, x: torch.cat([m.conv(x), x], dim=2), conv=conv()),
        "two outputs": Net(lambda m, x: (m.conv(x), x), conv=conv()),
        "own weights": Net(
            lambda m, x: functional.conv2d(x, m.conv.weight), conv=conv()
        ),
        "nothing": Net(lambda m, x: x),
        "branches": Net(lambda m, x: m.conv(x) if x.sum() > 0 else x, conv=conv()),
        "other shape": Net(lambda m, x: m.conv(x), conv=conv()),
        "sequence": nn.Linear(6, 6),
        "two inputs": nn.Bilinear(3, 3, 3),
        "no network": "conv",
    }  # fmt: skip
    if name == "other inputs":
        inputs = np.zeros((4, 6, 5, 3), np.float32)
        QuantizedNetwork(nn.Sequential(conv()), shape=Net.shape).calibrate(inputs)
    shape = {"other shape": (2, 6, 6), "sequence": (5, 6)}.get(name, Net.shape)
    QuantizedNetwork(nets[name], shape=shape)


def twins(longer: str, *, stride: int = 1, activation=nn.ReLU) -> Net:
    """Two branches of the same shapes, the one or the other longer."""

    def compute(m: Net, x: torch.Tensor) -> torch.Tensor:
        a, b = m.a(x), m.b(x)
        a, b = (m.c(a), b) if longer == "first" else (a, m.c(b))
        return m.act(a + b)

    a, b = (conv(stride=stride) for _ in range(2))
    return Net(compute, a=a, b=b, c=conv(), act=activation())


def with_other_templates() -> dict[str, str]:
    """Export a network into files of others; return what is said."""
    others = {
        "another network": Net(lambda m, x: m.conv(x), conv=conv()),
        "other branches": twins("second"),
        "other stride": twins("first", stride=2),
        "other padding": Net(
            lambda m, x: m.act(m.c(m.a(functional.pad(x, (0, 2, 0, 2)))) + m.b(x)),
            a=nn.Conv2d(3, 3, 3), b=conv(), c=conv(), act=nn.ReLU(),
        ),
        "other activation": twins("first", activation=nn.ReLU6),
        "other channels": Net(lambda m, x: m.act(m.c(m.a(x)) + m.b(x)), a=nn.Conv2d(3, 4, 3, 1, 1),
                              b=conv(), c=nn.Conv2d(4, 3, 3, 1, 1), act=nn.ReLU()),
        "float32": twins("first"),
    }  # fmt: skip
    x = np.random.default_rng(0).normal(0, 1, (20, 6, 6, 3)).astype(np.float32)
    network = QuantizedNetwork(twins("first"), shape=Net.shape).calibrate(x)
    messages = {}
    with process.another() as call:
        for name, other in others.items():
            mode = "float32" if name == "float32" else "int8"
            template = make_template(other, call, x, mode)
            try:
                export_litert(network, template)
            except ValueError as error:
                messages[name] = str(error)
    return messages
