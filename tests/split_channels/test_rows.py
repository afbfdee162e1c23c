"""Rows divided: the same result as the whole, and the bytes that brute force counts."""

import numpy as np
import pytest

from edge_course.split_channels.layers import Layer, compute_layer, converted, share
from edge_course.split_channels.networks import NETWORKS, first_pictures
from edge_course.split_channels.program import together
from edge_course.split_channels.rows import input_rows, together_by_rows


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 20])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_trained_networks_are_the_same_by_rows(name, workers) -> None:
    layers = converted(NETWORKS[name](), "float64")
    x = first_pictures(2)[0].astype(float)
    whole = together(layers, ["whole"] * len(layers), 1, x).output
    ran = together_by_rows(layers, workers, x)
    np.testing.assert_allclose(ran.output, whole, rtol=0, atol=1e-12)
    assert len(ran.bytes) == workers and any(ran.bytes) == (workers > 1)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (1, 1, 0), (4, 3, 0)]
)
def test_the_rows_that_are_needed_are_those_that_change_the_output(kernel, stride, padding) -> None:
    """Brute force: an input row is needed if a change of it changes the output's rows."""
    layer = Layer("c", "conv", np.ones((1, 1, kernel, kernel)), stride=stride, padding=padding)
    y = compute_layer(layer, np.zeros((1, 1, 12, 6)))[0, 0]
    for start, stop in ((0, 1), (1, 3), (len(y) - 1, len(y))):
        needed = []
        for row in range(12):
            x = np.zeros((1, 1, 12, 6))
            x[:, :, row] = 1
            if compute_layer(layer, x)[0, 0, start:stop].any():
                needed.append(row)
        first, end = input_rows(layer, start, stop)
        assert needed == list(range(max(first, 0), min(end, 12)))


def test_bytes_of_two_convolutions() -> None:
    """Of the first one's 8 rows, each of 2 workers has 4; the second one needs 1 more for 3 x 3."""
    random = np.random.default_rng(0)
    layers = [
        Layer(name, "conv", random.normal(size=(2, 2, 3, 3)), padding=1) for name in ("a", "b")
    ]
    x = random.normal(size=(1, 2, 8, 5))
    row = 2 * 5 * 8  # bytes of float64: channels, width
    assert together_by_rows(layers, 2, x).bytes == (row, row)
    assert together_by_rows(layers, 4, x).bytes == (row, 2 * row, 2 * row, row)
    assert share(8, 2, 1) == (4, 8)
