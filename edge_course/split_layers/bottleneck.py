"""A network made to be cut: a small head, very few numbers at the cut, an early exit.

In PyTorch. What is trained here runs in ONNX Runtime.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod

import torch
from torch import nn
from torch.nn import functional

from edge_course.networks.torch_models import SeparableBlock, conv_norm

CODES = (4, 7, 7)  # channels, height, width of what crosses
EXIT_SHARE = 0.3  # of the early exit's loss in that of the training
LARGEST = 6.0  # ReLU6 ends there


class Rounding(nn.Module):
    """In training, noise as large as the error of rounding to 8 bits; else nothing.

    Rounding itself has no slope to train by. Ballé et al. (2017), "End-to-end Optimized Image
    Compression": uniform noise of one step stands in for it.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return numbers from 0 to 6, each moved by up to half a step in training."""
        if not self.training:
            return x
        return x + (torch.rand_like(x) - 0.5) * LARGEST / 255


class StraightRounding(nn.Module):
    """Rounding itself, with the slope of the line through its stairs (notebook 09)."""

    def __init__(self, bits: int, largest: float):
        super().__init__()
        self.step = largest / (2**bits - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return numbers from 0 to ``largest``, each at the nearest of 2^bits levels."""
        return x + (torch.round(x / self.step) * self.step - x).detach()


class BottleneckCnn(nn.Module):
    """A head for a slow device, 196 numbers that cross, and a tail for a server.

    The head: a 3×3 convolution to 8 channels, a 3×3 convolution of each channel by itself and
    one across the channels; the first two halve height and width. The tail: a convolution across
    channels, three separable blocks of 96 channels that add their input, and a dense layer. The
    *early exit* is one dense layer on the 196 numbers: a rough answer that the device can give by
    itself. Matsubara et al. (2019), "Distilled Split Deep Neural Networks for Edge-Assisted
    Real-Time Systems"; Teerapittayanon et al. (2016), "BranchyNet".
    """

    def __init__(self, channels: int = CODES[0]):
        super().__init__()
        self.head = nn.Sequential(
            conv_norm(1, 8, kernel=3, stride=2, activation=nn.ReLU6()),  # (n, 8, 14, 14)
            conv_norm(8, 8, kernel=3, stride=2, groups=8, activation=nn.ReLU6()),  # (n, 8, 7, 7)
            conv_norm(8, channels, kernel=1, activation=nn.ReLU6()),  # (n, 4, 7, 7)
        )
        self.rounding = Rounding()
        self.tail = _tail(conv_norm(channels, 96, kernel=1, activation=nn.ReLU()))
        self.exit = nn.Sequential(nn.Flatten(), nn.Linear(channels * prod(CODES[1:]), 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of the tail, float32 (n, 10), for pictures (n, 1, 28, 28)."""
        return self.tail(self.rounding(self.head(x)))


class SmallPictureCnn(nn.Module):
    """The bottleneck's rival: what crosses is the picture itself, at half or a quarter of its size.

    The head is a mean of 2×2 or 4×4 pixels, which no training has to find. The tail is the
    bottleneck's, but for its first convolution: in its place are three, as many as the bottleneck
    has in its head, for the server has to see the shapes that the bottleneck's device sees.
    """

    def __init__(self, factor: int = 2):
        super().__init__()
        self.head = nn.AvgPool2d(factor)  # (n, 1, 14, 14) or (n, 1, 7, 7)
        self.rounding = nn.Identity()
        stride = 28 // factor // CODES[1]
        widen = nn.Sequential(
            conv_norm(1, 32, kernel=3, activation=nn.ReLU()),
            conv_norm(32, 32, kernel=3, stride=stride, groups=32, activation=nn.ReLU()),
            conv_norm(32, 96, kernel=1, activation=nn.ReLU()),  # (n, 96, 7, 7)
        )
        self.tail = _tail(widen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores, float32 (n, 10), for pictures (n, 1, 28, 28)."""
        return self.tail(self.rounding(self.head(x)))


def _tail(widen: nn.Module) -> nn.Sequential:
    """Return the layers of the server after those that widen what crossed to (n, 96, 7, 7)."""
    return nn.Sequential(
        OrderedDict(
            widen=widen,
            block1=SeparableBlock(96, 96),
            block2=SeparableBlock(96, 96),
            block3=SeparableBlock(96, 96),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            scores=nn.Linear(96, 10),
        )
    )


def loss(model: BottleneckCnn, pictures: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch: the tail's, and a share of the early exit's.

    Parameters
    ----------
    model : in training mode.
    pictures : float32 (n, 1, 28, 28).
    labels : int64 (n,).

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    codes = model.rounding(model.head(pictures))
    of_tail = functional.cross_entropy(model.tail(codes), labels)
    return of_tail + EXIT_SHARE * functional.cross_entropy(model.exit(codes), labels)
