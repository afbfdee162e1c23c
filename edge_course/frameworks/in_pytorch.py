"""PyTorch's part of a comparison, for a kernel that has another framework.

Importing this module does not import PyTorch; calling its functions does. So they are called
in a process of their own:
``with process.another() as call: call(in_pytorch.export_trained, "seed_cnn")``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_course import measure
from edge_course.runtimes import ort

if TYPE_CHECKING:
    from torch import nn

TRAINED = ("seed_cnn", "depthwise_cnn")


def trained_weights(network: str) -> dict[str, np.ndarray]:
    """Return all arrays of a trained network under PyTorch's names and in PyTorch's order.

    Parameters
    ----------
    network : "seed_cnn" or "depthwise_cnn".

    Returns
    -------
    dict[str, np.ndarray]
        Such as "conv.weight" → float32 (filters, channels, height, width).

    Raises
    ------
    ValueError
        If there is no such network.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    return {name: array.numpy() for name, array in _trained(network).state_dict().items()}


def trained_scores(network: str, x: np.ndarray) -> np.ndarray:
    """Return a trained network's scores, float32 (n, 10).

    Parameters
    ----------
    network : "seed_cnn" or "depthwise_cnn".
    x : float32 pictures from 0 to 1, shape (n, 1, 28, 28).

    Raises
    ------
    ValueError
        If there is no such network, or the pictures are of another shape or dtype.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    from edge_course.networks import torch_training

    return torch_training.scores(_trained(network), x.transpose(0, 2, 3, 1))


def trained_activations(network: str, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each layer of a trained network hands on: its name → float32 (n, …).

    Parameters
    ----------
    network : "seed_cnn" or "depthwise_cnn".
    x : float32 pictures from 0 to 1, shape (n, 1, 28, 28), few enough to fit memory.

    Raises
    ------
    ValueError
        If there is no such network.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    import torch

    model, y, activations = _trained(network), torch.tensor(x), {}
    with torch.inference_mode():
        for name, layer in model.named_children():
            y = layer(y)
            activations[name] = y.numpy()
    return activations


def export_trained(network: str) -> bytes:
    """Return a trained network as the content of an ``.onnx`` file; see `ort.export`.

    Raises
    ------
    ValueError
        If there is no such network.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    return ort.export(_trained(network))


def time_beside_onnx(
    network: str, onnx: bytes, x: np.ndarray, *, seconds: float = 1.5
) -> measure.Latency:
    """Time a trained network in PyTorch and an ONNX file in ONNX Runtime, one thread each.

    Processes cannot be timed in turn. ONNX Runtime runs in every process: it is the yardstick
    by which what was timed in two of them can be compared.

    Parameters
    ----------
    network : "seed_cnn" or "depthwise_cnn".
    onnx : the content of its ``.onnx`` file.
    x : float32 pictures, shape (n, 1, 28, 28), computed at once.
    seconds : time to spend, roughly.

    Returns
    -------
    measure.Latency
        Of "PyTorch" and "ONNX Runtime".

    Raises
    ------
    ValueError
        If there is no such network.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    import torch

    torch.set_num_threads(1)
    model, pictures = _trained(network), torch.tensor(x)

    def run() -> None:
        with torch.inference_mode():
            model(pictures)

    yardstick = ort.Runner(onnx).invoker(x)
    return measure.latency({"PyTorch": run, "ONNX Runtime": yardstick}, seconds=seconds)


def _trained(network: str) -> nn.Sequential:
    if network not in TRAINED:
        raise ValueError(f"expected one of the networks {', '.join(TRAINED)}, got {network!r}")
    from edge_course.networks import torch_models

    return getattr(torch_models, f"trained_{network}")()
