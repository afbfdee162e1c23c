"""One step of Adam: its size, its memory, its bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.networks.optimizers import adam_step

slopes = st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3)


@given(slopes, st.floats(1e-4, 1))
def test_the_first_step_has_the_size_of_the_learning_rate(slope: float, rate: float) -> None:
    theta, m, v = adam_step(np.zeros(1), np.array([slope]), np.zeros(1), np.zeros(1), 1, rate)
    assert np.isclose(theta[0], -rate * np.sign(slope), rtol=1e-4)
    assert np.isclose(m[0], 0.1 * slope) and np.isclose(v[0], 0.001 * slope**2)


@given(slopes)
def test_a_steady_slope_moves_by_the_learning_rate_on_every_step(slope: float) -> None:
    theta = m = v = np.zeros(1)
    for t in range(1, 6):
        theta, m, v = adam_step(theta, np.array([slope]), m, v, t, 0.01)
    assert np.isclose(theta[0], -0.05 * np.sign(slope), rtol=1e-3)


def test_no_slope_no_step() -> None:
    zeros = np.zeros((2, 3))
    theta, m, v = adam_step(zeros + 7, zeros, zeros, zeros, 1)
    assert (theta == 7).all() and not m.any() and not v.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"m": np.zeros(3)}, "need one shape"),
        ({"gradient": np.array([1, np.inf])}, "NaN or infinity"),
        ({"t": 0}, "counted from 1, got t = 0"),
        ({"learning_rate": 0.0}, "positive learning rate"),
        ({"beta2": 1.0}, "betas from 0 to below 1"),
        ({"epsilon": 0.0}, "positive learning rate and epsilon"),
    ],
)
def test_bad_input_is_refused(change: dict, message: str) -> None:
    given_ = {name: np.zeros(2) for name in ("theta", "gradient", "m", "v")}
    with pytest.raises(ValueError, match=message):
        adam_step(**{**given_, "t": 1, **change})
