"""A worker's process, as the process that started it sees it; what it does: `worker`."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edge_course.split_channels import worker

GRACE_SECONDS = 2.0  # for a process to end, and for others to notice that one has
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Child:
    """One worker's process, and two threads that write to it and read from it.

    So no one waits for a process that takes nothing, or stops in the middle of a reply.

    Parameters
    ----------
    number : the worker's, under which its replies go to the inbox.
    inbox : gets (number, message, arrays) for each reply, and (number, None, None) at the end.

    Attributes
    ----------
    pid : the process's id.
    outbox : takes (message, arrays) for each question; see `worker.send`.
    """

    def __init__(self, number: int, inbox: queue.Queue):
        # "spawn" starts from nothing on every system, and nothing of this process goes with it.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=worker.serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.pid = self._process.pid
        self.outbox: queue.SimpleQueue = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._write, daemon=True),
            threading.Thread(target=self._read, args=(number, inbox), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        with suppress(OSError):  # it has ended: the other thread says so
            while question := self.outbox.get():
                worker.send(self._connection, *question)

    def _read(self, number: int, inbox: queue.Queue) -> None:
        with suppress(EOFError, OSError):
            while True:
                inbox.put((number, *worker.receive(self._connection)))
        inbox.put((number, None, None))

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join(GRACE_SECONDS)
        self.outbox.put(None)
        for thread in self._threads:
            thread.join(GRACE_SECONDS)
        self._connection.close()


@contextmanager
def one_thread() -> Iterator[None]:
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
