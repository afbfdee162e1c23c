"""A network for wide grey pictures, built in PyTorch's process: GELU, two branches, a flatten."""

import numpy as np

from edge_course import process, stripes
from edge_course.runtimes import ort

SHAPE = (16, 28, 1)


def exported() -> bytes:
    """Return the network as an ONNX file, untrained; called where PyTorch may be loaded."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 8, 5, stride=2, padding=2)
            self.wide, self.deep = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(8, 10, 1)
            self.activation, self.pool = nn.GELU(), nn.MaxPool2d(2)
            self.scores = nn.Linear(16 * 4 * 7, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.activation(self.first(x))
            y = torch.cat([self.wide(y), self.deep(y)], dim=1)
            return self.scores(self.pool(y).flatten(1))

    torch.manual_seed(0)
    height, width, channels = SHAPE
    return ort.export(Network().eval(), (channels, height, width))


def network() -> bytes:
    """Return the network as the content of an ONNX file."""
    with process.another() as call:
        return call(exported)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 16 × 28 in grey."""
    return stripes.pictures(300, SHAPE, classes=3, seed=7)
