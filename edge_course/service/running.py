"""A service as a process of its own.

From a notebook, or a program::

    with Service("data/compressed_20.tflite") as service:
        answer = client.predict(service.url, picture)

On a terminal::

    python -m edge_course.service.running --model data/compressed_20.tflite --port 8000

It listens on this machine only: whatever lets others in (a reverse proxy, a tunnel) must also know
who they are and encrypt what they say.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import threading
import time
from dataclasses import asdict, fields

from edge_course import process, terminal
from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError
from edge_course.service.model_slot import ModelSlot
from edge_course.service.settings import Settings

ANSWER_SECONDS = 60  # until a service must have begun, or exchanged its model
STOP_SECONDS = 10  # for those who are inside when it stops
_HOST, _BACKLOG = "127.0.0.1", 1024  # connections that wait to be accepted


class Service:
    """A service in a process of its own, which ends with this object or this process.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.
    settings : how it behaves; the usual ones if not given.

    Attributes
    ----------
    url : where it listens, such as "http://127.0.0.1:40123".
    pid : the number of the process.
    start_seconds : from the start of the process until it listened.

    Raises
    ------
    ModelError
        If the process does not start, with what it said; the model may be no such model.

    Taught in: notebooks/21_edge_service.ipynb
    """

    def __init__(self, model: bytes | str | os.PathLike, settings: Settings | None = None):
        content, chosen = model_files.content(model), asdict(settings or Settings())
        options = [f"--{name}={value}" for name, value in chosen.items()]
        begin = time.perf_counter()
        self._child = process.Child("edge_course.service.running", "--model=-", *options)
        self.pid = self._child.process.pid
        said = self._child.ask(content, seconds=ANSWER_SECONDS)
        self.start_seconds = time.perf_counter() - begin
        if not said.startswith("serving "):
            self.close()
            raise ModelError(said or "the service ended before it began")
        self.url = said.removeprefix("serving ")

    def swap(self, model: bytes | str | os.PathLike) -> str:
        """Exchange the model while it serves; return the new one's fingerprint.

        Raises
        ------
        ModelError
            If it is no such model, or one of other shapes: the old one stays. Also if the
            service has ended.
        """
        said = self._child.ask(model_files.content(model), seconds=ANSWER_SECONDS)
        if not said.startswith("now "):
            raise ModelError(said or "the service has ended")
        return said.removeprefix("now ")

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._child.kill()

    def close(self) -> None:
        """Let it answer those who are inside, and end."""
        self._child.close(seconds=STOP_SECONDS + 5)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM, or until whoever started this process is gone."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.service.running", description="Serves a .tflite file."
    )
    parser.add_argument("--model", required=True, help="a .tflite file")
    parser.add_argument("--port", type=int, default=0, help="a free one if not given")
    for field in fields(Settings):
        kind = type(field.default)
        parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    options = vars(parser.parse_args(arguments))
    model, port = options.pop("model"), options.pop("port")
    from_parent = model == "-"  # models come through a pipe that stays open
    if from_parent:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted cell is not our end
        model = process.asked() or b""
    try:
        _serve(model, Settings(**options), port, from_parent)
    except (ValueError, OSError, OverflowError) as error:
        print(" ".join(str(error).split()), flush=True)
        return 1
    return 0


def _serve(model: bytes | str, settings: Settings, port: int, from_parent: bool) -> None:
    import uvicorn

    from edge_course.service.app import build_app
    from edge_course.service.protocol import Protocol

    slot = ModelSlot(model, threads=settings.threads, batch=settings.batch, takes=settings.takes)
    config = uvicorn.Config(
        build_app(slot, settings),
        http=Protocol,
        loop="asyncio",
        ws="none",
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    # Of a socket that was made for TCP by name asyncio switches off Nagle's algorithm, which would
    # hold the second half of a response back until the first is acknowledged: 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
        print(f"serving http://{_HOST}:{listener.getsockname()[1]}", flush=True)
        if not from_parent:
            with contextlib.suppress(KeyboardInterrupt):  # passed on when all is done
                server.run(sockets=[listener])
            return
        # Not in the main thread, the library leaves signals alone: see `main`.
        serving = threading.Thread(target=server.run, args=([listener],))
        serving.start()
        _exchange(slot)
        server.should_exit = True
        serving.join()


def _exchange(slot: ModelSlot) -> None:
    """Put each model there that the parent sends, until it sends no more."""
    while (content := process.asked()) is not None:
        try:
            said = f"now {slot.swap(content)}"
        except ValueError as error:
            said = " ".join(str(error).split())
        print(said, flush=True)


if __name__ == "__main__":
    terminal.run_command(main)
