"""The recipe of the pictures in ``data/``."""

from __future__ import annotations

from edge_course import data, fashion_mnist


def make_fashion_mnist() -> dict[str, bytes]:
    """Return 1,000 training images of each class, and the whole test set, as .npz files."""
    train, test = fashion_mnist.original("train"), fashion_mnist.original("t10k")
    kept = fashion_mnist.first_of_each_class(train.labels, 1000)
    subset = fashion_mnist.LabelledImages(train.images[kept], train.labels[kept])
    return {
        "fashion_mnist_train.npz": data.npz(subset._asdict()),
        "fashion_mnist_test.npz": data.npz(test._asdict()),
    }
