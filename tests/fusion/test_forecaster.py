"""A node's small model, against least squares, a calendar, and its own file in LiteRT."""

import datetime

import numpy as np
import pytest

from edge_course.crossing import MISSING, QUARTERS_A_WEEK, load_crossing
from edge_course.frameworks.in_tensorflow import with_tensorflow
from edge_course.fusion.forecaster import RECENT, clock, features, fit_linear, to_litert
from edge_course.runtimes import litert


def test_the_model_is_that_of_least_squares_with_more_rows() -> None:
    """Ridge regression is least squares on data with √strength · I below it (Hoerl, Kennard)."""
    random = np.random.default_rng(0)
    x, y = random.normal(3, [1, 5, 0.1], (40, 3)), random.normal(size=40)
    for strength in (0.0, 1.0, 30.0):
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        rows = np.concatenate([z, np.sqrt(strength) * np.eye(3)])
        expected = np.linalg.lstsq(rows, np.concatenate([y - y.mean(), np.zeros(3)]))[0]
        model = fit_linear(x, y, strength)
        np.testing.assert_allclose(model.weights, expected, atol=1e-6)
        np.testing.assert_allclose(model.predict(x), z @ expected + y.mean(), atol=1e-5)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    x = np.stack([np.arange(5.0), np.full(5, 7.0)], axis=1)
    np.testing.assert_allclose(fit_linear(x, x[:, 0], 1e-9).predict(x), x[:, 0], atol=1e-4)


def test_the_clock_is_the_calendars() -> None:
    times = np.datetime64("2024-04-18T00:00", "m") + np.arange(0, 10_080, 15)
    found = clock(times, waves=1)
    for time, (sine, cosine, weekend) in zip(times, found, strict=True):
        then: datetime.datetime = time.item()
        turn = 2 * np.pi * (then.hour * 60 + then.minute) / 1440
        assert (weekend == 1) == (then.weekday() >= 5)
        assert (sine, cosine) == pytest.approx((np.sin(turn), np.cos(turn)), abs=1e-12)
    assert clock(times, 3).shape[1] == 7 and clock(times, 3, weekend_shape=True).shape[1] == 13


def test_features_look_back_only() -> None:
    counts = np.arange(2000.0)
    steps = np.array([700, 1999])
    found = features(counts, steps, 4, np.full((2, 1), 9))
    week = QUARTERS_A_WEEK - 4
    assert found.tolist() == [[s, s - 1, s - 2, s - 3, s - week, 9] for s in steps]


@pytest.mark.parametrize(
    ("steps", "ahead", "message"),
    [
        ([667], 4, "steps from 668"), ([2000], 4, "to 1999"), ([], 4, "a clock for each"),
        ([700], 0, "a forecast of 1 to"), ([700], QUARTERS_A_WEEK + 1, "a forecast of 1 to"),
        ([RECENT - 2], QUARTERS_A_WEEK, "steps from 3"),
    ],
)  # fmt: skip
def test_steps_without_a_past_are_refused(steps, ahead, message) -> None:
    with pytest.raises(ValueError, match=message):
        features(np.arange(2000.0), np.array(steps, int), ahead, np.zeros((len(steps), 1)))


@pytest.mark.parametrize(
    ("x", "y", "strength"),
    [
        (np.ones(3), np.ones(3), 1), (np.ones((3, 2)), np.ones(2), 1),
        (np.ones((3, 2)), np.ones(3), -1), (np.full((3, 2), np.nan), np.ones(3), 1),
        (np.ones((0, 2)), np.ones(0), 1),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(x, y, strength) -> None:
    with pytest.raises(ValueError, match="expected"):
        fit_linear(x, y, strength)


def test_a_file_forecasts_what_its_model_does() -> None:
    """An int8 file may be off by half a step at its output, and by its rounded inputs."""
    random = np.random.default_rng(0)
    x = random.normal(20, 5, (300, 6))
    model = fit_linear(x, x @ random.normal(size=6) * 10 + 400)
    inputs = model.normalise(x)
    (file,) = with_tensorflow(to_litert, [(model.weights, model.bias)], [inputs])
    runner = litert.Runner(file, require_int8=True)
    expected = model.predict(x)
    spread = expected.max() - expected.min()
    rounding = np.abs(model.weights).sum() * np.abs(inputs).max() / 127
    assert np.abs(runner.run(inputs)[:, 0] - expected).max() < spread / 255 + rounding


def test_the_counts_are_those_of_a_real_crossing() -> None:
    crossing = load_crossing()
    assert crossing.counts.shape == (2496, 22) and len(crossing.detectors) == 22
    times = crossing.times()
    assert times[0] == np.datetime64("2024-04-18T00:00")
    assert times[-1] == np.datetime64("2024-05-13T23:45")
    assert np.isnan(crossing.counts).sum() == 88 and np.nanmax(crossing.counts) < MISSING
    night = crossing.counts[np.isin((times - times[0]).astype(int) % 1440 // 60, [2, 3])]
    assert np.nanmean(night) < np.nanmean(crossing.counts) / 4
