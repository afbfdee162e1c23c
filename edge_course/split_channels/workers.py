"""A network divided by channels over processes of this machine, which find each other by gloo.

They listen on the loopback address only. Over several machines: `torchrun`.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_course.split_channels import worker
from edge_course.split_channels.layers import Layer, check_divisions, deal, output_shapes
from edge_course.split_channels.ring import Pace

JOIN_SECONDS = 120.0  # to import PyTorch, on a slow machine
GRACE_SECONDS = 2.0  # for a process to end, and for others to notice that one has
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class WorkerLostError(RuntimeError):
    """A worker ended, or did not answer in time; there is no answer.

    Attributes
    ----------
    lost : the numbers of the workers that are gone, as they were counted at the beginning.
    seconds : how long it took to find out.
    """

    def __init__(self, message: str, lost: Sequence[int] = (), seconds: float = 0.0):
        super().__init__(message)
        self.lost, self.seconds = tuple(lost), seconds


class WorkersAnswer(NamedTuple):
    """What the workers computed.

    Attributes
    ----------
    output : of the network, float, (n, …).
    workers : how many computed it.
    lost : the numbers of those that were lost before; () if all took part.
    bytes, messages : sent by each worker to others, in one repetition.
    seconds : of each repetition: until the last worker was ready.
    exchange_seconds : of each repetition: the mean of the workers.
    """

    output: np.ndarray
    workers: int
    lost: tuple[int, ...]
    bytes: tuple[int, ...]
    messages: tuple[int, ...]
    seconds: np.ndarray
    exchange_seconds: np.ndarray


class Workers:
    """Processes on this machine that compute networks together, each with its part of them.

    ``with Workers(3) as workers:``, then `load` a network, then `run` it.

    Parameters
    ----------
    count : how many processes, at least 1.
    timeout : seconds that one worker waits for another, and that a repetition may take; a
        worker that is silent is found out after twice that.

    Raises
    ------
    ValueError
        If a number is out of its range.
    WorkerLostError
        If the processes do not start.

    Taught in: notebooks/15_split_by_channels.ipynb
    """

    def __init__(self, count: int, *, timeout: float = 20.0):
        if count < 1 or not 0 < timeout < float("inf"):
            raise ValueError(
                f"expected at least 1 worker and a positive timeout, got {count}, {timeout}"
            )
        self._timeout = timeout
        self._folder = tempfile.TemporaryDirectory(prefix="channels", ignore_cleanup_errors=True)
        self._layers: tuple[Layer, ...] = ()
        self._requests, self._joined, self._dealt_to = 0, False, 0
        self._members: list[int] = []
        self._lost: list[int] = []
        self._alive: dict[int, _Child] = {}
        # Also when nobody holds these workers any more, such as after a second ``Workers(4)``.
        self._end = weakref.finalize(self, _end, self._alive, self._folder)
        try:
            with _one_thread_each():
                for number in range(count):
                    self._alive[number] = _Child()
            self._ask("start", JOIN_SECONDS, [({"do": "start"}, {})] * count)
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> dict[int, int]:
        """The process ids of the workers that are there, by their number."""
        return {number: process.pid for number, process in self._alive.items()}

    def load(
        self,
        layers: Sequence[Layer],
        divisions: Sequence[str],
        *,
        count: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Give each worker its part of a network.

        Parameters
        ----------
        layers, divisions : the network and how each layer is divided; see `program.worker_steps`.
        count : how many of the workers take part, the first ones; all if not given.
        pace : the speed of emulated machines and links; if not given, those of this machine.

        Raises
        ------
        ValueError
            If the layers cannot be divided so, or there are not so many workers.
        WorkerLostError
            If a worker is lost.
        """
        if not self._alive:
            raise ValueError("all of these workers are closed or lost: start new ones")
        count = len(self._alive) if count is None else count
        if not 1 <= count <= len(self._alive):
            raise ValueError(f"expected 1 to {len(self._alive)} workers, got {count}")
        check_divisions(layers, divisions)
        self._layers, self._divisions = tuple(layers), tuple(divisions)
        self._members, self._lost, self._pace = list(self._alive)[:count], [], pace or Pace()
        self._join()

    def run(self, x: np.ndarray, *, repeats: int = 1, recover: bool = False) -> WorkersAnswer:
        """Compute the network's output for some pictures.

        Parameters
        ----------
        x : the whole input, (n, channels, height, width).
        repeats : how often, to be timed.
        recover : if a worker is lost, deal its part out to the others and let them compute
            anew; the answer then says so. Otherwise that is an error.

        Raises
        ------
        WorkerLostError
            If a worker is lost, and there is no other or ``recover`` is false.
        ValueError
            If the input does not fit the network, or none is loaded.
        RuntimeError
            If a worker could not compute.
        """
        x = self._checked(x, repeats)
        while True:
            try:
                return self._run(x, repeats)
            except WorkerLostError:
                if not recover or not self._members:
                    raise
                with suppress(WorkerLostError):  # another one is lost: then once more
                    self._join()

    def close(self) -> None:
        """End all workers."""
        self._end()
        self._members, self._joined = [], False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _checked(self, x: np.ndarray, repeats: int) -> np.ndarray:
        if not self._layers:
            raise ValueError("there is no network yet: load(layers, divisions) one first")
        x = np.asarray(x)
        if x.ndim != 4 or not len(x) or x.dtype.kind != "f" or not np.isfinite(x).all():
            raise ValueError(
                "expected pictures of shape (n, channels, height, width), finite floats, n from 1, "
                f"got {x.dtype} {x.shape}"
            )
        if repeats < 1:
            raise ValueError(f"expected at least 1 repetition, got {repeats}")
        output_shapes(self._layers, x.shape)
        return np.ascontiguousarray(x)

    def _run(self, x: np.ndarray, repeats: int) -> WorkersAnswer:
        if not self._joined:  # something broke the group: a loss, or an interrupt
            if len(self._members) < self._dealt_to:
                raise self._error("compute", ["the group is broken since the last loss"])
            self._join()
        question = {"do": "run", "repeats": repeats}, {"x": x}
        seconds = self._timeout * (repeats + 1)
        replies = self._ask("compute", seconds, [question] * len(self._members))
        accounts = [account for account, _ in replies]
        return WorkersAnswer(
            replies[0][1]["output"],
            len(accounts),
            tuple(self._lost),
            tuple(account["bytes"] for account in accounts),
            tuple(account["messages"] for account in accounts),
            np.max([account["seconds"] for account in accounts], axis=0),
            np.mean([account["exchange_seconds"] for account in accounts], axis=0),
        )

    def _join(self) -> None:
        """Form a group of those members that are there, and give each its part."""
        self._dealt_to = count = len(self._members)
        group = str(Path(self._folder.name, f"group{self._requests}"))
        questions = []
        for rank in range(count):
            parts = deal(self._layers, self._divisions, count, rank)
            described, arrays = worker.packed(parts)
            message = {
                "do": "join", "group": group, "workers": count, "rank": rank, "layers": described,
                "divisions": self._divisions, "timeout": self._timeout, "pace": asdict(self._pace),
            }  # fmt: skip
            questions.append((message, arrays))
        self._ask("join the group", 2 * self._timeout, questions)
        self._joined = True

    def _ask(self, doing: str, seconds: float, questions: Sequence[tuple]) -> list[tuple]:
        """Return what each member replies; raise within bounded time if one does not."""
        members = list(self._alive) if doing == "start" else self._members
        self._requests += 1
        joined, self._joined = self._joined, False  # whatever interrupts this breaks the group
        begin = time.monotonic()
        for number, (message, arrays) in zip(members, questions, strict=True):
            file = str(Path(self._folder.name, f"{self._requests}-{number}.safetensors"))
            self._alive[number].send({**message, "request": self._requests}, arrays, file)
        replies, ended = self._replies(members, seconds + GRACE_SECONDS)
        if lost := [number for number in members if number not in replies]:
            for number in lost:
                self._alive.pop(number).kill()
            self._members = [number for number in members if number not in lost]
            self._lost += lost
            how = [f"worker {n} {'ended' if n in ended else 'did not answer'}" for n in lost]
            raise self._error(doing, how, time.monotonic() - begin)
        if errors := [message["error"] for message, _ in replies.values() if "error" in message]:
            raise RuntimeError(f"the workers could not {doing}: {errors[0]}")
        self._joined = joined
        return [replies[number] for number in members]

    def _replies(
        self, members: Sequence[int], seconds: float
    ) -> tuple[dict[int, tuple[dict, dict]], set[int]]:
        """Return what the members reply in so many seconds, and those that have ended."""
        end = time.monotonic() + seconds
        replies: dict[int, tuple[dict, dict]] = {}
        ended: set[int] = set()
        while waiting := set(members) - replies.keys() - ended:
            number_of = {e: number for number in waiting for e in self._alive[number].ends}
            ready = connection.wait(number_of, max(0.0, end - time.monotonic()))
            if not ready:
                break
            for number in {number_of[e] for e in ready}:
                reply = self._alive[number].reply()
                if reply is None:
                    ended.add(number)
                elif reply[0]["request"] == self._requests:  # not one that was given up
                    replies[number] = reply
        return replies, ended

    def _error(self, doing: str, how: Sequence[str], seconds: float = 0.0) -> WorkerLostError:
        left = len(self._members)
        advice = f"the {left} that are left can: run(x, recover=True)" if left else "start anew"
        message = f"no answer: the workers could not {doing}, {', '.join(how)}; {advice}"
        return WorkerLostError(message, self._lost, seconds)


def _end(alive: dict[int, _Child], folder: tempfile.TemporaryDirectory) -> None:
    for child in alive.values():
        child.kill()
    alive.clear()
    folder.cleanup()


class _Child:
    """One worker's process, as the process that started it sees it; what it does: `worker`."""

    def __init__(self):
        # "spawn" starts from nothing on every system, and nothing of this process goes with it.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=worker.serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.pid = self._process.pid
        self.ends = (self._pipe, self._process.sentinel)  # ready: it has replied, or ended

    def send(self, message: Mapping[str, Any], arrays: Mapping[str, Any], file: str) -> None:
        """Hand over a message and arrays; it does not wait for the process to take them."""
        with suppress(ConnectionError):  # it has ended: `reply` says so
            worker.send(self._pipe, message, arrays, file)

    def reply(self) -> tuple[dict, dict] | None:
        """Return a message and its arrays; None if the process has ended. See `ends`."""
        try:
            return worker.receive(self._pipe) if self._pipe.poll() else None
        except (EOFError, OSError, ValueError):
            return None
        except KeyboardInterrupt:  # what is read next would begin in the middle of a message
            self._process.kill()
            raise

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join(GRACE_SECONDS)
        self._pipe.close()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start meanwhile compute with one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
