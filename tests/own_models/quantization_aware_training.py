"""A network with another shape, other classes and other layers than the notebook's own."""

import numpy as np
import torch
from torch import nn

from edge_course import stripes


class Joined(nn.Module):
    """Two branches that are joined, Hardswish, an average pool, a flatten, two dense layers."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(1, 6, 5, padding=2)
        self.narrow = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4))
        self.pool = nn.AvgPool2d(2)
        self.act = nn.Hardswish()
        self.grouped = nn.Conv2d(10, 12, 3, stride=2, groups=2)
        self.hidden = nn.Linear(12 * 3 * 4, 16)
        self.scores = nn.Linear(16, 3)

    def forward(self, x):
        """Return the scores (n, 3)."""
        x = torch.cat([torch.relu(self.wide(x)), torch.relu(self.narrow(x))], dim=1)
        x = self.grouped(self.act(self.pool(x)))
        return self.scores(torch.relu(self.hidden(torch.flatten(x, 1))))


def network() -> nn.Module:
    """Return it untrained, for pictures of 16 × 20 grey pixels."""
    torch.manual_seed(1)
    return Joined()


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures and labels of three classes."""
    return stripes.pictures(800, (16, 20, 1), classes=3, seed=1)
