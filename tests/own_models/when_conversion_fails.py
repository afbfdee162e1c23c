"""A network for the own-model cells of notebook 06: another shape, other classes, a sum."""

import keras
import numpy as np
from keras import layers

from edge_course import stripes


def network() -> keras.Model:
    """A functional network with a residual sum and max-pooling; 18 × 22 pictures, one channel."""
    start = keras.Input((18, 22, 1))
    x = branch = layers.Conv2D(6, 3, padding="same", activation="relu")(start)
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x))
    x = layers.ReLU(6.0)(layers.Add()([x, branch]))
    x = layers.MaxPooling2D(3)(x)
    return keras.Model(start, layers.Dense(3)(layers.Flatten()(x)))


def data() -> tuple[np.ndarray, np.ndarray]:
    """Striped pictures of three directions."""
    return stripes.pictures(300, (18, 22, 1), classes=3, seed=5)
