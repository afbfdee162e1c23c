"""Flower in one process: its strategies and client apps, with function calls for a network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.task_identity import TaskIdentity

from edge_course.federated import updates

logging.getLogger("flwr").setLevel(logging.ERROR)  # a page for every round otherwise
APP_FAILED = 1  # Flower's code for a client app that raised

Train = Callable[[Context, ArrayRecord, Mapping], tuple[ArrayRecord, int]]


class Crossing(NamedTuple):
    """A message that crossed between the server and a client.

    Attributes
    ----------
    up : from the client to the server.
    node : the client's number.
    content : the message in Flower's own bytes.
    """

    up: bool
    node: int
    content: bytes

    def message(self) -> Message:
        """Return the message itself."""
        return message_from_proto(ProtoMessage.FromString(self.content))


class InProcessGrid(Grid):
    """What a server sends through, where all clients are functions of this process.

    No network, no other process: each message is turned into Flower's bytes and back, so that
    nothing else gets across, and is kept. Clients answer in the order of their numbers.

    Parameters
    ----------
    app : the client app that every node runs.
    nodes : the settings of each node, which its app finds in ``context.node_config``.

    Attributes
    ----------
    crossed : all messages so far.

    Taught in: notebooks/17_federated_learning.ipynb
    """

    def __init__(self, app: ClientApp, nodes: Sequence[Mapping]):
        # Messages say who made them: run 0, and the server is node 0.
        TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 0
        self.app, self.crossed = app, []
        self._contexts = {
            number: Context(0, number, dict(config), RecordDict(), {})
            for number, config in enumerate(nodes, 1)
        }

    def get_node_ids(self) -> list[int]:
        """Return the clients' numbers."""
        return list(self._contexts)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Let each client answer; one whose app fails answers with an error, as in Flower."""
        ordered = sorted(messages, key=lambda message: message.metadata.dst_node_id)
        return [self._answer(message) for message in ordered]

    def _answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        there = self._cross(message, up=False, node=node)
        try:
            reply = self.app(there, self._contexts[node])
        except Exception as error:  # whatever a client's own code raises
            reply = Message(Error(APP_FAILED, f"{type(error).__name__}: {error}"), reply_to=there)
        return self._cross(reply, up=True, node=node)

    def _cross(self, message: Message, *, up: bool, node: int) -> Message:
        crossing = Crossing(up, node, message_to_proto(message).SerializeToString())
        self.crossed.append(crossing)
        return crossing.message()

    def set_run(self, run: object) -> None:
        """Do nothing: there is one run only."""

    @property
    def run(self) -> None:
        """None: there is one run only."""

    def create_message(self, *_: object, **__: object) -> Message:
        """Raise: a message is made with ``flwr.app.Message``."""
        raise NotImplementedError("make messages with flwr.app.Message")

    push_messages = pull_messages = create_message


def training_app(train: Train) -> ClientApp:
    """Return a client app that answers with what a function has trained.

    Parameters
    ----------
    train : ``train(context, arrays, config)`` returns trained arrays and the number of examples.
    """
    app = ClientApp()

    @app.train()
    def answer(message: Message, context: Context) -> Message:
        config = next(iter(message.content.config_records.values()))
        arrays, examples = train(context, message.content["arrays"], config)
        metrics = MetricRecord({"num-examples": examples})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


def flat(arrays: ArrayRecord) -> np.ndarray:
    """Return all numbers of a record in one row."""
    return np.concatenate([array.ravel() for array in arrays.to_numpy_ndarrays()])


def shaped(row: np.ndarray, like: ArrayRecord) -> ArrayRecord:
    """Return the numbers of a row with the names, shapes and dtypes of another record.

    Raises
    ------
    ValueError
        If there are more or fewer of them.
    """
    old = {name: array.numpy() for name, array in like.items()}
    ends = np.cumsum([array.size for array in old.values()])
    if len(row) != ends[-1]:
        raise ValueError(f"expected {ends[-1]} numbers, got {len(row)}")
    parts = zip(old.items(), np.split(row, ends[:-1]), strict=True)
    return ArrayRecord({n: Array(p.reshape(o.shape).astype(o.dtype)) for (n, o), p in parts})


def small_int8(update: np.ndarray, context: Context) -> ArrayRecord:
    """Return an update as int8 codes with their scales, for `SmallUpdates`."""
    codes, scales = updates.to_int8(update)
    return ArrayRecord({"codes": Array(codes), "scales": Array(scales)})


def small_largest(share: float, *, remember: bool) -> Callable[[np.ndarray, Context], ArrayRecord]:
    """Return a function like `small_int8`, which sends the largest changes only.

    Parameters
    ----------
    share : of the numbers, 0 to 1.
    remember : keep what was not sent in the client's own state, for later rounds.
    """

    def small(update: np.ndarray, context: Context) -> ArrayRecord:
        kept = context.state.array_records.get("memory") if remember else None
        memory = flat(kept) if kept else np.zeros_like(update)
        count = max(1, round(share * len(update)))
        positions, values, memory = updates.send_largest(update, memory, count)
        if remember:
            context.state["memory"] = ArrayRecord({"memory": Array(memory)})
        width = np.uint16 if len(update) <= 2**16 else np.uint32
        return ArrayRecord({"positions": Array(positions.astype(width)), "values": Array(values)})

    return small


class SmallUpdates(FedAvg):
    """Flower's FedAvg for clients that send the change of their model, made small."""

    def configure_train(self, server_round, arrays, config, grid):
        """Remember the model that is sent."""
        self._sent = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round, replies):
        """Turn each reply into a model, and average those."""
        replies = list(replies)
        before = flat(self._sent)
        for reply in replies:
            if reply.has_content():
                update = _unpacked(reply.content["arrays"], len(before))
                reply.content["arrays"] = shaped(before + update, self._sent)
        return super().aggregate_train(server_round, replies)


def _unpacked(small: ArrayRecord, size: int) -> np.ndarray:
    """Return the update that a client made small: float32 (size,)."""
    parts = {name: array.numpy() for name, array in small.items()}
    if "codes" in parts:
        return updates.from_int8(parts["codes"], parts["scales"])
    update = np.zeros(size, np.float32)
    update[parts["positions"]] = parts["values"]
    return update
