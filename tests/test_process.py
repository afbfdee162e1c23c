"""A function in another process returns, raises and dies as it should."""

import os
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from edge_course import process


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
