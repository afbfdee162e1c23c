"""The recipe of the network that is made to be cut, see `edge_course.split_layers.bottleneck`."""

from __future__ import annotations

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
_EPOCHS = 6  # of the networks of which only the answers are kept
_BITS = (8, 4, 2)


def make_bottleneck_cnn() -> dict[str, bytes]:
    """Train the bottleneck CNN on the 10,000 images; return it and its early exit as ONNX.

    AdamW with a one-cycle learning rate; every batch is moved by up to one pixel, and half
    of its pictures are mirrored. About two minutes on one core.
    """
    return train_bottleneck(10_000, BOTTLENECK_EPOCHS)


def make_split_rates() -> dict[str, bytes]:
    """Train bottlenecks of several widths, and networks for small pictures, from three seeds.

    Kept is which test pictures each gets right if what crosses is rounded to 8, 4 or 2 bits.
    But for the fewer epochs they are trained as the bottleneck CNN is; five minutes on one core.
    """
    import torch

    from edge_course.networks import torch_training
    from edge_course.split_layers import bottleneck

    torch.use_deterministic_algorithms(True)
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    images, unseen = fashion_mnist.preprocess(train.images), fashion_mnist.preprocess(test.images)
    networks = [(bottleneck.BottleneckCnn, n, bottleneck.LARGEST) for n in (1, 2, 4)]
    networks += [(bottleneck.SmallPictureCnn, factor, 1.0) for factor in (4, 2)]
    names, sizes, right = [], [], []
    for network, setting, largest in networks:
        for_seeds = []
        for seed in _SEEDS:
            torch.manual_seed(seed)
            model, codes = network(setting), network is bottleneck.BottleneckCnn
            loss = bottleneck.loss if codes else torch_training.label_loss
            torch_training.fit(
                model, images, train.labels, epochs=_EPOCHS, rate=BOTTLENECK_RATE,
                loss=loss, augment=True,
            )  # fmt: skip
            with torch.no_grad(), torch_training.one_thread():
                crossing = model.head(torch.from_numpy(unseen).permute(0, 3, 1, 2))
                answers = []
                for bits in _BITS:
                    step = largest / (2**bits - 1)
                    batches = (torch.round(crossing / step) * step).split(500)
                    answers.append(torch.cat([model.tail(x).argmax(1) for x in batches]).numpy())
            for_seeds.append(np.array(answers) == test.labels)
        names.append("codes" if codes else "picture")
        sizes.append(crossing[0].numel())
        right.append(for_seeds)
    arrays = {"names": np.array(names), "numbers": np.array(sizes), "bits": np.array(_BITS)}
    return {RATES_FILE: data.npz(arrays | {"right": np.packbits(right, axis=-1)})}
