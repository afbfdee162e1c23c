"""Measures against closed forms, brute force and known loads; no assertion on absolute times."""

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course import measure

labels = st.lists(st.integers(0, 3), min_size=1, max_size=50).map(np.array)


def test_bytes_of_content_and_of_file(tmp_path: Path) -> None:
    content = b"edge" * 1000
    path = tmp_path / "model"
    path.write_bytes(content)
    assert measure.file_bytes(content) == measure.file_bytes(path) == 4000
    assert measure.gzip_bytes(content) == measure.gzip_bytes(str(path)) < 100
    assert gzip.decompress(gzip.compress(content)) == content
    with pytest.raises(TypeError, match="got int"):
        measure.file_bytes(4000)


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
)  # fmt: skip
def test_conv_macs_by_counting(h, w, kh, kw, in_per_group, out_per_group, groups) -> None:
    count = 0
    for _ in np.ndindex(h, w, groups, out_per_group):
        for _ in np.ndindex(kh, kw, in_per_group):
            count += 1
    shape = (h, w, groups * out_per_group)
    assert measure.conv_macs(shape, (kh, kw), groups * in_per_group, groups) == count


def test_macs_refuse_impossible_sizes() -> None:
    with pytest.raises(ValueError, match="do not both divide into 2 groups"):
        measure.conv_macs((4, 4, 3), (3, 3), 4, groups=2)
    with pytest.raises(ValueError, match="at least 1"):
        measure.conv_macs((4, 4, 0), (3, 3), 4)
    with pytest.raises(ValueError, match="at least 1"):
        measure.dense_macs(0, 3)
    assert measure.dense_macs(5, 3) == np.ones((5, 3)).size


@given(labels)
def test_accuracy_of_right_and_wrong_answers(truth: np.ndarray) -> None:
    assert measure.accuracy(truth, truth).value == 1
    assert measure.accuracy(truth + 1, truth).value == 0
    assert measure.accuracy(truth, truth).standard_error == 0


@given(labels, st.randoms())
def test_agreement_is_symmetric(first: np.ndarray, random) -> None:
    second = first.copy()
    random.shuffle(second)
    by_hand = sum(int(a == b) for a, b in zip(first, second, strict=True)) / len(first)
    assert measure.agreement(first, second) == measure.agreement(second, first)
    assert measure.agreement(first, second) == pytest.approx(by_hand)


