"""A process of its own that serves a part of a network, and ends with the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

from edge_course import process
from edge_course.nodes import addresses
from edge_course.nodes.part import Part
from edge_course.nodes.server import Server
from edge_course.nodes.transport import NodeError

START_SECONDS = 60  # until a process must serve


class ServingChild:
    """A module that runs as a process of its own, and there calls `serve_parent`.

    Parameters
    ----------
    module : its name; it is started with ``--listen ADDRESS`` and the arguments.
    content : what it is to work on, which it takes with `process.asked`.
    model : what the part is called that it must serve.
    address : where it listens.
    arguments : more of its command line.

    Attributes
    ----------
    process : the process.

    Raises
    ------
    NodeError
        If it does not serve that part in time.
    """

    def __init__(self, module: str, content: bytes, model: str, address: str, *arguments: str):
        self.address, self.model = address, model
        self._child = process.Child(module, "--listen", address, *arguments)
        self.process: subprocess.Popen = self._child.process
        # Whatever keeps it from starting, this process waits no longer than that.
        said = self._child.ask(content, seconds=START_SECONDS)
        if said != f"serving {model}":
            self.close()
            raise NodeError(f"the node did not start: {said or 'its process ended without a word'}")

    def kill(self) -> None:
        """End the process at once, in the middle of whatever it does."""
        self._child.kill()

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def __enter__(self) -> ServingChild:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def serve_parent(make: Callable[[bytes], Part], listen: str) -> int:
    """Serve what the parent hands over, until the parent is gone, even if it is killed.

    Parameters
    ----------
    make : makes the part of the parent's bytes; a ValueError or OSError is told to the parent.
    listen : address to listen on.

    Returns
    -------
    int
        1 if there is nothing to serve; else it does not return.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted cell is not our end
    try:
        part = make(process.asked() or b"")
        addresses.check_address(listen)
        Server(part, listen)
    except (ValueError, OSError, NodeError) as error:
        print(error, flush=True)
        return 1
    print(f"serving {part.model}", flush=True)
    process.asked()
    os._exit(0)  # not waiting for a model that still computes
