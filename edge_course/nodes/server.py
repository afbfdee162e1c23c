"""Serves a part of a network in this process: a queue, one thread, checks on arrival."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING

from edge_course.nodes import wire
from edge_course.nodes.part import Part, cut_name
from edge_course.nodes.transport import KEY, open_session

if TYPE_CHECKING:
    import zenoh

MAX_WAITING = 16  # requests that may wait; more are refused at once, not late


class Server:
    """Serves a part of a network in this process, one request after another.

    Parameters
    ----------
    part : what is to be served: a `Part`, or what has `model`, `inputs` and `run` as it does.
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
