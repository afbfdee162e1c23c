"""TFLM's interpreter: what it returns, what it records, what it refuses."""

import numpy as np
import pytest

from edge_course import data
from edge_course.runtimes import litert, tflm
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks

pytestmark = pytest.mark.skipif(bool(tflm.missing()), reason=tflm.missing())


@pytest.fixture
def file() -> bytes:
    return data.read("compressed_20.tflite")


def test_its_scores_are_nearly_those_of_litert(file) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (20, 28, 28, 1)).astype(np.int8)
    (found,), (expected,) = (
        outputs(file, x).values() for outputs in (tflm.micro_outputs, litert.outputs)
    )
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_the_recorded_arena_is_enough_and_a_little_less_is_not(file, capfd) -> None:
    arena = tflm.recorded_arena(file)
    x = np.zeros((1, 28, 28, 1), np.int8)
    tflm.micro_outputs(file, x, arena=arena.total)
    with pytest.raises(ModelError, match=r"into 11,000 bytes: Failed to allocate tail memory"):
        tflm.micro_outputs(file, x, arena=11_000)
    assert capfd.readouterr().err == ""  # all that it says is in the error


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 28, 28, 1), np.float32), "expected int8"),
        (np.zeros((1, 28, 28), np.int8), r"got int8 \(1, 28, 28\)"),
        (np.zeros((0, 28, 28, 1), np.int8), "multiple of 1"),
    ],
)
def test_other_inputs_are_refused(file, x, message) -> None:
    with pytest.raises(ValueError, match=message):
        tflm.micro_outputs(file, x)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x1c\0\0\0TFL3" + bytes(50)])
def test_other_files_are_refused_before_tflm_sees_them(content) -> None:
    with pytest.raises(ModelError):
        tflm.micro_outputs(content, np.zeros((1, 28, 28, 1), np.int8))


def test_an_operator_that_tflm_cannot_prepare_is_named() -> None:
    file = tflite_networks.network(1)  # slices something of five dimensions
    with pytest.raises(ModelError, match="STRIDED_SLICE"):
        tflm.recorded_arena(file)


def test_an_operator_that_tflm_cannot_compute_is_named(capfd) -> None:
    x = np.zeros((1, 4, 4, 1), np.int8)
    with pytest.raises(ModelError, match=r"cannot run it: Type INT8 .* NEG .* failed to invoke"):
        tflm.micro_outputs(tflite_networks.of_one_operator("NEG"), x)
    assert capfd.readouterr().err == ""
