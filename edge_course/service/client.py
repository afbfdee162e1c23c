"""Asking a service: one question, or one of many on a connection that is kept."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import numpy as np

from edge_course.service.intake import encode_input

_T = TypeVar("_T")


class ServiceError(RuntimeError):
    """A service gave no answer: it refused, it is gone, or it did not reply in time.

    Attributes
    ----------
    status : HTTP's number of a refusal; 0 if there was no reply.
    reason : one word: what the service says, or "lost" or "timeout".
    """

    def __init__(self, status: int, reason: str, text: str):
        super().__init__(text)
        self.status, self.reason = status, reason


class Response(NamedTuple):
    """What came back: HTTP's number and the bytes of the body."""

    status: int
    body: bytes


class Connection:
    """A connection that is kept from one request to the next, made when it is first needed.

    Parameters
    ----------
    url : of the service.
    timeout : seconds that a request may take in all.
    """

    def __init__(self, url: str, *, timeout: float = 10.0):
        self._at = urlsplit(url)
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, method: str, path: str, body: bytes = b"") -> Response:
        """Return the response to a request.

        Raises
        ------
        ServiceError
            If the connection ends before it has come ("lost"), or it does not come in time.
        """
        where, response = self._at.netloc, None
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._send(method, path, body)
                return response
        except TimeoutError:
            text = f"{where} did not reply in {self._timeout:g} s"
            raise ServiceError(0, "timeout", text) from None
        except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
            text = f"{where} is gone, or was so before it had replied ({type(error).__name__})"
            raise ServiceError(0, "lost", text) from None
        finally:
            if response is None:  # what is read next would be the rest of this one
                self.close()

    async def _send(self, method: str, path: str, body: bytes) -> Response:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._at.hostname, self._at.port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._at.netloc}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines if line)
        content = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        return Response(int(first.split()[1]), content)

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def predict(url: str, x: np.ndarray, *, timeout: float = 10.0) -> dict[str, Any]:
    """Return what a service says about one input: ``{"class", "scores", "model"}``.

    Parameters
    ----------
    url : of the service.
    x : one input, float32.
    timeout : seconds to wait for the answer.

    Raises
    ------
    ServiceError
        If it refuses, is gone, or does not reply in time.

    Taught in: notebooks/21_edge_service.ipynb
    """
    return json.loads(fetch(url, "POST", "/predict", encode_input(x), timeout=timeout))


def fetch(url: str, method: str, path: str, body: bytes = b"", *, timeout: float = 10.0) -> bytes:
    """Return the body of a service's response to one request.

    Raises
    ------
    ServiceError
        If it refuses, is gone, or does not reply in time.

    Taught in: notebooks/21_edge_service.ipynb
    """

    async def once() -> Response:
        connection = Connection(url, timeout=timeout)
        try:
            return await connection.send(method, path, body)
        finally:
            connection.close()

    response = run_beside(once())
    if response.status == 200:
        return response.body
    try:
        said = json.loads(response.body)
        reason, text = said["error"], said["detail"]
    except (ValueError, LookupError, TypeError):
        reason, text = "unreadable", f"{url} is no such service: it said {response.body[:80]!r}"
    raise ServiceError(response.status, reason, text)


def run_beside(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what a coroutine returns, run in a thread: a notebook has an event loop already."""
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(asyncio.run(work))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done.result()
