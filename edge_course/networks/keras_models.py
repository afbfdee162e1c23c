"""The networks of the course, and their trained weights."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import safetensors.numpy

from edge_course import data, measure
from edge_course.networks import SEED_CNN_WEIGHTS

if TYPE_CHECKING:
    import keras


def seed_cnn() -> keras.Model:
    """Return the seed CNN in Keras, untrained: Conv 32 3×3 – max-pool – Dense 128 – Dense 10.

    Input float32 (n, 28, 28, 1) from 0 to 1; output float32 (n, 10), one score per class
    (a logit: softmax would turn the ten into probabilities).

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="hidden"),
            layers.Dense(10, name="scores"),
        ],
        name="seed_cnn",
    )


def plain_cnn(width: int) -> keras.Model:
    """Return a small depthwise CNN in Keras, untrained, as tutorials build it.

    A convolution of stride 2, three separable ones, and the mean over 7 × 7 places.
    Input float32 (n, 28, 28, 1) from 0 to 1; output float32 (n, 10), one score per class.

    Parameters
    ----------
    width : channels of the first convolution; the last one has four times as many.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((28, 28, 1))], name="plain_cnn")
    for channels, stride in ((width, 2), (2 * width, 2), (2 * width, 1), (4 * width, 1)):
        if len(model.layers):
            model.add(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False))
            model.add(layers.BatchNormalization())
            model.add(layers.ReLU(6))
            model.add(layers.Conv2D(channels, 1, use_bias=False))
        else:
            model.add(layers.Conv2D(channels, 3, stride, padding="same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU(6))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    return model


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Return a Keras model's weights as "layer/kernel" or "layer/bias" → array."""
    return {f"{layer.name}/{w.name}": w.numpy() for layer in model.layers for w in layer.weights}


def set_weights(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Give a Keras model weights that `weights` returned.

    Raises
    ------
    ValueError
        If a weight is missing, is one too many, or has another shape.
    """
    variables = {f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights}
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    given = {name: array.shape for name, array in arrays.items()}
    if given != expected:
        raise ValueError(f"these weights are of another network: expected {expected}, got {given}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def trained_seed_cnn() -> keras.Model:
    """Return the seed CNN in Keras with the weights that come with the course.

    Raises
    ------
    edge_course.data.DataError
        If the file of weights is missing or altered.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    model = seed_cnn()
    set_weights(model, safetensors.numpy.load(data.read(SEED_CNN_WEIGHTS)))
    return model


class LayerCost(NamedTuple):
    """What one layer costs for one image.

    Attributes
    ----------
    memory : how many numbers its input and its output hold together: bytes, if they are int8.
        The largest of a network that is a plain row of layers is its peak activation memory.
    """

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    memory: int


def layer_costs(model: keras.Model) -> list[LayerCost]:
    """Return name, output shape, parameters, MACs and activation memory of every layer.

    Raises
    ------
    ValueError
        If the model has a layer with weights that is neither a convolution nor dense.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    import keras

    costs = []
    for layer in model.layers:
        shape = tuple(layer.output.shape[1:])
        if isinstance(layer, keras.layers.Conv2D):
            macs = measure.conv_macs(shape, layer.kernel_size, layer.input.shape[-1], layer.groups)
        elif isinstance(layer, keras.layers.Dense):
            macs = measure.dense_macs(layer.input.shape[-1], layer.units)
        elif layer.weights:
            raise ValueError(f"cannot count the layer {layer.name} ({type(layer).__name__})")
        else:
            macs = 0
        tensors = keras.tree.flatten([layer.input, layer.output])
        memory = sum(prod(tensor.shape[1:]) for tensor in tensors)
        costs.append(LayerCost(layer.name, shape, layer.count_params(), macs, memory))
    return costs


def widest_network(
    shape: tuple[int, int, int], classes: int, parameters: int, memory: int
) -> tuple[int, int, int]:
    """Build Conv 3×3 – max-pool – Dense with 2, 4 or 8 filters; tell which is the widest allowed.

    Parameters
    ----------
    shape : (height, width, channels) of the picture.
    classes : how many scores the network gives.
    parameters : it may have so many at most.
    memory : the input and output of each layer may hold so many numbers at most, together.

    Returns
    -------
    tuple of int
        Its filters, its parameters, and the numbers of the layer that holds most; three zeros if
        no width keeps both budgets.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    import keras
    from keras import layers

    widest = (0, 0, 0)
    for filters in (2, 4, 8):
        model = keras.Sequential(
            [
                keras.Input(shape),
                layers.Conv2D(filters, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(classes),
            ]
        )
        most = max(cost.memory for cost in layer_costs(model))
        if model.count_params() > parameters or most > memory:
            break  # more filters cost more of both
        widest = (filters, model.count_params(), most)
    return widest
