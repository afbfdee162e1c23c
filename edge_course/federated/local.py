"""What happens on one person's device: a small network learns from that person's movements."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn

from edge_course.networks.torch_training import as_labels, as_tensor, label_loss, one_thread, taking

LOCAL_BATCH, LOCAL_RATE, LOCAL_MOMENTUM = 32, 0.1, 0.9


def watch_cnn(channels: int = 6, classes: int = 7) -> nn.Sequential:
    """Return an untrained network for windows of movements.

    Three convolutions over time, each at every second place, and a mean over what is left. It has
    no batch normalization, whose averages would differ from person to person.

    Parameters
    ----------
    channels : of a window, which PyTorch takes as float32 (n, channels, time, 1).
    classes : of movements.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    sizes = (channels, 16, 32, 32)
    layers: list[nn.Module] = []
    for ins, outs in itertools.pairwise(sizes):
        layers += [nn.Conv2d(ins, outs, (5, 1), stride=(2, 1), padding=(2, 0)), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sizes[-1], classes)
    )


def train_locally(
    model: nn.Module,
    windows: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int = 1,
    seed: int = 0,
    pull: float = 0.0,
) -> None:
    """Train a network in place by stochastic gradient descent, as FedAvg's clients do.

    Parameters
    ----------
    model : takes float32 (n, channels, time, 1), gives scores (n, classes).
    windows : float32 (n, time, 1, channels).
    labels : integers (n,), from 0 to classes − 1.
    epochs : how often to go through all windows.
    seed : of their order.
    pull : μ of FedProx (Li and others, 2020): μ/2 times the squared distance to the parameters at
        the beginning is added to the loss; 0 is FedAvg.

    Raises
    ------
    ValueError
        If windows or labels are of another shape or dtype, or the network does not take them.

    Source: McMahan and others (2017), "Communication-Efficient Learning of Deep Networks from
    Decentralized Data".

    Taught in: notebooks/17_federated_learning.ipynb
    """
    x, y = as_tensor(windows, model), as_labels(labels, len(windows))
    start = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=LOCAL_RATE, momentum=LOCAL_MOMENTUM)
    random = torch.Generator().manual_seed(seed)
    model.train()
    with one_thread(), taking(x):
        for _ in range(epochs):
            for chosen in torch.randperm(len(x), generator=random).split(LOCAL_BATCH):
                loss = label_loss(model, x[chosen], y[chosen])
                if pull:
                    now = model.parameters()
                    far = sum(((w - s) ** 2).sum() for w, s in zip(now, start, strict=True))
                    loss = loss + pull / 2 * far
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    model.eval()
