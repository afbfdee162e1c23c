"""A process that serves a part of a network, on zenoh: requests and replies, no broker.

On a second machine::

    python -m edge_course.nodes.node --listen tcp/0.0.0.0:7447 --model network.onnx --head 9

serves what comes after the first nine operators of a file.

In a notebook, on this machine::

    with Node(parts.tail) as node, Client(node.address, node.model) as client:
        scores = client.request({"max_pool2d": x})["scores"]

(`cut.cut_model` makes the parts, `client` has the client.)

Requests wait in a queue of `MAX_WAITING`; one more is refused at once ("overloaded"). What happens
to a reply that comes too late is the client's affair: see `client`.

Everything is checked on arrival (`edge_course.nodes.wire`); nothing is unpickled. There is no
password and no encryption: whoever can reach the address can use the node. So it listens on this
machine only, unless an address is given.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from edge_course import process, terminal
from edge_course.nodes import addresses, wire
from edge_course.nodes.part import Part, cut_name
from edge_course.nodes.transport import KEY, NodeError, open_session
from edge_course.runtimes.onnx_files import onnx_content
from edge_course.split_layers import cut

if TYPE_CHECKING:
    import zenoh

MAX_WAITING = 16  # requests that may wait; more are refused at once, not late
START_SECONDS = 60  # until a process must serve


class Server:
    """Serves a part of a network in this process, one request after another.

    Parameters
    ----------
    part : what is to be served.
    listen : address to listen on.

    Raises
    ------
    NodeError
        If the address is taken.
    ValueError
        If the names of the part's inputs are too long for a message.
    """

    def __init__(self, part: Part, listen: str):
        self._part, self._cut = part, cut_name(part.inputs)
        wire.check_cut(self._cut)
        self._waiting: queue.Queue = queue.Queue(MAX_WAITING)
        self._session = open_session(listen=listen)
        self._worker = threading.Thread(target=self._serve, daemon=True)
        self._worker.start()
        self._session.declare_queryable(KEY, self._accept, complete=True)

    def close(self) -> None:
        """Answer nobody any more."""
        self._session.close()
        self._waiting.put(None)
        self._worker.join(timeout=1)

    def answer(self, data: bytes) -> wire.Message:
        """Return the reply to the bytes of a request, or the failure that says what is wrong.

        Parameters
        ----------
        data : what came from a socket.
        """
        request = wire.Message("request", self._part.model, self._cut, 0)
        try:
            request = wire.decode(data)
            self._check(request)
            outputs = self._part.run(request.tensors)
            return wire.Message("reply", self._part.model, self._cut, request.request, outputs)
        except Exception as error:
            return self._failure(request.request, f"{error}" or type(error).__name__)

    def _check(self, request: wire.Message) -> None:
        if request.kind != "request":
            raise wire.WireError(f"expected a request, got a {request.kind}")
        if request.model != self._part.model:
            raise wire.WireError(
                f"this node serves the model {self._part.model}, the request is for "
                f"{request.model}: both ends need parts of the same files"
            )
        if request.cut != self._cut or cut_name(tuple(request.tensors)) != self._cut:
            raise wire.WireError(
                f"this node serves the cut {self._cut}, the request is for {request.cut} with "
                f"the tensors {', '.join(request.tensors)}"
            )

    def _failure(self, request: int, text: str) -> wire.Message:
        return wire.Message("failure", self._part.model, self._cut, request, text=text)

    def _accept(self, query: zenoh.Query) -> None:
        try:
            self._waiting.put_nowait(query)
        except queue.Full:
            self._reply(query, self._failure(0, f"overloaded: {MAX_WAITING} requests wait already"))

    def _serve(self) -> None:
        while (query := self._waiting.get()) is not None:
            self._reply(query, self.answer(query.payload.to_bytes() if query.payload else b""))

    def _reply(self, query: zenoh.Query, message: wire.Message) -> None:
        import zenoh

        try:
            data = wire.encode(message)
        except ValueError as error:  # NaN came out of the model, for example
            message = self._failure(message.request, f"the outputs cannot be sent: {error}")
            data = wire.encode(message)
        with contextlib.suppress(zenoh.ZError), query:  # who asked may be gone
            if message.kind == "failure":
                query.reply_err(data)
            else:
                query.reply(KEY, data, express=True)


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
    process : the process, or None on another machine.

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
        self.process: subprocess.Popen | None = None
        self.address = address or listen or addresses.free_address()
        addresses.check_address(self.address)
        if address is None:
            self._start(content, takes)

    def _start(self, content: bytes, takes: float) -> None:
        self._child = process.Child(
            "edge_course.nodes.node",
            *("--listen", self.address, "--model", "-", "--takes", str(takes)),
        )
        self.process = self._child.process
        # Whatever keeps it from starting, this process waits no longer than that.
        said = self._child.ask(content, seconds=START_SECONDS)
        if said != f"serving {self.model}":
            self.close()
            raise NodeError(f"the node did not start: {said or 'its process ended without a word'}")

    def kill(self) -> None:
        """End the process at once, in the middle of whatever it does."""
        if self.process is not None:
            self._child.kill()

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
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
    from_parent = options.model == "-"  # the file comes through a pipe that stays open
    try:
        model = options.model
        if from_parent:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted cell is not our end
            model = process.asked() or b""
        if options.head is not None:
            model = cut.cut_model(model, range(options.head)).tail
            if model is None:
                raise ValueError(f"nothing comes after {options.head} operators: expected fewer")
        part = Part(model, takes=options.takes)
        addresses.check_address(options.listen)
        server = Server(part, options.listen)
    except (ValueError, NodeError) as error:
        print(error, flush=True)
        return 1
    print(f"serving {part.model}", flush=True)
    if from_parent:
        process.asked()  # ends when the parent does, even if it is killed
        os._exit(0)  # not waiting for a model that still computes
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
