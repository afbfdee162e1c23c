"""A network that no notebook has, taken all the way: trained, rounded, cut. PyTorch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_course import process, stripes
from edge_course.frameworks import in_tensorflow
from edge_course.networks import torch_training
from edge_course.quantization_aware.export import export_litert
from edge_course.quantization_aware.network import QuantizedNetwork
from edge_course.runtimes import ort
from edge_course.structured_pruning.choice import group_importance, keep_share
from edge_course.structured_pruning.cut import cut_channels, refresh_averages

SHAPE, CLASSES = (3, 26, 22), 5
PLACES = (SHAPE[1], SHAPE[2], SHAPE[0])  # as pictures lie: height, width, channels


class OwnNetwork(nn.Module):
    """Colour, strides of two, a depthwise layer inside a residual sum, HardSwish, five classes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16))
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.wide = nn.Sequential(nn.Conv2d(16, 24, 3, 2), nn.BatchNorm2d(24), nn.ReLU())
        self.scores = nn.Linear(24, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.hardswish(self.stem(x))
        x = functional.relu(x + self.pointwise(functional.relu6(self.depthwise(x))))
        return self.scores(self.wide(x).mean((2, 3)))


class Journey(NamedTuple):
    """Files and what PyTorch says about the test pictures, (n, classes), at each station."""

    trained: np.ndarray
    rounded: np.ndarray
    litert: bytes
    cut: np.ndarray
    onnx: bytes
    whole_onnx: bytes


def journey() -> Journey:
    torch.manual_seed(3)
    pictures, labels = stripes.pictures(1500, PLACES, CLASSES, seed=0)
    test, _ = stripes.pictures(300, PLACES, CLASSES, seed=1)
    model = OwnNetwork()
    torch_training.fit(model, pictures, labels, epochs=8, rate=0.01)
    trained, whole = torch_training.scores(model, test), ort.export(model, SHAPE)

    with process.another() as call:
        template = call(in_tensorflow.litert_file, whole, "int8", pictures[:100])
    network = QuantizedNetwork(model, shape=SHAPE).calibrate(pictures[:200])
    torch_training.fit(network, pictures, labels, epochs=1, rate=0.001)
    rounded, file = torch_training.scores(network, test), export_litert(network, template)

    kept = keep_share(group_importance(model, "taylor", pictures, labels), 0.6)
    small = refresh_averages(cut_channels(model, kept, shape=SHAPE), pictures)
    torch_training.fit(small, pictures, labels, epochs=3, rate=0.003)
    cut = torch_training.scores(small, test)
    return Journey(trained, rounded, file, cut, ort.export(small, SHAPE), whole)
