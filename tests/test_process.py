"""A function in another process returns, raises and dies as it should."""

import io
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from edge_course import process

ROOT = Path(__file__).resolve().parents[1]


def loaded() -> set[str]:
    return set(sys.modules)


def test_it_is_one_other_process() -> None:
    with process.another() as call:
        pids = {call(os.getpid), call(os.getpid)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_what_is_loaded_here_is_not_loaded_there() -> None:
    import numpy  # noqa: F401

    with process.another() as call:
        assert "numpy.linalg" in loaded()
        assert "numpy.linalg" not in call(loaded)


def test_errors_come_back() -> None:
    with process.another() as call, pytest.raises(ValueError, match="invalid literal"):
        call(int, "seven")


def test_death_is_noticed() -> None:
    with process.another() as call, pytest.raises(BrokenProcessPool):
        call(os._exit, 1)


INTERRUPTS = """
import os, signal, time
from concurrent.futures.process import BrokenProcessPool
from edge_course import process

def interrupt(seconds):  # as a notebook does: this process and all that it has started
    os.killpg(0, signal.SIGINT)
    time.sleep(seconds)

if __name__ == "__main__":
    with process.another() as call:
        for cell in (interrupt, lambda seconds: call(interrupt, seconds)):
            try:
                cell(600)
            except KeyboardInterrupt:
                print("interrupted")
            try:
                print(call(abs, -7))
            except BrokenProcessPool as error:
                print(error)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
def test_it_outlives_an_interrupt_and_ends_at_once_when_a_call_is_interrupted(tmp_path):
    script = tmp_path / "interrupts.py"
    script.write_text(INTERRUPTS, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = run.stdout.splitlines()
    assert said[:3] == ["interrupted", "7", "interrupted"], run
    assert len(said) == 4 and "the other process has ended (a call was interrupted" in said[3]
    assert not run.stderr


ECHO = """
import sys
from edge_course import process
while (content := process.asked()) is not None:
    print(len(content), content[:5].hex() or "nothing", flush=True)
print("the end", flush=True)
"""


def test_a_child_is_asked_and_replies_until_it_is_closed(tmp_path, monkeypatch) -> None:
    (tmp_path / "echo_child.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))
    child = process.Child("echo_child")
    assert child.ask(b"abcdefg", seconds=20) == "7 6162636465"
    assert child.ask(b"", seconds=20) == "0 nothing"
    assert child.ask(bytes(10**7), seconds=20) == "10000000 0000000000"
    child.close()
    assert child.process.returncode == 0


def test_a_child_that_is_silent_is_ended(tmp_path, monkeypatch) -> None:
    (tmp_path / "silent_child.py").write_text("import time; time.sleep(100)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))
    child = process.Child("silent_child")
    assert child.ask(b"abc", seconds=0.5) == ""
    assert child.process.wait(20)
    assert child.ask(b"abc", seconds=0.5) == ""
    child.close()


def test_half_a_question_is_none(monkeypatch) -> None:
    for sent in (b"", b"1234567", (9).to_bytes(8, "little") + b"12345678"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sent)))
        assert process.asked() is None
