"""What the test of `bias_correction` computes with PyTorch, in a process of its own."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from edge_course import fashion_mnist
from edge_course.networks import torch_models, torch_training
from edge_course.quantization_aware.bias_correction import correct_biases
from edge_course.quantization_aware.network import QuantizedNetwork


class Net(nn.Module):
    """Two convolutions, of which the first may have a normalisation; no activation at the end."""

    def __init__(self, norm: bool, bias: bool):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 6, 3, bias=bias)
        self.norm = nn.BatchNorm2d(6) if norm else nn.Identity()
        self.last = nn.Conv2d(6, 5, 3, bias=bias)
        if norm:
            nn.init.uniform_(self.norm.running_var, 0.3, 2)
            nn.init.normal_(self.norm.running_mean)
            nn.init.uniform_(self.norm.weight, 0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.conv(x))))


def mean_errors(norm: bool, bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """How far the mean of each output channel is from the real one, before and after."""
    model = Net(norm, bias).eval()
    inputs = np.random.default_rng(0).uniform(0, 1, (300, 8, 8, 2)).astype(np.float32)
    x = torch.from_numpy(inputs).permute(0, 3, 1, 2)
    network = QuantizedNetwork(model, 2, shape=(2, 8, 8)).calibrate(inputs)
    real, errors = copy.deepcopy(model), []
    for step in (None, correct_biases):
        if step:
            step(network, model, inputs)
        with torch.no_grad():
            errors.append((network(x) - real(x)).mean(dim=(0, 2, 3)).abs().numpy())
    return errors[0], errors[1]


def right_with_four_bits(count: int) -> tuple[float, float]:
    """Share of right answers with 4-bit weights, before and after."""
    model, calibration = torch_models.trained_depthwise_cnn(), fashion_mnist.calibration_images()
    test = fashion_mnist.load("test")
    pictures, labels = fashion_mnist.preprocess(test.images[:count]), test.labels[:count]
    network = QuantizedNetwork(model, 4).calibrate(calibration)

    def right() -> float:
        answers = torch_training.scores(network, pictures).argmax(axis=1)
        return float(np.mean(answers == labels))

    before = right()
    correct_biases(network, model, calibration)
    return before, right()


def correct_for_another() -> None:
    """Raise what is wrong with the model."""
    inputs = np.ones((4, 8, 8, 2), np.float32)
    network = QuantizedNetwork(Net(False, True).eval(), 8, shape=(2, 8, 8)).calibrate(inputs)
    correct_biases(network, nn.Sequential(nn.Conv2d(2, 5, 5)).eval(), inputs)
