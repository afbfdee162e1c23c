"""A network for notebook 13 that is not in it: a sum, HardSwish, five classes, one colour."""

import torch
from torch import nn

from edge_course import stripes


class _Summed(nn.Module):
    """A convolution whose input is added to its output."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2, bias=False),
        nn.BatchNorm2d(6),
        nn.Hardswish(),
        _Summed(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 4 * 6, 12),
        nn.ReLU(),
        nn.Linear(12, 5),
    )


def data() -> tuple:
    return stripes.pictures(600, shape=(20, 28, 1), classes=5, seed=7)
