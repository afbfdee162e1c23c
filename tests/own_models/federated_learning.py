"""A network and clients that are not in the notebook: signals of four channels, two classes."""

import numpy as np
import torch
from torch import nn


def network() -> nn.Module:
    """Return it untrained, for windows of 30 samples."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(4, 6, (3, 1), padding=(1, 0)), nn.ReLU(), nn.MaxPool2d((2, 1)), nn.Flatten(),
        nn.Linear(6 * 15, 12), nn.ReLU(), nn.Linear(12, 2),
    )  # fmt: skip


def data() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return three clients' windows and labels: a slow wave or a fast one, under noise."""
    random, clients = np.random.default_rng(3), []
    for count in (90, 40, 120):
        labels = random.integers(2, size=count)
        waves = np.sin(np.arange(30) * (0.3 + 0.5 * labels[:, None]))[:, :, None, None]
        noise = random.normal(scale=0.3, size=(count, 30, 1, 4))
        clients.append(((waves + noise).astype(np.float32), labels))
    return clients
