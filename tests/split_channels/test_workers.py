"""Real workers: the whole model's answer, bytes as computed, every loss found in time."""

import gc
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from edge_course import process
from edge_course.frameworks import in_pytorch
from edge_course.runtimes import ort
from edge_course.split_channels import networks, torchrun
from edge_course.split_channels.cost import division_cost
from edge_course.split_channels.layers import Layer
from edge_course.split_channels.plan import paired_division
from edge_course.split_channels.program import together
from edge_course.split_channels.ring import Pace
from edge_course.split_channels.workers import WorkerLostError, Workers
from tests.support import split_checks
from tests.support.effort import thorough

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = list(networks.NETWORKS)
BOUND = 120  # seconds within which a loss has to be found, on the slowest machine


def exported() -> dict[str, bytes]:
    with process.another() as call:
        return {name: call(in_pytorch.export_trained, name) for name in NETWORKS}


@pytest.fixture(scope="module")
def onnx():
    """The unsplit networks, as ONNX models, made while the workers start."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(exported)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return networks.first_pictures(30)[0]


def network(name: str) -> tuple:
    layers = networks.NETWORKS[name]()
    return layers, paired_division(layers)


# 7 channels for 2, 3 and 4 workers: none divides evenly; 2 channels leave workers with none.
ODD = (
    Layer("a", "conv", np.random.default_rng(1).normal(size=(7, 1, 3, 3)), np.ones(7), padding=1),
    Layer("b", "conv", np.random.default_rng(2).normal(size=(2, 7, 3, 3)), np.ones(2)),
    Layer("c", "depthwise", np.random.default_rng(3).normal(size=(2, 3, 3)), np.ones(2)),
    Layer("d", "dense", np.random.default_rng(4).normal(size=(5, 2, 24, 24)), np.ones(5)),
)
ODD_PLANS = (("output", "input", "own", "input"), ("input", "output", "whole", "output"))


@pytest.fixture(scope="module")
def pool():
    """Workers for all tests here: to start them takes longer than most tests.

    At most four take part. The tests at the end of this group kill one, one, two, one, and then
    the three that are left.
    """
    with Workers(8, timeout=10) as workers:
        yield workers


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_answer_is_that_of_the_whole_onnx_model(onnx, pool, x, name, workers):
    """32, 128, 10, 16 and 96 channels do not all divide by 3; nor do 10 by 4, nor the 7 of ODD."""
    layers, divisions = network(name)
    pool.load(layers, divisions, count=workers)
    answer = pool.run(x)
    whole = ort.Runner(onnx.result()[name]).scores(x)
    assert answer.output.dtype == np.float32 and answer.output.shape == (len(x), 10)
    # Two orders of summation differ in the last bits of the largest score.
    assert np.abs(answer.output - whole).max() <= 1e-6 * np.abs(whole).max()
    cost = division_cost(layers, divisions, workers, (1, 28, 28), len(x))
    assert answer.bytes == cost.bytes
    assert answer.messages == (sum(s.steps for s in cost.sent),) * workers
    assert answer.workers == workers and answer.lost == ()


@pytest.mark.parametrize("plan", ODD_PLANS)
def test_shares_of_uneven_and_of_no_size_in_float64(pool, x, plan):
    x = x[:2].astype(float)
    whole = together(ODD, ["whole"] * 4, 1, x).output
    for workers in (2, 3, 4):
        pool.load(ODD, plan, count=workers)
        answer = pool.run(x, repeats=2)
        np.testing.assert_allclose(answer.output, whole, rtol=0, atol=1e-9)
        assert answer.bytes == division_cost(ODD, plan, workers, (1, 28, 28), 2).bytes
        assert answer.seconds.shape == answer.exchange_seconds.shape == (2,)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others do not count these bytes")
def test_the_system_counts_the_same_bytes(pool, x):
    """Linux counts what each process writes; beside the arrays that are only small headers."""
    pool.load(*network("depthwise_cnn"), count=3)
    pool.run(x)
    workers = [psutil.Process(pool.pids[number]) for number in range(3)]
    before = [worker.io_counters().write_chars for worker in workers]
    answer = pool.run(x)
    after = [worker.io_counters().write_chars for worker in workers]
    for sent, first, last in zip(answer.bytes, before, after, strict=True):
        assert sent <= last - first < 1.01 * sent + 20_000


def test_what_they_listen_on_is_loopback(pool):
    pool.load(*network("seed_cnn"), count=4)
    addresses = {
        connection.laddr.ip
        for pid in pool.pids.values()
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_bad_input_leaves_the_workers_as_they_are(pool, x):
    pool.load(*network("depthwise_cnn"), count=2)
    for bad in (x[0], x[:0], x.astype(int), np.full_like(x, np.nan), x[:, :, :, :, None]):
        with pytest.raises(ValueError, match="expected pictures of shape"):
            pool.run(bad)
    with pytest.raises(ValueError, match="does not fit a weight"):
        pool.run(np.repeat(x, 2, axis=1))
    with pytest.raises(ValueError, match="at least 1 repetition"):
        pool.run(x, repeats=0)
    for count in (0, 9):
        with pytest.raises(ValueError, match="expected 1 to 8 workers"):
            pool.load(*network("seed_cnn"), count=count)
    assert close_to_whole(pool.run(x).output, x)


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["connection.wait", "worker.send", "worker.receive"])
def test_a_run_that_was_interrupted_is_not_taken_for_the_next(pool, x, monkeypatch, where):
    pool.load(*network("depthwise_cnn"), count=2)
    with monkeypatch.context() as patch:
        patch.setattr(f"edge_course.split_channels.workers.{where}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.run(x)
    if where == "worker.receive":  # in the middle of a reply: that worker is given up, and named
        with pytest.raises(WorkerLostError, match=r"worker \d ended"):
            pool.run(x[:3])
        assert pool.run(x[:3], recover=True).workers == 1
    else:
        assert pool.run(x[:3]).workers == 2
    assert close_to_whole(pool.run(x[1:4]).output, x[1:4])


def whole(x: np.ndarray) -> np.ndarray:
    layers, divisions = network("depthwise_cnn")
    return together(layers, divisions, 1, x).output


def close_to_whole(output: np.ndarray, x: np.ndarray) -> bool:
    return np.abs(output - whole(x)).max() <= 1e-6 * np.abs(whole(x)).max()


def test_those_who_are_no_neighbours_of_the_lost_one_do_not_wait_for_the_timeout(
    pool, x, monkeypatch
):
    monkeypatch.setattr(pool, "_timeout", 10 * BOUND)
    pool.load(*network("depthwise_cnn"), count=4)
    lost = list(pool.pids)[2]
    psutil.Process(pool.pids[lost]).kill()
    begin = time.monotonic()
    answer = pool.run(x, recover=True)
    assert time.monotonic() - begin < BOUND
    assert answer.lost == (lost,) and answer.workers == 3


def test_killed_during_an_exchange(pool, x):
    with ThreadPoolExecutor(1) as thread:
        # Three sums of pool messages, then of two, 0.3 s each: nothing but exchange.
        pool.load(*network("depthwise_cnn"), count=3, pace=Pace(latency=0.3))
        _, second, third = list(pool.pids)[:3]
        begin = time.monotonic()
        running = thread.submit(pool.run, x[:1])
        time.sleep(0.6)
        psutil.Process(pool.pids[third]).kill()
        with pytest.raises(WorkerLostError, match=f"worker {third} ended"):
            running.result(BOUND)
        answer = pool.run(x[:1], recover=True)
        assert answer.lost == (third,) and close_to_whole(answer.output, x[:1])
        running = thread.submit(pool.run, x[:1], recover=True)
        time.sleep(0.6)
        psutil.Process(pool.pids[second]).kill()
        answer = running.result(BOUND)
        assert answer.lost == (third, second) and close_to_whole(answer.output, x[:1])
        assert time.monotonic() - begin < BOUND


def test_a_worker_that_hangs_is_found_out_and_ended(pool, monkeypatch):
    monkeypatch.setattr(pool, "_timeout", 2)
    x = networks.first_pictures(300)[0]  # more than a pipe holds
    pool.load(*network("depthwise_cnn"), count=2)
    lost = list(pool.pids)[1]
    hanging = psutil.Process(pool.pids[lost])
    hanging.suspend()
    begin = time.monotonic()
    answer = pool.run(x, recover=True)
    assert time.monotonic() - begin < BOUND
    assert answer.lost == (lost,) and answer.workers == 1 and close_to_whole(answer.output, x)
    assert not hanging.is_running()


def test_killed_before_a_run_until_none_is_left(pool, x):
    begin = time.monotonic()
    started = dict(pool.pids)
    first, second, third = started
    pool.load(*network("depthwise_cnn"))
    psutil.Process(started[second]).kill()
    with pytest.raises(WorkerLostError, match=f"worker {second} ended; the 2 .*=True") as lost:
        pool.run(x)
    assert lost.value.lost == (second,)
    with pytest.raises(WorkerLostError, match="broken"):  # no answer of the old group
        pool.run(x)
    answer = pool.run(x, recover=True)
    assert answer.workers == 2 and answer.lost == (second,) and len(answer.bytes) == 2
    assert close_to_whole(answer.output, x)
    psutil.Process(started[first]).kill()  # the one that gives the answer
    answer = pool.run(x, recover=True)
    assert answer.workers == 1 and answer.lost == (second, first)
    assert close_to_whole(answer.output, x)
    psutil.Process(started[third]).kill()
    with pytest.raises(WorkerLostError, match="start anew"):
        pool.run(x, recover=True)
    with pytest.raises(ValueError, match="start new ones"):
        pool.load(*network("seed_cnn"))
    assert not any(psutil.pid_exists(pid) for pid in started.values())
    assert time.monotonic() - begin < BOUND


def test_workers_that_nobody_holds_any_more_end(x):
    workers = Workers(1)
    with pytest.raises(ValueError, match="load"):
        workers.run(x)
    ends = list(map(psutil.Process, workers.pids.values()))
    del workers
    gc.collect()
    assert not psutil.wait_procs(ends, timeout=BOUND)[1]


@pytest.mark.parametrize(
    ("workers", "timeout", "message"),
    [(0, 1, "at least 1 worker"), (1, 0, "positive timeout"), (1, float("nan"), "timeout")],
)
def test_bad_settings(workers, timeout, message):
    with pytest.raises(ValueError, match=message):
        Workers(workers, timeout=timeout)


ABANDONS = """
import os, signal, sys, time
from edge_course.split_channels import networks, torchrun
from edge_course.split_channels.plan import paired_division
from edge_course.split_channels.workers import Workers
if __name__ == "__main__":
    pool = Workers(1)
    layers = networks.NETWORKS["seed_cnn"]()
    pool.load(layers, paired_division(layers))
    if hasattr(os, "killpg"):
        try:  # as a notebook does in whatever cell: this process and all that it has started
            os.killpg(0, signal.SIGINT)
            time.sleep(600)
        except KeyboardInterrupt:
            pass
    print(pool.run(networks.first_pictures(2)[0]).output.shape, flush=True)
    print(*pool.pids.values(), flush=True)
    time.sleep(600)
