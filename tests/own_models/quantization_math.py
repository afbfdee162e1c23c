"""A network for the own-model cells of notebook 07: another shape, other classes, a sum."""

import keras
import numpy as np
from keras import layers

from edge_course import stripes


def network() -> keras.Model:
    """Batch normalisation, ReLU6, a sum, average pooling; 20 × 16 pictures of one channel."""
    x = start = keras.Input((20, 16, 1))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(x)
    x = branch = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(5, padding="same", activation="relu")(x)
    x = layers.Add()([layers.Conv2D(6, 1)(x), branch])
    x = layers.AveragePooling2D(4)(x)
    return keras.Model(start, layers.Dense(3)(layers.Flatten()(x)))


def data() -> tuple[np.ndarray, np.ndarray]:
    """Striped pictures of three directions."""
    return stripes.pictures(400, (20, 16, 1), classes=3, seed=5)
