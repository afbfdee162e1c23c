"""Flower's deployment engine on this machine: a SuperLink, SuperNodes, and ``flwr run``.

They listen on the loopback address only, on free ports, and write into one temporary folder. All
of them end when the process that started them does, in whatever way: a keeper, a process of its
own, waits for that, and then ends whatever still lives with that folder as Flower's home.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil

from edge_course import process, terminal

_START_SECONDS, _RUN_SECONDS, _ASK_SECONDS = 90, 240, 10
_HOST, _CONNECTION = "127.0.0.1", "here"
_PROJECT = """\
[project]
name = "wrist"
version = "1.0.0"
license = "MIT"
dependencies = []

[tool.flwr.app]
publisher = "edge-course"

[tool.flwr.app.components]
serverapp = "wrist:server_app"
clientapp = "wrist:client_app"

[tool.flwr.app.config]
rounds = 1
people = 1
result = ""
"""
_APP = """\
from edge_course.federated import wrist_app

client_app = wrist_app.client_app
server_app = wrist_app.server_app
"""


class FlowerError(Exception):
    """A process of Flower did not start, or a run failed."""


class Deployment:
    """A SuperLink and a SuperNode for each person, as processes that end with this one.

    Parameters
    ----------
    people : their numbers, 1 to 10; each SuperNode's settings name one.

    Attributes
    ----------
    home : the temporary folder, Flower's home.
    address : where the SuperLink listens, such as "127.0.0.1:40123".

    Raises
    ------
    FlowerError
        If a process does not start.

    Taught in: notebooks/17_federated_learning.ipynb
    """

    def __init__(self, people: Sequence[int]):
        self._folder = tempfile.TemporaryDirectory(prefix="flwr_", ignore_cleanup_errors=True)
        self.home, self.people = Path(self._folder.name).resolve(), list(people)
        self._keeper = process.Child("edge_course.federated.superlink", str(self.home))
        said = self._keeper.ask(json.dumps(self.people).encode(), seconds=_START_SECONDS)
        if not said.startswith("ready "):
            self.close()
            raise FlowerError(said or "the processes of Flower ended before they began")
        self.address = said.removeprefix("ready ")

    def run(self, rounds: int) -> np.ndarray:
        """Run `wrist_app` with ``flwr run``; return the weights, float64 (13, 7).

        Raises
        ------
        FlowerError
            If the run fails, or takes more than four minutes.
        """
        result = self.home / f"result_{time.time_ns()}.npz"
        settings = f"rounds={rounds} people={len(self.people)} result={json.dumps(str(result))}"
        app = str(self.home / "app")
        begun = self._flwr("run", app, _CONNECTION, "--run-config", settings)
        run, late = str(begun["run-id"]), time.monotonic() + _RUN_SECONDS
        while not _appears(result, _ASK_SECONDS):  # "flwr run" is content once the run is known
            status = self._flwr("ls", _CONNECTION, "--run-id", run)["runs"][0]["status"]
            if status.startswith("finished") and not result.exists():
                log = (self.home / "superlink.log").read_text(encoding="utf-8", errors="replace")
                raise FlowerError(f"the run ended as {status}: {log[-500:]}")
            if time.monotonic() > late:
                raise FlowerError(f"the run has not ended within {_RUN_SECONDS} s: {status}")
        with np.load(io.BytesIO(result.read_bytes()), allow_pickle=False) as arrays:
            return arrays["weights"]

    def processes(self) -> list[psutil.Process]:
        """Return the processes of Flower, but for the keeper."""
        return list(_members(self.home))

    def close(self) -> None:
        """End all processes, and remove the folder."""
        self._keeper.close(seconds=30)
        self._folder.cleanup()

    def _flwr(self, *command: str) -> dict:
        done = subprocess.run(
            [_program("flwr"), *command, "--format", "json"],
            env=_environment(self.home), capture_output=True, text=True, timeout=_RUN_SECONDS,
        )  # fmt: skip
        try:
            said = json.loads(done.stdout)
        except ValueError:
            said = {"error-message": done.stdout + done.stderr}
        if not said.get("success"):  # the exit code is 0 all the same
            raise FlowerError(f"flwr {command[0]}: {said.get('error-message', said)}"[:800])
        return said

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of Flower's processes: nothing is fetched, reported or coloured."""
    scripts = sysconfig.get_path("scripts")
    # A notebook's kernel forces colours, which Flower would write into its JSON too.
    colours = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")
    given = {name: value for name, value in os.environ.items() if name not in colours}
    return given | {
        "FLWR_HOME": str(home),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(home / "tmp")),
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")]),
    }


def _appears(file: Path, seconds: float) -> bool:
    """Return whether a file is there within some seconds."""
    late = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < late:
        time.sleep(0.1)
    return file.exists()


def _program(name: str) -> str:
    """Return the path of one of Flower's commands, beside the Python that runs this."""
    return str(Path(sysconfig.get_path("scripts"), name + (".exe" if os.name == "nt" else "")))


def _members(home: Path) -> Iterator[psutil.Process]:
    """Yield the processes whose home of Flower is a folder, wherever they hang in the tree."""
    for member in psutil.process_iter():
        try:
            if member.environ().get("FLWR_HOME") == str(home):
                yield member
        except (psutil.Error, OSError):  # another user's, or ended
            continue


def _free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens at the moment."""
    listeners = [socket.create_server((_HOST, 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _start(home: Path, people: Sequence[int]) -> str:
    """Start the SuperLink and the SuperNodes; return where the SuperLink listens."""
    port, *node_ports = _free_ports(1 + len(people))
    address = f"{_HOST}:{port}"
    (home / "app").mkdir()
    (home / "tmp").mkdir()
    (home / "app" / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    (home / "app" / "wrist.py").write_text(_APP, encoding="utf-8")
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "{_CONNECTION}"\n\n'
        f'[superlink.{_CONNECTION}]\naddress = "{address}"\ninsecure = true\n',
        encoding="utf-8",
    )
    _spawn(home, "superlink", "flower-superlink", "--insecure", "--host", _HOST,
           "--port", str(port), "--disable-runtime-dependency-installation")  # fmt: skip
    for person, own in zip(people, node_ports, strict=True):
        _spawn(home, f"supernode_{person}", "flower-supernode", "--insecure",
               "--superlink", address, "--host", _HOST, "--port", str(own),
               "--node-config", f"person={person}")  # fmt: skip
    late = time.monotonic() + _START_SECONDS - 10
    while time.monotonic() < late:
        try:
            socket.create_connection((_HOST, port), timeout=1).close()
            return address
        except OSError:
            time.sleep(0.1)
    raise FlowerError("the SuperLink does not listen")


def _spawn(home: Path, log: str, program: str, *options: str) -> None:
    with (home / f"{log}.log").open("wb") as out:
        subprocess.Popen(
            [_program(program), *options],
            env=_environment(home), cwd=home, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Keep a SuperLink and its SuperNodes until whoever started this process is gone."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted cell is not our end
    home = Path((arguments or sys.argv[1:])[0])
    try:
        print(f"ready {_start(home, json.loads(process.asked() or b'[]'))}", flush=True)
        process.asked()  # ends when the parent does, even if it is killed
        return 0
    except (FlowerError, OSError, ValueError) as error:
        print(" ".join(str(error).split()), flush=True)
        return 1
    finally:
        while members := list(_members(home)):  # one may have started another just now
            for member in members:
                try:
                    member.kill()
                except psutil.Error:
                    continue
            psutil.wait_procs(members, timeout=5)


if __name__ == "__main__":
    terminal.run_command(main)
