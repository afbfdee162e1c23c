"""Which layers suffer from few bits, and which share of a loss training wins back."""

from __future__ import annotations

import numpy as np
import torch
from tqdm.auto import tqdm

from edge_course.networks.torch_training import as_labels, scores_loss
from edge_course.quantization_aware.export import export_litert
from edge_course.quantization_aware.network import QuantizedNetwork
from edge_course.runtimes import litert


def bit_sensitivity(
    network: QuantizedNetwork,
    images: np.ndarray,
    labels: np.ndarray,
    choices: tuple[int, ...],
    template: bytes | None = None,
) -> dict[str, list[float]]:
    """Return the loss when one layer alone gets few bits, for each layer and each choice.

    All other layers keep their bits, and the network is left as it was. Each variant is
    exported and computed by LiteRT.

    Parameters
    ----------
    network : calibrated.
    images, labels : as of `torch_training.fit`; training pictures, so that no test picture
        has a say in the choice.
    choices : bits to try, each 2 to 8.
    template : as of `export.export_litert`.

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
        file = export_litert(network, template)
        answers = litert.Runner(file).scores(images)  # the runtime: exact and quick
        return scores_loss(torch.from_numpy(answers), y).item()

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
