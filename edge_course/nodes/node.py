"""A process that serves a part of a network, on zenoh: requests and replies, no broker.

On a second machine::

    python -m edge_course.nodes.node --listen tcp/0.0.0.0:7447 --model network.onnx --head 9

serves what comes after the first nine operators of a file.

In a notebook, on this machine::

    with Node(parts.tail) as node, Client(node.address, node.model) as client:
        scores = client.request({"max_pool2d": x})["scores"]

(`cut.cut_model` makes the parts, `client` has the client.)

Requests wait in a queue of `server.MAX_WAITING`; one more is refused at once ("overloaded"). What
happens to a reply that comes too late is the client's affair: see `client`.

Everything is checked on arrival (`edge_course.nodes.wire`); nothing is unpickled. There is no
password and no encryption: whoever can reach the address can use the node. So it listens on this
machine only, unless an address is given.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import time

from edge_course import terminal
from edge_course.nodes import addresses
from edge_course.nodes.child import ServingChild, serve_parent
from edge_course.nodes.part import Part, cut_name
from edge_course.nodes.server import Server
from edge_course.nodes.transport import NodeError
from edge_course.runtimes.onnx_files import onnx_content
from edge_course.split_layers import cut


class Node:
    """A process that serves a part of a network: started here, or running on another machine.

    The process ends with this object, or when this process ends, however it does.

    Parameters
    ----------
    model : the part to serve, the content of an ``.onnx`` file or its path.
    address : of a node on another machine which serves this file; then nothing is started.
    listen : where a process that is started here listens; a free port of this machine if not
        given.
    takes : see `Part`; of a process that is started here.

    Attributes
    ----------
    address : where to connect to.
    model : `model_files.fingerprint` of the file, by which a client knows whose answers to accept.
    cut : what the cut before it is called.

    Raises
    ------
    ModelError
        If it is not such a model.
    NodeError
        If the process does not start.
    ValueError
        If an address is none.

    Taught in: notebooks/14_split_by_layers.ipynb
    """

    def __init__(
        self,
        model: bytes | str | os.PathLike,
        *,
        address: str | None = None,
        listen: str | None = None,
        takes: float = 0.0,
    ):
        content = onnx_content(model)
        part = Part(content, takes=takes)
        self.model, self.cut = part.model, cut_name(part.inputs)
        self.address = address or listen or addresses.free_address()
        addresses.check_address(self.address)
        self._child: ServingChild | None = None
        if address is None:
            self._child = ServingChild(
                "edge_course.nodes.node", content, self.model, self.address,
                "--model", "-", "--takes", str(takes),
            )  # fmt: skip

    @property
    def process(self) -> subprocess.Popen | None:
        """The process, or None on another machine."""
        return self._child and self._child.process

    def kill(self) -> None:
        """End the process at once, in the middle of whatever it does."""
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def main(arguments: list[str] | None = None) -> int:
    """Serve a part of a network until Ctrl-C, or until whoever started this process is gone."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.nodes.node", description="Serves a part of a network."
    )
    parser.add_argument(
        "--listen",
        default="tcp/127.0.0.1:7447",
        help="address; tcp/0.0.0.0:7447 for other machines",
    )
    parser.add_argument("--model", required=True, help="an .onnx file")
    parser.add_argument("--head", type=int, help="serve only what comes after so many operators")
    parser.add_argument("--takes", type=float, default=0.0, help="seconds, if it is faster")
    options = parser.parse_args(arguments)

    def make(model: bytes | str) -> Part:
        if options.head is not None:
            model = cut.cut_model(model, range(options.head)).tail
            if model is None:
                raise ValueError(f"nothing comes after {options.head} operators: expected fewer")
        return Part(model, takes=options.takes)

    if options.model == "-":  # the file comes through a pipe that stays open
        return serve_parent(make, options.listen)
    try:
        part = make(options.model)
        addresses.check_address(options.listen)
        server = Server(part, options.listen)
    except (ValueError, NodeError) as error:
        print(error, flush=True)
        return 1
    print(f"serving {part.model}", flush=True)
    print(f"It takes {', '.join(part.inputs)} at {options.listen}. Ctrl-C ends it.", flush=True)
    if not addresses.is_loopback(options.listen):
        print("Whoever can reach this address can use it: only in a network you trust.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(0.5)
    server.close()
    return 0


if __name__ == "__main__":
    terminal.run_command(main)
