"""Labelled pictures of any size and colour, drawn on the spot: data for a network of your own."""

from __future__ import annotations

import numpy as np


def pictures(
    count: int, shape: tuple[int, int, int] = (24, 24, 3), classes: int = 4, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw striped pictures; the class is the direction of the stripes.

    Width, position and colours of the stripes are random and say nothing about the class, and
    noise lies over all of it. So a network has to look for edges, as it does in photographs.

    Parameters
    ----------
    count : int
        How many pictures.
    shape : tuple of int
        Height, width and channels.
    classes : int
        How many directions, evenly spaced over half a turn.
    seed : int
        Other seeds draw other pictures of the same kind: one for training, one for testing.

    Returns
    -------
    pictures : numpy.ndarray
        float32, (count, height, width, channels), from 0 to 1.
    labels : numpy.ndarray
        int64, (count,), from 0 to `classes` - 1.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    random = np.random.default_rng(seed)
    height, width, channels = shape
    labels = random.integers(classes, size=count)
    angle = (np.pi * labels / classes)[:, None, None]  # (count, 1, 1)
    y, x = np.mgrid[:height, :width]  # (height, width) each
    along = x * np.cos(angle) + y * np.sin(angle)  # (count, height, width)
    period, start = random.uniform(4, 10, (count, 1, 1)), random.uniform(size=(count, 1, 1))
    light = 0.5 + 0.5 * np.sin(2 * np.pi * (along / period + start))[..., None]
    one, other = random.uniform(size=(2, count, 1, 1, channels))  # the colours
    drawn = light * one + (1 - light) * other
    drawn += random.normal(scale=0.15, size=drawn.shape)
    return np.clip(drawn, 0, 1).astype(np.float32), labels
