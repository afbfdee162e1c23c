"""The recipe of the network that is made to be cut, see `edge_course.split_layers.bottleneck`."""

from __future__ import annotations

import copy

import numpy as np

from edge_course import data, fashion_mnist
from edge_course.split_layers.bottleneck_training import (
    BOTTLENECK_EPOCHS,
    BOTTLENECK_RATE,
    BOTTLENECK_SEED,
    RATES_FILE,
    train_bottleneck,
)

_SEEDS = tuple(range(BOTTLENECK_SEED, BOTTLENECK_SEED + 3))
_BITS = (8, 4, 2)
_MORE_EPOCHS, _MORE_RATE = 4, 0.003  # with the rounding to fewer bits


def make_bottleneck_cnn() -> dict[str, bytes]:
    """Train the bottleneck CNN on the 10,000 images; return it and its early exit as ONNX.

    AdamW with a one-cycle learning rate; every batch is moved by up to one pixel, and half
    of its pictures are mirrored. About two minutes on one core.
    """
    return train_bottleneck(10_000, BOTTLENECK_EPOCHS)


def make_split_rates() -> dict[str, bytes]:
    """Train the bottleneck CNN, and its rival for pictures of half the size, from three seeds.

    Both are trained as the bottleneck CNN is. Kept is which test pictures each gets right if what
    crosses is rounded to 8, 4 or 2 bits; and to 4 or 2 bits after four more epochs in which it
    was rounded so. About nine minutes on one core.
    """
    import torch

    from edge_course.split_layers import bottleneck

    torch.use_deterministic_algorithms(True)
    rivals = {
        "codes": (bottleneck.BottleneckCnn, bottleneck.LARGEST),
        "picture": (bottleneck.SmallPictureCnn, 1.0),
    }
    arrays = {
        "bits": np.array(_BITS + _BITS[1:]),
        "knowing": np.repeat([False, True], (len(_BITS), len(_BITS) - 1)),
    }
    for name, (network, largest) in rivals.items():
        right = [_right(network, largest, seed) for seed in _SEEDS]
        arrays[name] = np.packbits(right, axis=-1)
    return {RATES_FILE: data.npz(arrays)}


def _right(network, largest: float, seed: int) -> np.ndarray:
    """Return which test pictures a network gets right, bool (5, 10000): a row for each rounding."""
    import torch

    from edge_course.networks import torch_training
    from edge_course.split_layers import bottleneck

    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    images, unseen = fashion_mnist.preprocess(train.images), fashion_mnist.preprocess(test.images)
    codes = network is bottleneck.BottleneckCnn
    settings = {"loss": bottleneck.loss if codes else torch_training.label_loss, "augment": True}
    torch.manual_seed(seed)
    model = network()
    torch_training.fit(
        model, images, train.labels, epochs=BOTTLENECK_EPOCHS, rate=BOTTLENECK_RATE, **settings
    )
    rounded = [copy.deepcopy(model) for _ in _BITS + _BITS[1:]]
    for number, bits in enumerate(_BITS + _BITS[1:]):
        rounded[number].rounding = bottleneck.StraightRounding(bits, largest)
        if number >= len(_BITS):
            torch.manual_seed(seed)
            torch_training.fit(
                rounded[number], images, train.labels, epochs=_MORE_EPOCHS, rate=_MORE_RATE,
                **settings,
            )  # fmt: skip
    scores = [torch_training.scores(each, unseen) for each in rounded]
    return np.array(scores).argmax(axis=-1) == test.labels
