"""Another network and other data for the own-model cells of notebook 11."""

import numpy as np
import torch
from torch import nn

from edge_course import stripes


class Joined(nn.Module):
    """Two branches that are joined, for pictures of one colour that are not square."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 10, 5, stride=2, padding=2)
        self.left = nn.Conv2d(10, 8, 1)
        self.right = nn.Conv2d(10, 10, 3, padding=1, groups=10)
        self.hidden = nn.Linear(18 * 5 * 7, 20)
        self.scores = nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(x))
        x = torch.cat([torch.relu(self.left(x)), nn.functional.hardswish(self.right(x))], dim=1)
        x = torch.flatten(nn.functional.max_pool2d(x, 2), 1)
        return self.scores(torch.relu(self.hidden(x)))


def network() -> nn.Module:
    return Joined()


def data() -> tuple[np.ndarray, np.ndarray]:
    return stripes.pictures(600, (20, 28, 1), classes=3, seed=3)