def test_standard_error_is_the_spread_of_repeated_counts() -> None:
    rng = np.random.default_rng(0)
    shares = rng.binomial(400, 0.87, size=20_000) / 400
    assert measure.standard_error(0.87, 400) == pytest.approx(shares.std(), rel=0.03)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([0.1, 0.9], [0, 1], r"got float64; turn scores into labels"),
        ([0, 1], [0], r"shapes \(2,\) and \(1,\)"),
        (np.zeros(0, int), np.zeros(0, int), r"\(0,\)"),
        ([[0, 1]], [[0, 1]], r"\(1, 2\)"),
    ],
)
def test_labels_are_checked(first, second, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure.accuracy(first, second)


@pytest.mark.parametrize(("share", "count"), [(-0.1, 5), (1.1, 5), (0.5, 0), (float("nan"), 5)])
def test_standard_error_refuses(share: float, count: int) -> None:
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        measure.standard_error(share, count)


def test_latency_ratio_of_known_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only these functions move: one takes 8 times as long, the machine drifts."""
    now = 0.0

    def take(seconds: float) -> None:
        nonlocal now
        now += seconds * (1 + now)  # everything gets slower and slower

    monkeypatch.setattr(measure.time, "perf_counter", lambda: now)
    timing = measure.latency(
        {"one": lambda: take(1e-4), "eight": lambda: take(8e-4)}, rounds=20, seconds=1.0
    )
    ratio = timing.ratio("eight", "one")
    assert ratio.median == pytest.approx(8, rel=0.05)
    assert ratio.low <= ratio.median <= ratio.high
    assert timing.microseconds("one").median > 100, "the drift shows in the times"
    assert len(timing.seconds["one"]) == 20


def test_latency_interleaves() -> None:
    order: list[str] = []
    measure.latency(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=6, seconds=1e-9
    )
    assert "".join(order[-12:]) == "abbaabbaabba"


@pytest.mark.parametrize("arguments", [{"functions": {}}, {"rounds": 3}, {"seconds": 0}])
def test_latency_refuses(arguments: dict) -> None:
    with pytest.raises(ValueError, match="at least one function, 4 rounds"):
        measure.latency(**{"functions": {"a": lambda: None}, **arguments})


def test_spread_is_that_of_numpy() -> None:
    values = np.random.default_rng(1).normal(size=101)
    spread = measure.Spread.of(values)
    assert spread.median == np.median(values)
    assert np.mean(values < spread.low) == pytest.approx(0.25, abs=0.01)
    assert str(measure.Spread(1, 0.5, 2)) == "1.00 (0.50 to 2.00)"


def test_peak_memory_sees_what_was_allocated_and_freed() -> None:
    with measure.peak_memory(every=0.01) as peak:
        before = peak.bytes
        block = np.ones(100_000_000, np.uint8)
        time.sleep(0.1)
        del block
    assert 90e6 < peak.bytes - before < 200e6


FORK = """
import os, time
import psutil
from edge_course import measure
ballast = bytearray(b"1") * (200 * 2**20)
child = os.fork()
if not child:
    time.sleep(60)
else:
    print(measure.resident_bytes(psutil.Process()))
    os.kill(child, 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows forks no processes")
def test_a_fork_that_runs_nothing_of_its_own_yet_is_not_counted_twice() -> None:
    printed = subprocess.run([sys.executable, "-c", FORK], capture_output=True, check=True).stdout
    assert 200 < int(printed) / 2**20 < 350


SHARE = """
import subprocess, sys
import psutil
from edge_course import measure
code = "from edge_course import measure; print(flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1)
child.stdout.readline()  # it has imported the same libraries
for shared_once in (False, True):
    print(measure.resident_bytes(psutil.Process(), shared_once=shared_once))
child.kill()
"""


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells what processes share")
def test_the_libraries_that_two_processes_share_are_counted_once() -> None:
    printed = subprocess.run([sys.executable, "-c", SHARE], capture_output=True, check=True).stdout
    total, shared_once = map(int, printed.split())
    assert total / 3 < shared_once < total


def test_peak_memory_sees_children() -> None:
    import subprocess
    import sys

    code = "import time; block = b'1' * 100_000_000; time.sleep(1)"
    with measure.peak_memory(every=0.01) as peak:
        before = peak.bytes
        subprocess.run([sys.executable, "-c", code], check=True)
    assert peak.bytes - before > 90e6


def test_memory_of_a_process_that_ended() -> None:
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(child.pid)
    child.wait()
    assert measure.resident_bytes(process) == 0


def test_seconds_per_call_are_those_of_the_clock() -> None:
    found = measure.seconds_per_call(lambda: time.sleep(0.002), seconds=0.02)
    assert 0.002 <= found < 0.02
    with pytest.raises(ValueError, match="positive time, got 0"):
        measure.seconds_per_call(lambda: None, seconds=0)


def test_processor_time_is_that_of_working_not_of_waiting() -> None:
    pids = [os.getpid()]
    before = measure.processor_seconds(pids)
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    worked = measure.processor_seconds(pids) - before
    assert 0.25 < worked < 1
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        time.sleep(1)
        once = measure.processor_seconds([sleeper.pid])
        assert once < 0.9
        assert measure.processor_seconds([sleeper.pid, sleeper.pid]) >= 2 * once
    finally:
        sleeper.kill()
        sleeper.wait()
    with pytest.raises(psutil.NoSuchProcess):
        measure.processor_seconds([sleeper.pid])
