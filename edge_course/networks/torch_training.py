"""The training loop of the course's PyTorch networks: pictures in, a trained network out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from edge_course.networks.torch_models import INPUT_SHAPE

BATCH = 64

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


def label_loss(model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of a batch: what `fit` minimises if nothing else is given.

    Parameters
    ----------
    model : gives scores, float32 (n, classes).
    pictures : float32 (n, 1, 28, 28).
    labels : int64 (n,).

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    return functional.cross_entropy(model(pictures), labels)


def fit(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    rate: float,
    loss: Loss = label_loss,
    augment: bool = False,
    after_step: Callable[[int], object] | None = None,
) -> list[float]:
    """Train a network in place; return the loss of every batch.

    AdamW with a one-cycle learning rate: it rises to ``rate`` over the first 30 % of the
    steps and falls to almost 0. Smith and Topin (2018), "Super-convergence". One thread, so
    that the same ``torch.manual_seed`` before it gives the same network. Afterwards the network
    is in evaluation mode.

    Parameters
    ----------
    model : takes float32 (n, 1, 28, 28).
    images : float32 (n, 28, 28, 1) from 0 to 1.
    labels : integer classes (n,).
    epochs : how often to go through all pictures, at least 1.
    rate : the largest learning rate.
    loss : ``loss(model, pictures, labels)`` of one batch, a tensor of shape ().
    augment : mirror half of the pictures, and move each batch by up to one pixel.
    after_step : called with the number of the step, from 1, after every change of the weights.

    Raises
    ------
    ValueError
        If pictures or labels are of another shape or dtype, or there is no epoch.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    x, y = as_tensor(images), as_labels(labels, len(images))
    if epochs < 1:
        raise ValueError(f"expected at least 1 epoch, got {epochs}")
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    losses = []
    model.train()
    with one_thread(), tqdm(total=steps, desc="training") as progress:
        for _ in range(epochs):
            for chosen in torch.randperm(len(x)).split(BATCH):
                pictures = moved(x[chosen]) if augment else x[chosen]
                value = loss(model, pictures, y[chosen])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                schedule.step()
                losses.append(value.item())
                if after_step is not None:
                    after_step(len(losses))
                progress.update()
    model.eval()
    return losses


def moved(pictures: torch.Tensor) -> torch.Tensor:
    """Return a batch with half of its pictures mirrored, and all moved by up to one pixel.

    Parameters
    ----------
    pictures : float32 (n, 1, 28, 28).

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    mirrored = torch.rand(len(pictures), 1, 1, 1) < 0.5
    pictures = torch.where(mirrored, pictures.flip(3), pictures)
    top, left = torch.randint(0, 3, (2,)).tolist()
    _, height, width = INPUT_SHAPE
    return functional.pad(pictures, (1, 1, 1, 1))[:, :, top : top + height, left : left + width]


def scores(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the scores of pictures, computed a batch at a time.

    Parameters
    ----------
    model : in evaluation mode, fake-quantized or not.
    images : float32 (n, 28, 28, 1) from 0 to 1.

    Returns
    -------
    np.ndarray
        float32 (n, 10).

    Raises
    ------
    ValueError
        If the pictures are of another shape or dtype, or the model is in training mode.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    if model.training:
        raise ValueError("the model is in training mode, where its ranges move: call eval()")
    pictures, found = as_tensor(images), np.empty((len(images), 10), np.float32)
    with torch.no_grad(), one_thread():
        for start in range(0, len(found), BATCH):
            # Written at once: results kept as tensors lie between the large activations in
            # memory, and the next activation does not fit into the gap before them.
            found[start : start + BATCH] = model(pictures[start : start + BATCH])
    return found


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """Return pictures in PyTorch's order: float32 (n, 28, 28, 1) → (n, 1, 28, 28).

    Raises
    ------
    ValueError
        If the shape or the dtype is another one, there are none, or not all are finite.
    """
    images = np.asarray(images)
    expected = (*INPUT_SHAPE[1:], INPUT_SHAPE[0])
    if images.dtype != np.float32 or images.shape[1:] != expected or not len(images):
        raise ValueError(
            f"expected pictures float32 (n, 28, 28, 1), got {images.dtype} {images.shape}; "
            "fashion_mnist.preprocess makes them"
        )
    if not np.isfinite(images).all():
        raise ValueError("the pictures have NaN or infinity in them")
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def as_labels(labels: np.ndarray, count: int) -> torch.Tensor:
    """Return ``count`` integer classes as int64, shape (count,).

    Raises
    ------
    ValueError
        If they are not integers, or not so many.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(f"expected {count} integer labels, got {labels.dtype} {labels.shape}")
    return torch.from_numpy(labels.astype(np.int64))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread inside a ``with`` block.

    The tensors of a small network are too small for two: on a busy machine the second thread
    would make the first one wait, a hundred times for every batch. And the order of
    additions, so the last bit of a sum, does not depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Let a network be in evaluation mode inside a ``with`` block.

    In training mode, to run it would move the averages of its normalisations.

    Raises
    ------
    ValueError
        If it is no network.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"expected a PyTorch model (torch.nn.Module), got {type(model).__name__}")
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode
