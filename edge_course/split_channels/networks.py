"""The two trained networks of the course as layers that can be divided by channels; NumPy only."""

from __future__ import annotations

import numpy as np
import safetensors.numpy

from edge_course import data, fashion_mnist
from edge_course.networks import DEPTHWISE_CNN_WEIGHTS, SEED_CNN_WEIGHTS
from edge_course.networks.batch_norm import fold_batch_norm
from edge_course.split_channels.layers import Layer

_SIDE = 13  # height and width of what the seed CNN's dense layer sees


def seed_cnn_layers() -> tuple[Layer, ...]:
    """Return the trained seed CNN: conv, pool, hidden, scores; float32.

    The kernels of the file are Keras' (height, width, in, out); here they are PyTorch's (out,
    in, height, width), the hidden layer's too: (128, 32, 13, 13), so that its inputs can be
    cut by channels.

    Raises
    ------
    edge_course.data.DataError
        If the file of weights is missing or altered.
    """
    w = safetensors.numpy.load(data.read(SEED_CNN_WEIGHTS))
    conv = w["conv/kernel"].transpose(3, 2, 0, 1)
    # (13 · 13 · 32, 128) → (13, 13, 32, 128) → (128, 32, 13, 13)
    hidden = w["hidden/kernel"].reshape(_SIDE, _SIDE, len(conv), -1).transpose(3, 2, 0, 1)
    return (
        Layer("conv", "conv", np.ascontiguousarray(conv), w["conv/bias"], activation="relu"),
        Layer("pool", "max_pool"),
        Layer("hidden", "dense", np.ascontiguousarray(hidden), w["hidden/bias"], activation="relu"),
        Layer("scores", "dense", np.ascontiguousarray(w["scores/kernel"].T), w["scores/bias"]),
    )


def depthwise_cnn_layers() -> tuple[Layer, ...]:
    """Return the trained depthwise-separable CNN, its batch normalisations folded in; float32.

    stem, then depth and point of each of four blocks, mean, scores. The second and the fourth
    block add their input.

    Raises
    ------
    edge_course.data.DataError
        If the file of weights is missing or altered.
    """
    w = safetensors.numpy.load(data.read(DEPTHWISE_CNN_WEIGHTS))

    def folded(name: str) -> tuple[np.ndarray, np.ndarray]:
        kernel = w[f"{name}.conv.weight"]
        norm = [w[f"{name}.norm.{k}"] for k in ("weight", "bias", "running_mean", "running_var")]
        weight, bias = fold_batch_norm(kernel, np.zeros(len(kernel), np.float32), *norm)
        return weight.astype(np.float32), bias.astype(np.float32)

    layers = [Layer("stem", "conv", *folded("stem"), padding=1, activation="relu6")]
    for number, stride in enumerate((2, 1, 2, 1), 1):
        kernel, bias = folded(f"block{number}.depthwise")
        depth = Layer(
            f"depth{number}", "depthwise", kernel[:, 0], bias, stride, 1, activation="relu6"
        )
        weight, bias = folded(f"block{number}.pointwise")
        added = layers[-1].name if stride == 1 else ""
        point = Layer(f"point{number}", "conv", weight, bias, activation="relu", add=added)
        layers += [depth, point]
    scores = Layer("scores", "dense", w["scores.weight"], w["scores.bias"])
    return (*layers, Layer("mean", "mean"), scores)


NETWORKS = {"seed_cnn": seed_cnn_layers, "depthwise_cnn": depthwise_cnn_layers}


def first_pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first test pictures, float32 (count, 1, 28, 28) from 0 to 1, and their classes.

    Raises
    ------
    edge_course.data.DataError
        If the file of pictures is missing or altered.
    ValueError
        If there are not so many.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    test = fashion_mnist.load("test")
    if not 1 <= count <= len(test.labels):
        raise ValueError(f"expected 1 to {len(test.labels)} pictures, got {count}")
    return fashion_mnist.preprocess(test.images[:count]).transpose(0, 3, 1, 2), test.labels[:count]
