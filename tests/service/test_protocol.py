"""Connections that bring no request, or a part of one: a server in a thread, asked by sockets."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from edge_course.service import protocol

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
go = threading.Event()


async def slowly(request):
    while not go.is_set():
        await asyncio.sleep(0.01)
    return PlainTextResponse("done")


@contextlib.contextmanager
def served(seconds: float):
    """Give the port of a server that waits so long for a request."""
    go.set()
    app = Starlette(routes=[Route("/", slowly)])
    config = uvicorn.Config(
        app, http=protocol.Protocol, port=0, log_level="error", timeout_keep_alive=seconds
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def rest(talk: socket.socket) -> bytes:
    """All that comes until the other end hangs up."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while more := talk.recv(1000):
            found += more
    return found


@pytest.mark.parametrize("said", [b"", b"GET / HT", REQUEST, REQUEST + b"GET"])
def test_who_says_nothing_more_is_hung_up_on(said):
    with served(0.3) as port, connect(port) as talk:
        talk.sendall(said)
        assert rest(talk).count(b"done") == said.count(REQUEST)


def test_a_byte_now_and_then_is_no_request():
    with served(0.3) as port, connect(port) as talk, pytest.raises(OSError):
        for _ in range(1000):  # until nobody reads it any more
            talk.sendall(b"G")
            time.sleep(0.02)


def test_a_request_may_take_longer_than_a_client_may_be_silent():
    with served(0.2) as port, connect(port) as talk:
        go.clear()
        talk.sendall(2 * REQUEST)  # the second waits for the first
        threading.Timer(1.0, go.set).start()
        assert rest(talk).count(b"done") == 2


def test_one_connection_too_many_is_told_so(monkeypatch):
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 2)
    with served(20) as port, connect(port) as first:
        with connect(port) as second, connect(port) as third:
            head, content = rest(third).split(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503") and b"\r\nRetry-After: 1" in head
            assert json.loads(content)["error"] == "full"
            second.sendall(REQUEST)
            assert b"200" in second.recv(1000)
        first.sendall(REQUEST)
        assert b"200" in first.recv(1000)
        with connect(port) as fourth:  # there is room again
            fourth.sendall(REQUEST)
            assert b"200" in fourth.recv(1000)
