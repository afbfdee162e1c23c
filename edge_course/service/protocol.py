"""What the server says and does before there is a request: to those who speak no HTTP, or nothing.

uvicorn answers what is no HTTP with a text of its own, waits for a first request for ever, and
takes connections until the system has no more files; what it does with a request stays as it is.
"""

from __future__ import annotations

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 900  # most systems let a process have 1,024 files open


class Protocol(H11Protocol):
    """One connection: it must bring the whole head of a request within uvicorn's keep-alive time.

    The time runs from the beginning, and again from each response.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait, or say that there is no room."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "full", f"{MOST_CONNECTIONS} are connected already: ask again later")
        else:
            self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        """Wait no more."""
        if self._late:
            self._late.cancel()
        super().connection_lost(error)

    def on_response_complete(self) -> None:
        """Wait for the next request, which may be there already."""
        self._wait()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "not_http", msg)

    def _wait(self) -> None:
        if self._late:
            self._late.cancel()
        self._late = self.loop.call_later(self.timeout_keep_alive, self._give_up, self.cycle)

    def _give_up(self, last: object) -> None:
        if self.cycle is last:  # no request since
            self.timeout_keep_alive_handler()

    def _refuse(self, status: int, error: str, detail: str) -> None:
        content = json.dumps({"error": error, "detail": detail}).encode()
        head = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Connection", "close"),
            *([("Retry-After", "1")] if status == 503 else []),
        ]
        response = h11.Response(status_code=status, headers=head)
        for event in (response, h11.Data(data=content), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.close()
