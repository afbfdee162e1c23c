"""A student's function is ended when its time is up, and an import never is."""

import functools
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge_course import student_call
from edge_course.student_call import call_student, unwrapped


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student_call, "CALL_SECONDS", 0.3)


def others() -> set[threading.Thread]:
    return set(threading.enumerate()) - {threading.current_thread()}


def gone(threads: set[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(5)
    return not any(thread.is_alive() for thread in threads)


def test_a_result_and_an_error_come_back() -> None:
    assert call_student(lambda x: x + 1, {"x": 1}).value == 2
    assert call_student(lambda x: 1 / x, {"x": 0}).problem.startswith("it raised ZeroDivision")
    assert call_student(sys.exit, {}).problem == "it raised SystemExit"


def test_an_endless_loop_is_ended() -> None:
    def loop(x):
        while True:
            x += 1

    before = others()
    outcome = call_student(loop, {"x": 0})
    assert outcome.too_slow and "did not finish" in outcome.problem
    assert gone(others() - before)


def test_a_loop_that_catches_everything_is_ended() -> None:
    def loop(x):
        while True:
            try:  # noqa: SIM105
                x += 1
            except:  # noqa: E722
                pass

    before = others()
    assert call_student(loop, {"x": 0}).too_slow
    assert gone(others() - before)


def test_only_the_students_own_code_is_interrupted(tmp_path: Path, monkeypatch) -> None:
    """A library that is interrupted between two steps would be left in disorder."""
    (tmp_path / "library.py").write_text(
        "import time\nsteps = []\n"
        "def work():\n    steps.append(1)\n    for _ in range(50):\n        time.sleep(0.02)\n"
        "    steps.append(2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import library

    def use():
        library.work()

    before = others()
    assert call_student(use, {}).too_slow
    assert gone(others() - before)
    assert library.steps == [1, 2]


def test_an_import_takes_no_time_and_is_never_cut_short(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "outer_module.py").write_text("import inner_module\ncomplete = True\n")
    (tmp_path / "inner_module.py").write_text(
        "import time\nfor _ in range(60):\n    time.sleep(0.02)\ncomplete = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def answer(x):
        import outer_module

        return x + outer_module.complete

    outcome = call_student(answer, {"x": 1})
    assert outcome.value == 2
    assert outcome.import_seconds > student_call.CALL_SECONDS
    assert sys.modules["inner_module"].complete


def test_an_import_without_end_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(student_call, "IMPORT_SECONDS", 0.2)
    (tmp_path / "waiting_module.py").write_text("import time\ntime.sleep(1)\n")
    monkeypatch.syspath_prepend(tmp_path)

    def answer():
        import waiting_module

        return waiting_module

    before = others()
    assert "still importing a module" in call_student(answer, {}).problem
    assert gone(others() - before)
    assert "waiting_module" in sys.modules, "it was left to end by itself"


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_an_interrupt_stays_an_interrupt_and_ends_the_function() -> None:
    code = """
import threading
from edge_course.student_call import call_student
def loop():
    print("begun", flush=True)
    while True:
        pass
try:
    call_student(loop, {})
except KeyboardInterrupt:
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(5)
    print("interrupted", len(threading.enumerate()))
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "begun\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert child.communicate()[0] == "interrupted 1\n"


def add(a, b=1):
    return a + b


def test_what_is_wrapped_around_a_function_is_taken_off() -> None:
    @functools.wraps(add)
    def wrapper(*arguments):
        return add(*arguments)

    wrapped = (
        add, wrapper, functools.cache(add), functools.partial(add, b=2), np.vectorize(add),
        functools.cache(functools.partial(add, b=2)),
    )  # fmt: skip
    assert all(unwrapped(function) is add for function in wrapped)
    assert unwrapped(abs) is abs
