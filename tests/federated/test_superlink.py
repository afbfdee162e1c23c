"""The deployment engine: the same numbers, loopback only, one folder, and nothing left behind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from edge_course.federated import superlink, wrist_app
from edge_course.federated.flower import InProcessGrid

PEOPLE, ROUNDS = [5, 9], 2
# A program that deploys, runs, says what it got, and then waits to be killed.
PROGRAM = """
import json, sys, time
from edge_course.federated.superlink import Deployment

deployment = Deployment({people})
weights = deployment.run({rounds})
print(json.dumps([str(deployment.home), deployment.address, weights.tolist()]), flush=True)
time.sleep(600)
"""
# What every process of Flower looks up, binds, connects to, and opens to write.
AUDIT = """
import os, sys

def hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        note(event, arguments[0])
    elif event in ("socket.bind", "socket.connect") and isinstance(arguments[1], tuple):
        note(event, arguments[1][0])
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        mode, flags = arguments[1] or "", arguments[2] or 0
        if set("wax+") & set(mode) or flags & (os.O_WRONLY | os.O_RDWR):
            note(event, os.path.abspath(os.fsdecode(arguments[0])))

def note(event, what):
    line = f"{event}\\t{os.fsdecode(what) if isinstance(what, bytes) else what}\\n"
    os.write(LOG, line.encode())

if "FLWR_HOME" in os.environ:
    LOG = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory):
    """A deployment that has run; its process is killed, not asked, to end."""
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "site").mkdir()
    (folder / "home").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(AUDIT)
    home = str(folder / "home")
    environment = os.environ | {
        "HOME": home, "USERPROFILE": home, "AUDIT_LOG": str(folder / "audit"),
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(Path.cwd())]),
        "PYTHONDONTWRITEBYTECODE": "1", "FORCE_COLOR": "1",  # as a notebook's kernel sets it
    }  # fmt: skip
    program = PROGRAM.format(people=PEOPLE, rounds=ROUNDS)
    child = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )
    flower_home, address, weights = json.loads(child.stdout.readline())
    members = list(superlink._members(Path(flower_home)))
    listening = {
        (c.laddr.ip, c.laddr.port)
        for member in members
        for c in member.net_connections(kind="inet")
        if c.status == psutil.CONN_LISTEN
    }
    child.kill()
    child.wait()
    late = time.monotonic() + 30
    while (left := list(superlink._members(Path(flower_home)))) and time.monotonic() < late:
        time.sleep(0.2)
    child.stdout.close()
    audit = [line.split("\t") for line in (folder / "audit").read_text().splitlines()]
    yield {
        "home": flower_home, "weights": np.array(weights), "members": members, "left": left,
        "listening": listening, "audit": audit, "users_home": folder / "home", "port": address,
    }  # fmt: skip


def test_equal_to_one_process_to_the_last_bit(deployed) -> None:
    grid = InProcessGrid(wrist_app.client_app, [{"person": person} for person in PEOPLE])
    assert np.array_equal(wrist_app.federate(grid, ROUNDS), deployed["weights"])


def test_all_processes_end_with_the_one_that_is_killed(deployed) -> None:
    assert len(deployed["members"]) >= 1 + len(PEOPLE)
    assert not deployed["left"]


def test_nothing_listens_off_the_loopback(deployed) -> None:
    addresses = {ip for ip, _ in deployed["listening"]}
    assert addresses == {"127.0.0.1"}
    assert int(deployed["port"].rpartition(":")[2]) in {port for _, port in deployed["listening"]}


def test_no_outside_name_is_looked_up_or_connected_to(deployed) -> None:
    names = {what for event, what in deployed["audit"] if event.startswith("socket.")}
    assert names, "the processes were watched"
    assert names <= {"127.0.0.1", "localhost", "::1", "0.0.0.0", "None"}


def test_nothing_is_written_outside_the_temporary_home(deployed) -> None:
    written = {what for event, what in deployed["audit"] if event == "open"}
    assert written, "the processes were watched"
    outside = {w for w in written if not w.startswith(deployed["home"]) and w != os.devnull}
    assert not outside
    assert not list(deployed["users_home"].rglob("*"))


def test_a_command_that_fails_is_an_error_though_its_exit_code_is_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = '{"success": false, "error-message": "no such app"}'
    done = subprocess.CompletedProcess([], 0, stdout=said, stderr="")
    monkeypatch.setattr(superlink.subprocess, "run", lambda *_, **__: done)
    deployment = object.__new__(superlink.Deployment)
    deployment.home = Path("home")
    with pytest.raises(superlink.FlowerError, match="flwr ls: no such app"):
        deployment._flwr("ls")
