"""Striped pictures: the class is in the direction, and only there."""

import numpy as np
import pytest

from edge_course import stripes


@pytest.mark.parametrize("shape", [(24, 24, 3), (17, 30, 1)])
def test_shapes_and_ranges_are_as_asked(shape) -> None:
    pictures, labels = stripes.pictures(300, shape, classes=5)
    assert pictures.shape == (300, *shape) and pictures.dtype == np.float32
    assert pictures.min() >= 0 and pictures.max() <= 1
    assert set(labels) == set(range(5)) and labels.dtype == np.int64


def test_a_seed_draws_the_same_again_and_another_draws_others() -> None:
    first, again, other = (stripes.pictures(50, seed=seed)[0] for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_spectrum_tells_the_class_and_the_mean_picture_does_not() -> None:
    pictures, labels = stripes.pictures(400, (32, 32, 1), classes=4, seed=1)
    gray = pictures[..., 0] - pictures[..., 0].mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(gray)) ** 2  # (400, 32, 32)
    y, x = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    peak = power.reshape(400, -1).argmax(axis=1)
    angle = np.arctan2(y.ravel()[peak], x.ravel()[peak])
    guess = np.rint(4 * angle / np.pi).astype(int) % 4
    assert (guess == labels).mean() > 0.8
    means = np.array([gray[labels == c].mean(0) for c in range(4)])
    assert np.abs(means).max() < 0.3
