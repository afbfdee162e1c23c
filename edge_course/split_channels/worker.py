"""What a worker's process does: a group on torch.distributed's gloo, and its part of a network.

Arrays travel between workers by gloo's own transport, raw; between a worker and the process that
started it in files of safetensors, which short messages in JSON name: those always fit into a
pipe, so no one waits for a process that takes nothing, or stops in the middle of a reply.
Nothing is unpickled.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import safetensors.numpy

from edge_course.split_channels.layers import Layer, compute_layer
from edge_course.split_channels.program import Exchange, output_macs, worker_steps
from edge_course.split_channels.ring import Pace, Ring, wait_until

if TYPE_CHECKING:
    from torch import distributed

LOOPBACK = "127.0.0.1"


def send(
    connection: Connection, message: Mapping[str, Any], arrays: Mapping[str, Any], file: str
) -> None:
    """Send a message to or from a child process, with named arrays in a file."""
    Path(file).write_bytes(safetensors.numpy.save(dict(arrays)))
    connection.send_bytes(json.dumps({**message, "arrays": file}).encode())


def receive(connection: Connection) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the next message and its arrays; raise an EOFError if the other side has ended."""
    message = json.loads(connection.recv_bytes())
    file = Path(message["arrays"])
    arrays = safetensors.numpy.load(file.read_bytes())
    file.unlink()
    return message, arrays


def packed(parts: Sequence[Layer]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return layers as something for JSON, and their arrays by name."""
    arrays, described = {}, []
    for part in parts:
        fields = asdict(part)
        for key in ("weight", "bias"):
            array = fields.pop(key)
            if array is not None:
                arrays[f"{part.name}/{key}"] = np.ascontiguousarray(array)
        described.append(fields)
    return described, arrays


def unpacked(
    described: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
) -> tuple[Layer, ...]:
    """Return the layers that `packed` took apart."""
    parts = []
    for fields in described:
        weights = {key: arrays.get(f"{fields['name']}/{key}") for key in ("weight", "bias")}
        parts.append(Layer(**fields, **weights))
    return tuple(parts)


def gloo_group(
    store: distributed.Store, rank: int, workers: int, address: str, seconds: float
) -> distributed.ProcessGroupGloo:
    """Return a group of workers that wait for each other for so many seconds at most.

    Parameters
    ----------
    store : through which they find each other.
    rank, workers : this worker's number, and how many there are.
    address : of this machine, on which to listen.
    seconds : how long to wait for another worker, positive.

    Raises
    ------
    RuntimeError
        If not all of them came in that time.
    """
    from torch.distributed import ProcessGroupGloo

    options = ProcessGroupGloo._Options()
    options._timeout = timedelta(seconds=seconds)
    # Left to itself, gloo listens on the address that the machine's name stands for.
    options._devices = [ProcessGroupGloo.create_device(hostname=address)]
    return ProcessGroupGloo(store, rank, workers, options)


def swapper(group: distributed.ProcessGroupGloo) -> Callable[[np.ndarray, np.ndarray], None]:
    """Return a function that sends to the next worker and receives from the last; see `Ring`.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    import torch

    rank, workers = group.rank(), group.size()

    def swap(out: np.ndarray, into: np.ndarray) -> None:
        waiting = []
        if out.size:  # an empty share, of more workers than channels, is not sent
            waiting.append(group.send([torch.from_numpy(out)], (rank + 1) % workers, 0))
        if into.size:
            waiting.append(group.recv([torch.from_numpy(into)], (rank - 1) % workers, 0))
        for sending in waiting:
            sending.wait()

    return swap


class Run(NamedTuple):
    """One worker's account of a run.

    Attributes
    ----------
    output : the whole network's output.
    seconds : of each repetition.
    exchange_seconds : the part of it in which it exchanged, waiting for others included.
    bytes, messages : sent in one repetition.
    """

    output: np.ndarray
    seconds: list[float]
    exchange_seconds: list[float]
    bytes: int
    messages: int


def run(
    parts: Sequence[Layer],
    divisions: Sequence[str],
    ring: Ring,
    x: np.ndarray,
    pace: Pace,
    repeats: int,
) -> Run:
    """Do one worker's part of a network, several times, and exchange with the others.

    Parameters
    ----------
    parts, divisions : as for `program.worker_steps`.
    ring : this worker's place among the others.
    x : the whole input, (n, channels, height, width).
    pace : the speed of the emulated machine; infinite for this one's own.
    repeats : how often, at least 1. Before each the workers wait for each other.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    seconds, exchanging = [], []
    for _ in range(repeats):
        ring.wait_for_all()
        ring.bytes = ring.messages = 0
        begin, exchanged, answer = time.perf_counter(), 0.0, None
        program = worker_steps(parts, divisions, ring.workers, ring.rank, x)
        while True:
            try:
                wanted = program.send(answer)
            except StopIteration as end:
                output = end.value
                break
            began = time.perf_counter()
            if isinstance(wanted, Exchange):
                answer = ring.exchange(wanted)
                exchanged += time.perf_counter() - began
            else:
                answer = compute_layer(*wanted)
                macs = output_macs(wanted.layer, answer.shape)
                wait_until(began, macs / pace.macs_per_second)
        seconds.append(time.perf_counter() - begin)
        exchanging.append(exchanged)
    return Run(output, seconds, exchanging, ring.bytes, ring.messages)


def serve(connection: Connection) -> None:
    """Be a worker: answer what the process that started this one asks, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted cell is not our end
    _silence()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    worker = None
    with suppress(EOFError, OSError):  # the other side has ended
        while True:
            message, arrays = receive(connection)
            reply, result = {}, {}
            try:
                if message["do"] == "join":
                    worker = None  # so that the old group is gone before the new one comes
                    worker = _Worker(message, arrays)
                elif message["do"] == "run":
                    reply, result = worker.run(message, arrays)
            except Exception as error:  # whatever it is, the other side has to know
                reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
            if "error" in reply:
                worker = None  # leave the group, so that those who wait for this one know too
            reply["request"] = message["request"]
            send(connection, reply, result, message["arrays"] + ".reply")


class _Worker:
    """A place in a group and a part of a network."""

    def __init__(self, message: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
        from torch import distributed

        rank, workers = message["rank"], message["workers"]
        store = distributed.FileStore(message["group"], workers)
        store.set_timeout(timedelta(seconds=message["timeout"]))
        self._group = gloo_group(store, rank, workers, LOOPBACK, message["timeout"])
        self._pace = Pace(**message["pace"])
        self._ring = Ring(workers, rank, swapper(self._group), self._pace)
        self._parts = unpacked(message["layers"], arrays)
        self._divisions = message["divisions"]

    def run(self, message: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
        done = run(
            self._parts, self._divisions, self._ring, arrays["x"], self._pace, message["repeats"]
        )
        reply = done._asdict()
        output = reply.pop("output")
        return reply, {"output": np.ascontiguousarray(output)} if self._ring.rank == 0 else {}


def _silence() -> None:
    """Let nothing that gloo or PyTorch print get between the outputs of a notebook."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that ended."""
    multiprocessing.parent_process().join()
    os._exit(1)
