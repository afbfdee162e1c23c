"""A network of one's own, from training to an int8 LiteRT file and to a smaller ONNX file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_course import stripes
from edge_course.runtimes import litert, ort
from tests.support import own_network

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def made(call) -> own_network.Journey:
    return call(own_network.journey)


@pytest.fixture(scope="module")
def test_set() -> tuple[np.ndarray, np.ndarray]:
    return stripes.pictures(300, (26, 22, 3), 5, seed=1)


def test_it_goes_all_the_way(made, test_set, tmp_path) -> None:
    pictures, labels = test_set
    accuracy = (made.trained.argmax(1) == labels).mean()
    assert accuracy > 0.8

    # Trained with its rounding: LiteRT says what the rounded network says.
    file = tmp_path / "own_int8.tflite"
    file.write_bytes(made.litert)
    answers = litert.Runner(file, require_int8=True).predict(pictures)
    assert (answers == made.rounded.argmax(1)).mean() > 0.97
    assert (answers == labels).mean() > accuracy - 0.05

    # Channels cut: the ONNX file is smaller, and ONNX Runtime computes the network that was cut.
    small = tmp_path / "own_cut.onnx"
    small.write_bytes(made.onnx)
    scores = ort.Runner(small).scores(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    assert np.abs(scores - made.cut).max() < 1e-4 * np.abs(made.cut).max()
    assert len(made.onnx) < 0.7 * len(made.whole_onnx)
    assert (scores.argmax(1) == labels).mean() > accuracy - 0.1

    arrays, page = tmp_path / "test.npz", tmp_path / "page.html"
    np.savez(arrays, images=pictures, labels=labels)
    for model in (file, small):
        command = [sys.executable, "-m", "edge_course.report", model]
        command += ["--data", arrays, "--html", page]
        report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert report.returncode == 0, report.stdout + report.stderr
        for what in ("multiply-accumulates", "peak", "accuracy"):
            assert what in report.stdout.lower()
        assert page.stat().st_size > 10_000
