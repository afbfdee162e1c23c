"""A Flower app without a framework: each person trains a linear classifier, in NumPy.

`client_app` and `server_app` are what ``flwr run`` starts in processes of their own; the same two
run in one process over `flower.InProcessGrid`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from edge_course import data
from edge_course.federated import watch
from edge_course.networks import nn

_STEPS, _RATE = 20, 0.5  # of gradient descent in a round
_INPUTS = 2 * 6 + 1

client_app, server_app = ClientApp(), ServerApp()


def summaries(windows: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of each channel of a window, and 1: float64 (n, 13)."""
    x = windows[:, :, 0].astype(np.float64)
    return np.concatenate([x.mean(axis=1), x.std(axis=1), np.ones((len(x), 1))], axis=1)


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """Take some steps of gradient descent with the movements of one person."""
    person = int(context.node_config["person"])
    wearer = watch.load_wearers()[person - 1]
    x, target = summaries(wearer.windows), np.eye(len(watch.MOVEMENTS))[wearer.labels]
    weights = message.content["arrays"]["weights"].numpy().copy()
    for _ in range(_STEPS):
        weights -= _RATE * x.T @ (nn.softmax(x @ weights) - target) / len(x)
    arrays = ArrayRecord({"weights": Array(weights)})
    metrics = MetricRecord({"num-examples": len(x), "person": person})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


class PersonByPerson(FedAvg):
    """Flower's FedAvg with one order of additions, whoever answers first."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]):
        """Average the replies in the order of the people."""

        def person(reply: Message) -> int:
            return reply.content["metrics"]["person"] if reply.has_content() else 0

        return super().aggregate_train(server_round, sorted(replies, key=person))


def federate(grid: Grid, rounds: int) -> np.ndarray:
    """Return the weights after some rounds, float64 (13, 7), from zeros on."""
    start = ArrayRecord({"weights": Array(np.zeros((_INPUTS, len(watch.MOVEMENTS))))})
    people = len(list(grid.get_node_ids()))
    strategy = PersonByPerson(
        fraction_evaluate=0.0, min_train_nodes=people, min_available_nodes=people
    )
    return strategy.start(grid, start, num_rounds=rounds).arrays["weights"].numpy()


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds that the settings name, and write the weights where they say."""
    people = int(context.run_config["people"])
    while len(list(grid.get_node_ids())) < people:
        time.sleep(0.1)
    weights = federate(grid, int(context.run_config["rounds"]))
    data.write_whole(Path(context.run_config["result"]), data.npz({"weights": weights}))
