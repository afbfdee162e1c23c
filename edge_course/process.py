"""A function in a process of its own: one kernel, one framework."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

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
        If the process dies.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    # "spawn" starts from nothing on every system; a forked process would have our framework too.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:

        def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
            return pool.submit(function, *args, **kwargs).result()

        yield call
