"""One call of a student's function: its result, or what went wrong, within a time limit."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

CALL_SECONDS = 1.5  # one call, not counting the modules that it imports
IMPORT_SECONDS = 60.0  # an import takes at most this long
STOPPING_SECONDS = 0.3  # to wait for a function that was stopped


class _TooSlow(BaseException):
    """Raised inside the student's function when its time is up."""


@dataclass(frozen=True)
class Outcome:
    """What a call of the student's function came to."""

    value: Any = None
    problem: str = ""
    too_slow: bool = False
    import_seconds: float = 0.0  # while the call waited for modules to be imported


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that the student wrote, without what was wrapped around it."""
    function = inspect.unwrap(function)  # functools.cache, functools.wraps
    if isinstance(function, functools.partial):
        return unwrapped(function.func)
    if isinstance(function, np.vectorize):
        return unwrapped(function.pyfunc)
    return function


def call_student(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Outcome:
    """Call a function in a thread of its own, and end it when it takes too long.

    Importing a module for the first time takes no part of its time, and is never cut short: a
    module that is half imported stays broken until the kernel is restarted.
    """
    outcomes: list[Outcome] = []
    ended = threading.Event()

    def run() -> None:
        # _TooSlow may also arrive when the function has just returned.
        with contextlib.suppress(_TooSlow):
            try:
                outcomes.append(Outcome(function(**arguments)))
            except _TooSlow:
                raise
            except BaseException as error:  # whatever a student's code raises is told
                outcomes.append(Outcome(problem=f"it raised {_one_line(error)}"))
            finally:
                ended.set()

    # The thread is a daemon: one stuck in compiled code cannot be ended, only left behind.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        import_seconds = _wait(thread, ended)
    finally:  # also when the student interrupts the cell
        _stop(thread, ended, function)
    if outcomes:
        done = outcomes[0]
        return Outcome(done.value, done.problem, import_seconds=import_seconds)
    if _imports(thread):
        problem = f"it was still importing a module after {IMPORT_SECONDS:.0f} s"
    else:
        problem = f"it did not finish within {CALL_SECONDS} s: an endless loop?"
    return Outcome(problem=problem, too_slow=True, import_seconds=import_seconds)


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}{f': {text}' if text else ''}".splitlines()[0]


def _wait(thread: threading.Thread, ended: threading.Event) -> float:
    """Wait for the end of a call or of its time; return the seconds that it spent importing.

    An event and not `Thread.join`, which takes a thread for ended when it is interrupted.
    """
    calling = importing = 0.0
    before = time.monotonic()
    while not ended.wait(0.02) and calling < CALL_SECONDS and importing < IMPORT_SECONDS:
        now = time.monotonic()
        if _imports(thread):
            importing += now - before
        else:
            calling += now - before
        before = now
    return importing


def _stop(thread: threading.Thread, ended: threading.Event, function: Callable[..., Any]) -> None:
    """Raise `_TooSlow` in a thread, but only where the student's own code is being run.

    Raised in an import it would leave the module half imported, raised in a library it could
    leave that in disorder. Where the student's code catches it, it is raised again.
    """
    own = getattr(unwrapped(function), "__globals__", None)
    end = time.monotonic() + STOPPING_SECONDS
    while not ended.wait(0.005) and time.monotonic() < end:
        # We have just been given the interpreter, and keep it for the few steps up to the raising.
        frame = next(_frames(thread), None)
        if frame and frame.f_globals is own:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(_TooSlow)
            )


def _frames(thread: threading.Thread) -> Iterator[FrameType]:
    """Yield what a thread is executing, the innermost function first."""
    frame = sys._current_frames().get(thread.ident)
    while frame:
        yield frame
        frame = frame.f_back


def _imports(thread: threading.Thread) -> bool:
    return any(f.f_code.co_filename.startswith("<frozen importlib") for f in _frames(thread))
