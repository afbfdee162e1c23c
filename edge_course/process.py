"""Processes of their own: a function in another process, and a module as a child of this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

import psutil

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def another() -> Iterator[Callable]:
    """Start another Python process; give a function that calls functions in it.

    Two frameworks in one process take the memory of both, and their libraries of threads and
    protocol buffers can get in each other's way. ``with process.another() as call:`` keeps one
    of them outside: ``call(function, *args)`` returns what ``function(*args)`` returns there.

    Raises
    ------
    Exception
        What the function raises there is raised here.
    concurrent.futures.process.BrokenProcessPool
        If the process dies. It is ended when a call is interrupted.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    # "spawn" starts from nothing on every system; a forked process would have our framework too.
    context = multiprocessing.get_context("spawn")
    # Interrupting any cell interrupts all processes of a notebook: this one has to outlive it.
    ignore_interrupts = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
    with ProcessPoolExecutor(1, mp_context=context, **ignore_interrupts) as pool:
        other = psutil.Process(pool.submit(os.getpid).result())

        def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
            future = None
            try:
                future = pool.submit(function, *args, **kwargs)
                return future.result()
            except BrokenProcessPool:
                raise BrokenProcessPool(
                    "the other process has ended (a call was interrupted, it ran out of memory, "
                    "or it was killed): start another one"
                ) from None
            finally:
                if future is None or not future.done():  # interrupted: nobody waits for it
                    with suppress(psutil.NoSuchProcess):
                        other.kill()

        yield call


class Child:
    """A module of Python that runs as a process of its own, and ends when this process does.

    What it is to work on goes through its standard input, which stays open: when that closes,
    because this process closed it or ended in whatever way, the child must end too.

    Parameters
    ----------
    command : a module's name and the arguments of its command line.

    Attributes
    ----------
    process : the process.
    """

    def __init__(self, *command: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def ask(self, content: bytes, *, seconds: float) -> str:
        """Hand over some bytes, which the child takes with `asked`; return the line it replies.

        Returns
        -------
        str
            "" if it has ended, or was ended here because it said nothing in so many ``seconds``.
        """
        late = threading.Timer(seconds, self.process.kill)
        late.start()
        try:
            with suppress(OSError):  # it ended: nothing will be read
                self.process.stdin.write(len(content).to_bytes(8, "little"))
                self.process.stdin.write(content)
                self.process.stdin.flush()
            return self.process.stdout.readline().decode(errors="replace").strip()
        except KeyboardInterrupt:  # what is read next would be this reply
            self.kill()
            raise
        finally:
            late.cancel()

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def close(self, *, seconds: float = 5.0) -> None:
        """Let it end by itself; end it, if it has not done so in so many ``seconds``."""
        with suppress(OSError):
            self.process.stdin.close()  # this is what ends it
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()


def asked() -> bytes | None:
    """Return the next bytes that a child is asked to work on; None if nobody will ask any more."""
    size = sys.stdin.buffer.read(8)
    content = sys.stdin.buffer.read(int.from_bytes(size, "little"))
    complete = len(size) == 8 and len(content) == int.from_bytes(size, "little")
    return content if complete else None
