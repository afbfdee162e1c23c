"""PyTorch's part of a comparison, for a kernel that has another framework.

Importing this module does not import PyTorch; calling its functions does. So they are called
in a process of their own:
``with process.another() as call: call(in_pytorch.export_trained, "seed_cnn")``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from edge_course import measure
from edge_course.runtimes import ort

if TYPE_CHECKING:
    from torch import nn

TRAINED = ("seed_cnn", "depthwise_cnn")
FORMS = ("eager", "frozen")


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


def striped_network(pictures: np.ndarray, labels: np.ndarray, *, epochs: int = 10) -> bytes:
    """Train `edge_course.networks.torch_models.striped_cnn`; return it as an ``.onnx`` file.

    Parameters
    ----------
    pictures : float32 (n, height, width, channels), such as `edge_course.stripes` draws.
    labels : integers (n,), from 0 to classes − 1.
    epochs : how often to go through all pictures.

    Raises
    ------
    ValueError
        If pictures or labels are of another shape or dtype.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    import torch

    from edge_course.networks import torch_models, torch_training

    torch.manual_seed(0)
    *_, channels = pictures.shape
    model = torch_models.striped_cnn(channels, int(labels.max()) + 1)
    torch_training.fit(model, pictures, labels, epochs=epochs, rate=0.02)
    return ort.export(model, (channels, *pictures.shape[1:3]))


def trained_seconds(network: str, form: str, x: np.ndarray, *, seconds: float = 0.05) -> float:
    """Return the seconds that a trained network takes for a batch in PyTorch, on one thread.

    The network stays ready from one call to the next. So it can be timed in turn with what runs
    in another process: a number from here, one from there, and so on.

    Parameters
    ----------
    network : "seed_cnn" or "depthwise_cnn".
    form : "eager", as PyTorch runs any model; or "frozen", a graph that runs without Python,
        its normalisations folded into the convolutions.
    x : float32 pictures, shape (n, 1, 28, 28), computed at once.
    seconds : time to spend, roughly, beside the warm-up.

    Raises
    ------
    ValueError
        If there is no such network or form, or the time is not positive.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    import torch

    model, pictures = _ready(network, form), torch.tensor(x)

    def run() -> None:
        with torch.inference_mode():
            model(pictures)

    return measure.seconds_per_call(run, seconds=seconds)


def page_faults() -> int:
    """Return how often the operating system had to give this process a page of memory so far.

    0 on Windows, which does not count them this way.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@cache
def _ready(network: str, form: str) -> nn.Module:
    """Return a trained network in a form that is to be timed."""
    if form not in FORMS:
        raise ValueError(f"expected one of the forms {', '.join(FORMS)}, got {form!r}")
    model = _trained(network)
    import torch

    torch.set_num_threads(1)
    if form == "eager":
        return model
    with torch.inference_mode():
        traced = torch.jit.trace(model, torch.zeros(1, 1, 28, 28))
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


def _trained(network: str) -> nn.Sequential:
    if network not in TRAINED:
        raise ValueError(f"expected one of the networks {', '.join(TRAINED)}, got {network!r}")
    from edge_course.networks import torch_models

    return getattr(torch_models, f"trained_{network}")()
