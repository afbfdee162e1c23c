"""A function in another process returns, raises and dies as it should."""

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
