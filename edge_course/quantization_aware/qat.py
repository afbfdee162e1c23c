"""Quantization-aware training in PyTorch: a network trains with the rounding it will run with.

In every step, weights and activations go to their integer codes and back (*fake*
quantization), so that the loss feels the rounding; the gradient goes straight through it.
The trained codes and scales go into a LiteRT file by `export`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from edge_course.networks.torch_training import BATCH, as_labels, as_tensor, one_thread, scores
from edge_course.quantization_aware.qat_export import export
from edge_course.quantization_aware.qat_network import (
    QuantizedBlock,
    QuantizedLayer,
    QuantizedNetwork,
    folded,
)
from edge_course.quantization_aware.qat_rounding import FakeQuantize, Range, fake_quantize
from edge_course.runtimes import litert

__all__ = [
    "FakeQuantize", "QuantizedBlock", "QuantizedLayer", "QuantizedNetwork", "Range", "export",
    "fake_quantize", "fine_tune", "folded", "recovered", "scores", "sensitivity",
]  # fmt: skip

EPOCHS = 2
RATE = 1e-3  # of the first step; it falls to 0 along half a cosine


def fine_tune(
    network: QuantizedNetwork,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int = EPOCHS,
    rate: float = RATE,
    seed: int = 0,
) -> list[float]:
    """Train a calibrated network on; return the loss of every batch.

    Adam, with a learning rate that falls along half a cosine to 0. The network is changed in
    place, and its ranges follow the batches; afterwards it is in evaluation mode.

    Parameters
    ----------
    network : calibrated.
    images : float32 (n, 28, 28, 1) from 0 to 1.
    labels : integer classes (n,).
    epochs : how often to go through all pictures, at least 1.
    rate : the learning rate of the first step.
    seed : of the order of the pictures.

    Raises
    ------
    ValueError
        If pictures or labels are of another shape or dtype, the network was not calibrated,
        or there is no epoch.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    x, y = as_tensor(images), as_labels(labels, len(images))
    if epochs < 1:
        raise ValueError(f"expected at least 1 epoch, got {epochs}")
    network(x[:1])  # says so if it was not calibrated
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    count = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, count)
    batches = [chosen for _ in range(epochs) for chosen in torch.randperm(len(x)).split(BATCH)]
    losses = []
    network.train()
    with one_thread():
        for chosen in tqdm(batches, desc="fine-tuning"):
            loss = functional.cross_entropy(network(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    network.eval()
    return losses


def sensitivity(
    network: QuantizedNetwork, images: np.ndarray, labels: np.ndarray, choices: tuple[int, ...]
) -> dict[str, list[float]]:
    """Return the loss when one layer alone gets few bits, for each layer and each choice.

    All other layers keep their bits, and the network is left as it was. Each variant is
    exported and computed by LiteRT.

    Parameters
    ----------
    network : calibrated.
    images, labels : as of `fine_tune`: training pictures, so that the test set stays unseen.
    choices : bits to try, each 2 to 8.

    Returns
    -------
    dict
        Name of the layer → mean cross-entropy with each of the choices.

    Raises
    ------
    ValueError
        If pictures, labels or choices are not as above, or the network was not calibrated.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    y = as_labels(labels, len(images))

    def loss() -> float:
        found = litert.Runner(export(network)).scores(images)  # the runtime: exact and quick
        return functional.cross_entropy(torch.from_numpy(found), y).item()

    unchanged, losses = loss(), {name: [] for name in network.layers()}
    for name in tqdm(losses, desc="sensitivity"):
        before = network.layers()[name].bits
        for bits in choices:
            network.set_bits({name: bits})
            losses[name].append(unchanged if bits == before else loss())
        network.set_bits({name: before})
    return losses


def recovered(before: float, after: float, real: float) -> float:
    """Return which share of a lost accuracy came back: (after − before) / (real − before).

    Parameters
    ----------
    before : accuracy of the quantized network before training.
    after : accuracy after training.
    real : accuracy of the network without quantization, above ``before``.

    Raises
    ------
    ValueError
        If nothing was lost.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    if not before < real:
        raise ValueError(f"nothing was lost: {before} before training, {real} unquantized")
    return (after - before) / (real - before)
