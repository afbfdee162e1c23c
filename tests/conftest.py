"""Settings of all tests, and a process for PyTorch."""

import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from edge_course import process

# What a shell starts in the background ignores Ctrl-C, and all that it starts would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is not a failure: no test asserts a time.
settings.register_profile("course", deadline=None)
settings.load_profile("course")


@pytest.fixture(scope="module")
def call() -> Iterator[Callable]:
    """Calls functions in another process: PyTorch lives there, TensorFlow in this one."""
    with process.another() as call:
        call(exec, "import torch; torch.set_num_threads(1)")
        yield call
