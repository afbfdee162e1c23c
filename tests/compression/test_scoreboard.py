"""The scoreboard: the numbers of one model are those of `measure`, whatever stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_course import data, fashion_mnist, measure, process
from edge_course.compression import scoreboard
from edge_course.frameworks import in_pytorch
from edge_course.runtimes import litert
from edge_course.runtimes.model_files import ModelError


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    test = fashion_mnist.load("test")
    return fashion_mnist.preprocess(test.images[:300]), test.labels[:300]


@pytest.fixture(scope="module")
def rows(call, pictures) -> dict[str, scoreboard.Row]:
    files = {name: data.read(f"{name}.tflite") for name in ("seed_cnn_float32", "seed_cnn_int8")}
    files["onnx"] = call(in_pytorch.export_trained, "depthwise_cnn")
    board = scoreboard.scoreboard(files, *pictures, "seed_cnn_float32", seconds=0.5)
    assert [row.name for row in board] == list(files)
    return {row.name: row for row in board}


def test_accuracy_and_bytes(rows, pictures) -> None:
    images, labels = pictures
    file = data.read("seed_cnn_int8.tflite")
    row = rows["seed_cnn_int8"]
    assert (row.bytes, row.gzip) == (len(file), measure.gzip_bytes(file))
    assert row.accuracy == measure.accuracy(litert.Runner(file).predict(images), labels)


def test_each_file_runs_in_its_runtime(rows) -> None:
    runtimes = {name: row.runtime for name, row in rows.items()}
    expected = ("LiteRT", "LiteRT", "ONNX Runtime")
    assert tuple(runtimes.values()) == expected
    assert rows["onnx"].accuracy.value > 0.8  # its pictures were put in its order


def test_memory_of_a_large_file_is_at_least_its_weights(rows) -> None:
    assert rows["seed_cnn_float32"].memory > 2_000_000
    for row in rows.values():
        assert row.peak > row.memory >= 0
        assert row.peak > 20 * scoreboard.MIB  # Python and the runtime are in it


def test_the_reference_is_as_fast_as_itself(rows) -> None:
    assert rows["seed_cnn_float32"].faster == measure.Spread(1, 1, 1)


def test_the_table_has_a_line_for_each(rows) -> None:
    lines = scoreboard.scoreboard_text(list(rows.values())).splitlines()
    assert len(lines) == len(rows) + 2
    assert lines[1].startswith("seed_cnn_float32")
    assert "2,779,176" in lines[1]


def test_mistakes_are_explained(pictures) -> None:
    files = {"seed": data.read("seed_cnn_int8.tflite")}
    with pytest.raises(ValueError, match="reference among seed, got 'other'"):
        scoreboard.scoreboard(files, *pictures, "other")
    with pytest.raises(ValueError, match=r"expected inputs of shape \(n, 28, 28, 1\)"):
        scoreboard.scoreboard(files, pictures[0][..., 0], pictures[1], "seed")
    with pytest.raises(ModelError):
        scoreboard.scoreboard({"seed": b"nothing"}, *pictures, "seed")


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    with process.another() as call:
        added, peak = call(scoreboard.memory, data.read("depthwise_cnn_int8.tflite"))
    assert 0 <= added < peak
