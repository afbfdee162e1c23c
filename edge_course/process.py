"""A function in a process of its own: one kernel, one framework."""

from __future__ import annotations

import multiprocessing
import os
import signal
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
