"""Means and medians of models, against Flower's own strategies."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg, FedMedian, Krum

from edge_course.federated import flower  # noqa: F401 - it sets who the messages are from
from edge_course.federated.averaging import weighted_mean
from edge_course.federated.flower import InProcessGrid
from edge_course.federated.robust import coordinate_median, krum
from tests.support.effort import effort


def replies(models: np.ndarray, counts: list[int]) -> list[Message]:
    """What clients answer, as Flower's messages."""
    InProcessGrid(ClientApp(), [])
    return [
        Message(
            RecordDict({
                "arrays": ArrayRecord({"row": Array(model.copy())}),
                "metrics": MetricRecord({"num-examples": count}),
            }),
            dst_node_id=1, message_type="train",
        )
        for model, count in zip(models, counts, strict=True)
    ]  # fmt: skip


def by(strategy: FedAvg, models: np.ndarray, counts: list[int]) -> np.ndarray:
    arrays, _ = strategy.aggregate_train(1, replies(models, counts))
    return arrays["row"].numpy()


CASES = range(effort(20, 300))


def case(seed: int, fewest: int = 2) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(seed)
    clients = int(random.integers(fewest, 12))
    models = random.normal(size=(clients, 501)).astype(np.float32)
    return models, random.integers(1, 900, clients).tolist()


@pytest.mark.parametrize("seed", CASES)
def test_mean_is_flowers_bit_for_bit(seed: int) -> None:
    models, counts = case(seed)
    ours = weighted_mean(models, counts)
    assert ours.dtype == np.float32
    assert np.array_equal(ours, by(FedAvg(), models, counts))


@pytest.mark.parametrize("seed", CASES)
def test_median_is_flowers(seed: int) -> None:
    models, counts = case(seed)
    assert np.array_equal(coordinate_median(models), by(FedMedian(), models, counts))


@pytest.mark.parametrize("seed", CASES)
def test_krum_chooses_as_flower_does(seed: int) -> None:
    models, counts = case(seed, fewest=5)
    liars = (len(models) - 3) // 2
    models[:liars] *= 5
    chosen = krum(models, liars)
    assert chosen >= liars
    assert np.array_equal(models[chosen], by(Krum(num_malicious_nodes=liars), models, counts))


@pytest.mark.parametrize(
    ("models", "counts"),
    [([], []), ([[1.0], [1.0, 2.0]], [1, 1]), ([[1.0]], [0]), ([[1.0]], [1, 2]), ([[[1.0]]], [1])],
)
def test_mean_refuses(models: list, counts: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        weighted_mean([np.array(model) for model in models], counts)


def test_krum_refuses_too_few() -> None:
    with pytest.raises(ValueError, match="at least 5 models, got 4"):
        krum(np.eye(4), 2)
