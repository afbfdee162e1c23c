"""A batch normalisation folded into a layer computes what the two did one after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.networks import nn
from edge_course.networks.batch_norm import fold_batch_norm


def example(seed: int, out: int = 3, channels_in: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = {name: rng.normal(size=out) for name in ("bias", "gamma", "beta", "mean")}
    weight = rng.normal(size=(out, channels_in, 3, 2))
    return {"weight": weight, **vectors, "variance": rng.random(out)}


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1e-5, 1.0]))
def test_convolution_with_folded_weights_is_convolution_then_norm(
    seed: int, out: int, channels_in: int, epsilon: float
) -> None:
    layer = example(seed, out, channels_in)
    images = np.random.default_rng(seed + 1).normal(size=(2, 4, 5, channels_in))
    y = nn.conv2d(images, layer["weight"].transpose(2, 3, 1, 0), layer["bias"])
    root = np.sqrt(layer["variance"] + epsilon)
    expected = layer["gamma"] * (y - layer["mean"]) / root + layer["beta"]
    weight, bias = fold_batch_norm(**layer, epsilon=epsilon)
    found = nn.conv2d(images, weight.transpose(2, 3, 1, 0), bias)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_what_was_given_stays_as_it_is_and_float32_stays_float32() -> None:
    layer = {name: array.astype(np.float32) for name, array in example(0).items()}
    before = {name: array.copy() for name, array in layer.items()}
    weight, bias = fold_batch_norm(**layer)
    assert weight.dtype == bias.dtype == np.float32
    assert all(np.array_equal(layer[name], before[name]) for name in layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.ones(3)}, r"weight: expected shape \(channels_out, …\), got \(3,\)"),
        ({"weight": np.ones((0, 2))}, "weight: expected shape"),
        ({"gamma": np.ones(2)}, "gamma: expected one number for each of the weight's 3"),
        ({"mean": np.array([0, np.nan, 0])}, "mean: it has NaN or infinity"),
        ({"variance": -np.ones(3)}, r"variance \+ epsilon: expected positive"),
        ({"variance": np.zeros(3), "epsilon": 0.0}, r"variance \+ epsilon: expected positive"),
    ],
)
def test_bad_input_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fold_batch_norm(**{**example(0), **change})
