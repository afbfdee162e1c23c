"""The training loop of the course's PyTorch networks: pictures in, a trained network out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

BATCH = 64
_ANY_STRIDES = ("torch.nn.modules.", "edge_course.")  # their layers never ask how numbers lie

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


def label_loss(model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of a batch: what `fit` minimises if nothing else is given.

    Parameters
    ----------
    model : gives scores, float32 (n, classes).
    pictures : float32 (n, channels, height, width).
    labels : int64 (n,), each below the number of classes.

    Taught in: notebooks/12_distillation.ipynb
    """
    return scores_loss(model(pictures), labels)


def scores_loss(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of scores, a tensor of shape ().

    Parameters
    ----------
    answers : scores, float32 (n, classes).
    labels : int64 (n,), from 0 to classes − 1.

    Raises
    ------
    ValueError
        If the scores are of another shape, or a label is no class.
    """
    check_scores(answers, len(labels))
    if labels.max() >= answers.shape[1]:
        raise ValueError(
            f"expected labels from 0 to {answers.shape[1] - 1}, as the network gives "
            f"{answers.shape[1]} scores, got the label {labels.max()}"
        )
    return functional.cross_entropy(answers, labels)


def check_scores(answers: torch.Tensor, count: int) -> None:
    """Raise a ValueError if a network's answers are no scores of ``count`` pictures."""
    if not isinstance(answers, torch.Tensor) or answers.ndim != 2 or len(answers) != count:
        got = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
        raise ValueError(
            f"expected a network that gives scores of shape (n, classes), got {got} for {count} "
            "pictures"
        )


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
    model : takes float32 (n, channels, height, width) or (n, features), gives scores (n, classes).
    images : float32 (n, height, width, channels), such as 0 to 1; or (n, features).
    labels : integers (n,), from 0 to classes − 1.
    epochs : how often to go through all pictures, at least 1.
    rate : the largest learning rate.
    loss : ``loss(model, pictures, labels)`` of one batch, a tensor of shape ().
    augment : mirror half of the pictures, and move each batch by up to one pixel; pictures only.
    after_step : called with the number of the step, from 1, after every change of the weights.

    Raises
    ------
    ValueError
        If pictures or labels are of another shape or dtype, the network does not take them or
        none of its parameters learns, or there is no epoch.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    x, y = as_tensor(images, model), as_labels(labels, len(images))
    if epochs < 1:
        raise ValueError(f"expected at least 1 epoch, got {epochs}")
    if augment and x.ndim != 4:
        raise ValueError("augment moves and mirrors pictures; rows of features have no sides")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(
            "there is nothing to train: no parameter of the network has requires_grad; "
            "set it for those that are to learn"
        )
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    losses = []
    model.train()
    try:
        with one_thread(), tqdm(total=steps, desc="training", delay=2) as progress:
            for _ in range(epochs):
                for chosen in torch.randperm(len(x)).split(BATCH):
                    pictures = moved(x[chosen]) if augment else x[chosen]
                    with taking(pictures):
                        value = loss(model, pictures, y[chosen])
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
                    schedule.step()
                    losses.append(value.item())
                    if after_step is not None:
                        after_step(len(losses))
                    progress.update()
    finally:  # also for a training that somebody interrupts
        model.eval()
    return losses


def moved(pictures: torch.Tensor) -> torch.Tensor:
    """Return a batch with half of its pictures mirrored, and all moved by up to one pixel.

    Parameters
    ----------
    pictures : float32 (n, channels, height, width).
    """
    mirrored = torch.rand(len(pictures), 1, 1, 1) < 0.5
    pictures = torch.where(mirrored, pictures.flip(3), pictures)
    top, left = torch.randint(0, 3, (2,)).tolist()
    height, width = pictures.shape[2:]
    padded = functional.pad(pictures, (1, 1, 1, 1))  # (n, channels, height + 2, width + 2)
    window = padded[:, :, top : top + height, left : left + width]
    return torch.empty_like(pictures).copy_(window)  # without gaps: a network may call view


def scores(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the scores of pictures, computed a batch at a time.

    Parameters
    ----------
    model : in evaluation mode, fake-quantized or not.
    images : float32 (n, height, width, channels), such as 0 to 1; or (n, features).

    Returns
    -------
    np.ndarray
        float32 (n, classes).

    Raises
    ------
    ValueError
        If the pictures are of another shape or dtype, the network does not take them or gives no
        scores, or it is in training mode.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    if model.training:
        raise ValueError("the model is in training mode, where its ranges move: call eval()")
    batches = as_tensor(images, model).split(BATCH)
    answers = None
    with torch.no_grad(), one_thread():
        for number, batch in enumerate(batches):
            with taking(batch):
                part = model(batch)
            check_scores(part, len(batch))
            if answers is None:
                answers = np.empty((len(images), part.shape[1]), np.float32)
            # Written at once: results kept as tensors lie between the large activations in
            # memory, and the next activation does not fit into the gap before them.
            answers[number * BATCH : number * BATCH + len(batch)] = part
    return answers


def as_tensor(images: np.ndarray, model: nn.Module) -> torch.Tensor:
    """Return pictures in PyTorch's order, (n, height, width, channels) → (n, channels, …).

    Rows of features, (n, features), stay as they are. In memory pictures stay channels last, which
    convolutions compute a third faster, unless a module of the network is neither PyTorch's nor the
    course's: it might call ``view``, which fails then.

    Parameters
    ----------
    images : float32 (n, height, width, channels) or (n, features), finite, at least one.
    model : the network that is to take them.

    Raises
    ------
    ValueError
        If the shape or the dtype is another one, there are none, or not all are finite.
    """
    images = np.ascontiguousarray(images)
    if images.dtype != np.float32 or images.ndim not in (2, 4) or not images.size:
        raise ValueError(
            "expected pictures float32 (n, height, width, channels), or rows (n, features), got "
            f"{images.dtype} {images.shape}; fashion_mnist.preprocess makes pictures"
        )
    if not np.isfinite(images).all():
        raise ValueError("the pictures have NaN or infinity in them")
    if images.ndim == 2:
        return torch.from_numpy(images)
    pictures = torch.from_numpy(images).permute(0, 3, 1, 2)  # NHWC → NCHW
    if all(type(module).__module__.startswith(_ANY_STRIDES) for module in model.modules()):
        return pictures
    return pictures.clone(memory_format=torch.contiguous_format)


@contextmanager
def taking(pictures: torch.Tensor) -> Iterator[None]:
    """Say which inputs a network computed when it fails inside a ``with`` block.

    Raises
    ------
    ValueError
        In place of PyTorch's RuntimeError, with its reason.
    """
    try:
        yield
    except RuntimeError as error:
        kind = "rows (features)" if pictures.ndim == 2 else "pictures (channels, height, width)"
        shape = ", ".join(map(str, pictures.shape[1:]))
        reason = str(error).splitlines()[0]
        raise ValueError(f"the network does not take {kind} = ({shape}): {reason}") from error


def as_labels(labels: np.ndarray, count: int) -> torch.Tensor:
    """Return ``count`` integer classes as int64, shape (count,).

    Raises
    ------
    ValueError
        If they are not integers, or not so many, or one is negative.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(f"expected {count} integer labels, got {labels.dtype} {labels.shape}")
    if labels.min(initial=0) < 0:  # PyTorch would leave −100 out without a word
        raise ValueError(f"expected labels from 0 on, got {labels.min()}")
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
