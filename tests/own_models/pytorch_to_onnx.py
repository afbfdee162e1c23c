"""A network for wide grey pictures of three classes: a residual sum by hand, and HardSwish."""

import numpy as np
import torch
from torch import nn

from edge_course import stripes


class Network(nn.Module):
    """A convolution, a sum around another one, and a dense layer over all that is left."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 10, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(10)
        self.second = nn.Conv2d(10, 10, 3, padding=1, groups=5)
        self.activation = nn.Hardswish()
        self.pool = nn.AvgPool2d(2)
        self.scores = nn.Linear(10 * 4 * 7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores, float32 (n, 3)."""
        y = self.activation(self.norm(self.first(x)))
        return self.scores(self.pool(y + self.second(y)).flatten(1))


def network() -> Network:
    """Return the network, untrained."""
    return Network()


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 16 × 28 in grey."""
    return stripes.pictures(600, (16, 28, 1), classes=3, seed=7)
