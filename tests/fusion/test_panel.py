"""Real node processes: killed, late, talking nonsense; the answer is that of those present."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from edge_course.fusion.archive import ArchiveProcess
from edge_course.fusion.panel import Panel, far_from_the_others
from edge_course.fusion.station import Station, StationProcess
from edge_course.fusion.weights import minimum_variance
from edge_course.nodes import addresses
from edge_course.nodes.client import Client
from edge_course.nodes.server import Server
from edge_course.nodes.transport import NodeError
from tests.support import stations
from tests.support.effort import effort

NODES = effort(6, 22)
ROUNDS = effort(20, 100)
FIRST = 700
LIMITS = np.full(NODES, 900.0)
POSSIBLE = (-500.0, 1500.0)


@pytest.fixture(scope="module")
def recordings():
    return stations.recordings(NODES)


@pytest.fixture(scope="module")
def products():
    errors = np.random.default_rng(1).normal(0, 30, (500, NODES)) + 20
    return errors.T @ errors / len(errors)


def test_a_station_forecasts_from_its_past_alone(recordings) -> None:
    recording = recordings[0]
    counts = recording.counts.copy()
    counts[FIRST + 1 :] = 99
    now = np.array([FIRST])
    changed = Station(recording._replace(counts=counts)).forecast(now)
    assert changed == Station(recording).forecast(now)
    counts[FIRST - 1] = 99
    assert changed != Station(recording._replace(counts=counts)).forecast(now)


@pytest.mark.parametrize("step", [0.0, 667.0, 1e6, -1.0])
def test_a_step_without_a_past_is_a_failure(recordings, step) -> None:
    with pytest.raises(ValueError, match="expected steps from 668"):
        Station(recordings[0]).run({"step": np.float32([step])})


def test_rounds_with_nodes_killed_late_and_talking_nonsense(recordings, products) -> None:
    random = np.random.default_rng(0)
    nonsense = recordings[0].counts.copy()
    nonsense[FIRST - 700 :] = 1e9  # within int8 it is as much as the file can say
    served = [*recordings]
    served[1] = recordings[1]._replace(counts=nonsense)
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(StationProcess(r, takes=1.5 if n == 2 else 0.0))
            for n, r in enumerate(served)
        ]
        limits = LIMITS.copy()
        limits[1] = 50.0
        clients = {n: Client(p.address, p.model) for n, p in enumerate(processes)}
        asked = stack.enter_context(Panel(clients, products, limits, POSSIBLE, deadline=0.6))
        truth = {n: Station(r) for n, r in enumerate(served)}
        killed, longest = set(), 0.0
        for step in range(FIRST, FIRST + ROUNDS):
            alive = [n for n in range(NODES) if n not in killed | {1, 2}]
            if random.random() < 0.2 and len(alive) > 1:
                killed.add(gone := int(random.choice(alive)))
                processes[gone].kill()
            begin = time.perf_counter()
            answer = asked.answer(step)
            longest = max(longest, time.perf_counter() - begin)
            present = [n for n in range(NODES) if n not in killed | {1, 2}]
            assert list(answer.nodes) == present
            assert set(answer.left_out) == {1, 2} | killed
            assert "too far from the others" in answer.left_out[1]
            # Late, and once sixteen questions wait for it: too busy.
            assert re.search("no answer|overloaded", answer.left_out[2])
            forecasts = [truth[n].forecast(np.array([step]))[0] for n in present]
            weights = minimum_variance(products[np.ix_(present, present)])
            assert answer.value == pytest.approx(np.dot(weights, forecasts), rel=1e-5)
        assert killed and longest < 2.0
        for n in [*present, 1, 2]:
            processes[n].kill()
        with pytest.raises(NodeError, match=f"none of {NODES} nodes gave a forecast"):
            asked.answer(FIRST)
        pids = [p.process.pid for p in processes]
    assert not any(psutil.pid_exists(pid) for pid in pids)


class Liar:
    """A node of this process that says whatever it is told to say."""

    inputs, model = ("step",), "0" * 32

    def __init__(self, **said):
        self._said = {name: np.float32(value) for name, value in said.items()}

    def run(self, tensors):
        return self._said


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"forecast": [1e6]}, "1000000 is impossible, expected -500 to 1500"),
        ({"forecast": [np.nan]}, "cannot be sent"),
        ({"other": [1]}, "has no forecast"),
        ({"forecast": []}, "has no forecast|cannot be sent|shape"),
    ],
)
def test_a_liar_is_left_out_even_if_nobody_else_is_there(said, message) -> None:
    address = addresses.free_address()
    with contextlib.closing(Server(Liar(**said), address)):
        client = Client(address, Liar.model)
        alone = Panel({4: client}, np.eye(1), LIMITS[:1], POSSIBLE)
        with alone, pytest.raises(NodeError, match=message):
            alone.answer(FIRST)


def test_far_means_far_from_the_median() -> None:
    forecasts = np.array([[10, 11, 12, 500], [10, 11, 12, 13]])
    assert far_from_the_others(forecasts, np.full(4, 50)).tolist() == [
        [False, False, False, True],
        [False] * 4,
    ]


def test_answers_are_stored_line_by_line_and_stay(tmp_path) -> None:
    path = tmp_path / "answers.jsonl"
    for step in (700, 701):  # a second archive goes on where the first one ended
        with ArchiveProcess(path) as archive, Client(archive.address, archive.model) as client:
            line = {"step": [step], "answer": [123.25], "nodes": [20]}
            reply = client.request({name: np.float32(x) for name, x in line.items()})
            assert reply["stored"].tolist() == [1]
            archive.kill()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"step": step, "answer": 123.2, "nodes": 20} for step in (700, 701)]


def test_an_archive_that_cannot_write_says_so(tmp_path) -> None:
    with pytest.raises(NodeError, match=r"did not start: .*No such file"):
        ArchiveProcess(tmp_path / "nowhere" / "answers.jsonl")


def test_a_station_without_a_file_says_so(recordings) -> None:
    with pytest.raises(NodeError, match="did not start"):
        StationProcess(recordings[0]._replace(file=b"nothing"))


def test_a_panel_of_another_size_is_refused(products) -> None:
    with pytest.raises(ValueError, match="products and limits of 0 nodes"):
        Panel({}, products, LIMITS, POSSIBLE)


CHILD = """
import sys, time
from tests.support import stations
from edge_course.fusion.station import StationProcess
if __name__ == "__main__":
    process = StationProcess(stations.recordings(1)[0])
    print(process.process.pid, flush=True)
    time.sleep(600)
"""


def test_a_station_ends_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    pid = int(parent.stdout.readline())
    station = psutil.Process(pid)
    parent.kill()
    parent.wait()
    psutil.wait_procs([station], timeout=10)
    assert not station.is_running()
