"""Weights against the equations that they must solve, other weights, and simulated errors."""

import numpy as np
import pytest

from edge_course.crossing import QUARTERS_A_WEEK, load_crossing
from edge_course.fusion import weights
from edge_course.fusion.cleaning import fill_gaps
from edge_course.fusion.forecaster import clock, features, fit_linear
from tests.support.effort import effort


def random_products(random: np.random.Generator, nodes: int) -> np.ndarray:
    errors = random.normal(0, random.uniform(1, 50, nodes), (4 * nodes + 20, nodes))
    errors += random.normal(0, random.uniform(0, 50), (len(errors), 1))  # what all have in common
    return errors.T @ errors / len(errors)


@pytest.mark.parametrize("seed", range(200))
def test_minimum_variance_solves_the_equations_of_lagrange(seed) -> None:
    """2 C w = λ 1 and 1ᵀ w = 1, solved as one system of n + 1 equations."""
    random = np.random.default_rng(seed)
    nodes = int(random.integers(1, 25))
    products = random_products(random, nodes)
    system = np.block([[2 * products, -np.ones((nodes, 1))], [np.ones((1, nodes)), 0]])
    expected = np.linalg.solve(system, [*np.zeros(nodes), 1])[:-1]
    found = weights.minimum_variance(products)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    # No other weights of sum 1 are better, nor is any single node.
    others = random.normal(size=(50, nodes))
    others = np.concatenate([others / others.sum(axis=1, keepdims=True), np.eye(nodes)])
    least = found @ products @ found
    assert (np.einsum("ki,ij,kj->k", others, products, others) >= least * (1 - 1e-9)).all()


def test_without_common_errors_both_weights_are_the_same() -> None:
    products = np.diag([1.0, 4.0, 16.0])
    np.testing.assert_allclose(weights.minimum_variance(products), [16 / 21, 4 / 21, 1 / 21])
    np.testing.assert_allclose(weights.inverse_variance(products), [16 / 21, 4 / 21, 1 / 21])


@pytest.mark.parametrize("nodes", [1, 2, 7, 50])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
def test_the_error_of_a_mean_is_that_of_its_matrix(nodes, correlation) -> None:
    products = 9 * (correlation + (1 - correlation) * np.eye(nodes))
    mean = np.full(nodes, 1 / nodes)
    found = weights.error_of_the_mean(9, correlation, nodes)
    assert found == pytest.approx(mean @ products @ mean)
    if nodes > 1:
        assert weights.mean_correlation(products) == pytest.approx(correlation)


def test_products_are_means_over_steps() -> None:
    random = np.random.default_rng(0)
    forecasts, target = random.normal(size=(effort(500, 5000), 3)), random.normal(size=1)
    target = np.repeat(target, len(forecasts))
    found = weights.error_products(forecasts, target)
    for i in range(3):
        for j in range(3):
            both = [(f[i] - y) * (f[j] - y) for f, y in zip(forecasts, target, strict=True)]
            assert found[i, j] == pytest.approx(np.mean(both))


def test_whoever_is_there_together_they_are_no_worse_than_the_best_of_them() -> None:
    """On the days that the weights come from: by squares always, by amounts within 5 %."""
    crossing = load_crossing()
    counts = np.stack([fill_gaps(x, QUARTERS_A_WEEK) for x in crossing.counts.T])
    total, times = counts.sum(axis=0), crossing.times()
    train, validation = np.arange(7 * 96, 12 * 96), np.arange(12 * 96, 19 * 96)

    def own(x: np.ndarray, steps: np.ndarray) -> np.ndarray:
        return features(x, steps, 4, clock(times[steps + 4]))

    models = [fit_linear(own(x, train), total[train + 4]) for x in counts]
    pairs = zip(models, counts, strict=True)
    forecasts = np.stack([m.predict(own(x, validation)) for m, x in pairs], axis=1)
    errors = forecasts - total[validation + 4, np.newaxis]  # (steps, 22)
    products = weights.error_products(forecasts, total[validation + 4])
    random = np.random.default_rng(0)
    for _ in range(effort(300, 5000)):
        present = np.flatnonzero(random.random(22) < random.uniform(0.05, 1))
        if not len(present):
            continue
        fused = errors[:, present] @ weights.minimum_variance(products[np.ix_(present, present)])
        alone = errors[:, present]
        assert (fused**2).mean() <= (alone**2).mean(axis=0).min() * (1 + 1e-9)
        assert np.abs(fused).mean() <= 1.05 * np.abs(alone).mean(axis=0).min()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weights.error_products(np.ones((2, 2)), np.ones(3)), "forecasts .t, nodes"),
        (lambda: weights.error_products(np.full((2, 2), np.nan), np.ones(2)), "finite"),
        (lambda: weights.minimum_variance(np.ones((2, 2))), "follow from those of others"),
        (lambda: weights.minimum_variance(np.ones((2, 3))), "symmetric matrix"),
        (lambda: weights.minimum_variance([[1.0, 2.0], [0.0, 1.0]]), "symmetric matrix"),
        (lambda: weights.inverse_variance(np.zeros((2, 2))), "above 0"),
        (lambda: weights.mean_correlation(np.ones((1, 1))), "at least two nodes"),
        (lambda: weights.error_of_the_mean(1, 1.5, 2), "a correlation from 0 to 1"),
        (lambda: weights.error_of_the_mean(1, 0.5, 0), "at least one node"),
    ],
)
def test_other_things_are_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