"""


def test_the_workers_outlive_an_interrupt_and_end_with_the_process_that_started_them(tmp_path):
    script = tmp_path / "abandons.py"
    script.write_text(ABANDONS, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    ) as parent:  # fmt: skip
        assert parent.stdout.readline().strip() == "(2, 10)"
        [worker] = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert not psutil.wait_procs([worker], timeout=BOUND)[1]


def run_torchrun(*arguments: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [*before, sys.executable, "-m", "torch.distributed.run", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=170, cwd=ROOT, env=environment
    )


def test_two_launches_of_torchrun_as_on_two_machines():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    command += ["--master-port", port, "--node-rank"]
    ours = ["-m", "edge_course.split_channels.torchrun"]
    ours += ["--network", "depthwise_cnn", "--pictures", "9"]
    with ThreadPoolExecutor(2) as threads:
        runs = list(threads.map(lambda rank: run_torchrun(*command, rank, *ours), "01"))
    assert [run.returncode for run in runs] == [0, 0], runs
    assert "[OK]   depthwise_cnn, 9 pictures" in runs[0].stdout
    layers, divisions = network("depthwise_cnn")
    cost = division_cost(layers, divisions, 2, (1, 28, 28), 9)
    for rank, run in enumerate(runs):
        assert f"worker {rank} of 2" in run.stdout
        assert f"sent {cost.bytes[rank]:,} bytes" in run.stdout


def test_torchrun_divides_a_network_of_ones_own(tmp_path):
    (tmp_path / "my_model.onnx").write_bytes(split_checks.small_picture_network())
    ours = ["-m", "edge_course.split_channels.torchrun", "--pictures", "3", "--network"]
    arguments = [*torchrun.torchrun_arguments(2), *ours]
    run = run_torchrun(*arguments, str(tmp_path / "my_model.onnx"))
    assert run.returncode == 0 and "my_model.onnx, 3 pictures" in run.stdout, run
    run = run_torchrun(*arguments, str(tmp_path / "missing.onnx"))
    assert run.returncode != 0 and "missing.onnx" in run.stdout + run.stderr


def test_without_torchrun_the_command_is_named(monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    assert torchrun.main([]) == 2
    said = capsys.readouterr().out
    assert "start this with torchrun" in said and torchrun.ON_ONE_MACHINE in said


def test_every_command_for_torchrun_has_an_address():
    """Without one torchrun looks for the machine's own name, which may stand for nothing."""
    for file in ("README.md", "edge_course/split_channels/torchrun.py"):
        text = (ROOT / file).read_text(encoding="utf-8")
        commands = re.findall(r"torchrun --[ns].*?split_channels\.torchrun", text, re.DOTALL)
        assert commands and all(re.search("--(master|local)-addr", c) for c in commands)


@pytest.mark.skipif(not thorough(), reason="looks up a name that nobody has: only --thorough")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="needs root, on Linux")
def test_the_command_on_a_machine_whose_name_does_not_resolve():
    nameless = ("unshare", "-u", "sh", "-c", 'hostname no-such-name-xyz; exec "$@"', "sh")
    arguments = torchrun.ON_ONE_MACHINE.split()[1:]
    run = run_torchrun(*arguments, "--pictures", "20", before=nameless)
    assert run.returncode == 0 and "[OK]" in run.stdout, run


def test_a_master_whose_name_does_not_resolve_is_said_at_once(monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("MASTER_ADDR", "no-such-name")
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(ValueError, match=r"no-such-name stands for no address .*--master-addr"):
        torchrun.own_address()
