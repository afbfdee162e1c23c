"""A whole federation in one process: networks in PyTorch, the strategy and messages of Flower."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp.strategy import Strategy
from torch import nn

from edge_course import measure
from edge_course.federated import flower, local
from edge_course.federated.watch import Wearer
from edge_course.networks import torch_training

Pack = Callable[[np.ndarray, Context], ArrayRecord]


class Federation(NamedTuple):
    """What a federation came to.

    Attributes
    ----------
    accuracy : share of the unseen people's windows that are right, before the first round and
        after each, float64 (rounds + 1,).
    model : the network after the last round, in evaluation mode.
    grid : has all messages.
    """

    accuracy: np.ndarray
    model: nn.Module
    grid: flower.InProcessGrid

    def bytes_up(self) -> int:
        """Return the bytes of all messages from clients to the server."""
        return sum(len(crossing.content) for crossing in self.grid.crossed if crossing.up)


def run_rounds(
    strategy: Strategy,
    people: Sequence[Wearer],
    unseen: Sequence[Wearer],
    *,
    rounds: int = 15,
    epochs: int = 1,
    seed: int = 0,
    pack: Pack | None = None,
    equal: bool = False,
    build: Callable[[], nn.Module] = local.watch_cnn,
) -> Federation:
    """Let people train one network, each on the own device, and test it on others.

    Parameters
    ----------
    strategy : of Flower, such as ``FedAvg(fraction_evaluate=0.0)``.
    people : those who take part.
    unseen : those on whose windows the network is tested.
    rounds, epochs : of the federation, and of each person in a round.
    seed : of the first weights, the order of the windows, and the strategy's random numbers.
    pack : makes an update small, such as `flower.small_int8`, for `flower.SmallUpdates`; without
        it whole models are sent.
    equal : let each person count as one example, as differential privacy needs it.
    build : returns the untrained network.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    torch.manual_seed(seed)
    model = build()
    random.seed(seed)  # Flower's choice of clients
    np.random.seed(seed)  # noqa: NPY002 - Flower's noise
    x = np.concatenate([wearer.windows for wearer in unseen])
    y = np.concatenate([wearer.labels for wearer in unseen])

    def loaded(arrays: ArrayRecord) -> nn.Module:
        model.load_state_dict(arrays.to_torch_state_dict())
        return model.eval()

    def train(context: Context, arrays: ArrayRecord, config: dict) -> tuple[ArrayRecord, int]:
        wearer = people[context.node_config["number"]]
        local.train_locally(
            loaded(arrays), wearer.windows, wearer.labels, epochs=epochs,
            seed=1000 * seed + config["server-round"], pull=config.get("proximal-mu", 0.0),
        )  # fmt: skip
        trained = ArrayRecord(model.state_dict())
        if pack is not None:
            trained = pack(flower.flat(trained) - flower.flat(arrays), context)
        return trained, 1 if equal else len(wearer.labels)

    def evaluate(_: int, arrays: ArrayRecord) -> MetricRecord:
        found = torch_training.scores(loaded(arrays), x).argmax(axis=1)
        return MetricRecord({"accuracy": measure.agreement(found, y)})

    nodes = [{"number": number} for number in range(len(people))]
    grid = flower.InProcessGrid(flower.training_app(train), nodes)
    start = ArrayRecord(model.state_dict())
    result = strategy.start(grid, start, num_rounds=rounds, evaluate_fn=evaluate)
    measured = [record["accuracy"] for record in result.evaluate_metrics_serverapp.values()]
    return Federation(np.array(measured), loaded(result.arrays), grid)
