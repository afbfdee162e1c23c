"""The pipeline on a small scale: a file that computes what was trained, the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edge_course import fashion_mnist, process
from edge_course.quantization_aware import export, network
from edge_course.runtimes import litert, tflite_file
from tests.support.effort import effort, thorough

COUNT = 640  # pictures to train on
POOLS = (False, True)[: effort(1, 2)]  # with a pool: the depthwise CNN in test_quantization_aware


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    train = fashion_mnist.load("train")
    return fashion_mnist.preprocess(train.images[:count]), train.labels[:count]


class Made(NamedTuple):
    """What was made in a process with PyTorch."""

    pipelines: list  # of two seeds, the first one twice
    without_teacher: Any
    cut: Any  # the first one out of a network with twice its channels
    fake_and_real: dict[bool, tuple[np.ndarray, np.ndarray]]  # with or without pool


def make() -> Made:
    from edge_course.networks import torch_models

    teacher = torch_models.trained_depthwise_cnn()
    before = {name: w.clone() for name, w in teacher.state_dict().items()}
    with process.another() as call:
        templates = []

        def call_once(*arguments) -> bytes:
            """The template of the same student; nothing but its operators and shapes is used."""
            if not templates or thorough():
                templates.append(call(*arguments))
            return templates[-1]

        made = Made(
            [small(seed, teacher, call_once) for seed in (3, 3, 4)],
            small(3, None, call_once),
            small(3, teacher, call, keep=0.5),
            {pool: fake_and_real(pool, call) for pool in POOLS},
        )
    assert all((before[name] == w).all() for name, w in teacher.state_dict().items())
    return made


def small(seed: int, teacher, call, keep: float = 1.0):
    """Run the pipeline on a small scale, for the same network whatever is kept of it."""
    import torch

    from edge_course.compression import compress
    from edge_course.networks import students

    torch.manual_seed(seed)
    stem, first, second = (round(n / keep) for n in (4, 6, 6))
    student = students.student(stem, [(first, 3), (second, 1)], pool=False)
    settings = {"epochs": 2, "fine_epochs": 1, "keep": keep}
    return compress.compress(student, teacher, *pictures(COUNT), call, **settings)


def fake_and_real(pool: bool, call) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a fake-quantized student, and of the file with its numbers."""
    import torch

    from edge_course.frameworks import in_tensorflow
    from edge_course.networks import students, torch_training
    from edge_course.runtimes import ort

    images, labels = pictures(COUNT)
    torch.manual_seed(1)
    student = students.student(4, [(6, 3), (6, 1), (8, 1)], pool=pool)
    torch_training.fit(student, images, labels, epochs=2, rate=0.02)
    quantized = network.QuantizedNetwork(student).calibrate(images[:200])
    template = call(in_tensorflow.litert_file, ort.export(student), "int8", images[:20])
    file = export.export_litert(quantized, template)
    return torch_training.scores(quantized, images), litert.Runner(file).scores(images)


@pytest.fixture(scope="module")
def made(call) -> Made:
    return call(make)


@pytest.mark.parametrize("pool", POOLS)
def test_the_file_computes_what_was_trained(made: Made, pool: bool) -> None:
    fake, real = made.fake_and_real[pool]
    step = np.diff(np.unique(real)).min()
    assert np.abs(fake - real).max() < 4 * step  # halves go to another side now and then
    assert np.mean(np.abs(fake - real) < 0.5 * step) > 0.9
    assert np.mean(fake.argmax(axis=1) == real.argmax(axis=1)) > 0.98


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(made: Made) -> None:
    first, again, other = made.pipelines
    assert first == again
    assert first.file != other.file


def test_the_teacher_matters(made: Made) -> None:
    taught, alone = made.pipelines[0], made.without_teacher
    assert taught.rounded != alone.rounded
    assert taught.fine_tuned != alone.fine_tuned
    assert len(taught.file) == len(alone.file)


def test_the_product_is_the_fine_tuned_network_in_fewer_bytes(made: Made) -> None:
    x, _ = pictures(100)
    first = made.pipelines[0]
    files = (first.rounded, first.fine_tuned, first.file)
    rounded, fine, product = (litert.Runner(f, require_int8=True).run(x) for f in files)
    np.testing.assert_array_equal(fine, product)
    assert not np.array_equal(fine, rounded)
    assert len(first.file) < len(first.fine_tuned)
    operators = [o.name for o in tflite_file.read_tflite(first.file).operators]
    assert operators == [
        "PAD", "CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "CONV_2D",
        "DEPTHWISE_CONV_2D", "CONV_2D", "ADD", "FULLY_CONNECTED",
    ]  # fmt: skip


def test_a_network_cut_on_the_way_is_the_student_in_shape(made: Made) -> None:
    cut, direct = (tflite_file.read_tflite(m.file) for m in (made.cut, made.pipelines[0]))
    assert [o.name for o in cut.operators] == [o.name for o in direct.operators]
    assert [t.shape for t in cut.tensors] == [t.shape for t in direct.tensors]
    x, y = pictures(COUNT)
    assert np.mean(litert.Runner(made.cut.file).predict(x) == y) > 0.3  # chance is 0.1


def colourful() -> bytes:
    """Run the pipeline, with a cut on the way, on pictures that are not the course's."""
    import torch
    from torch import nn

    from edge_course import stripes
    from edge_course.compression import compress

    torch.manual_seed(0)
    student = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 6 * 5, 4),
    )  # fmt: skip
    images, labels = stripes.pictures(128, (12, 10, 3), classes=4)
    with process.another() as call:
        settings = {"epochs": 2, "fine_epochs": 1, "keep": 0.5}
        return compress.compress(student, None, images, labels, call, **settings).file


def test_pictures_may_have_another_shape(call) -> None:
    runner = litert.Runner(call(colourful), require_int8=True)
    assert runner.scores(np.zeros((2, 12, 10, 3), np.float32)).shape == (2, 4)


def misuse(what: str) -> None:
    import torch

    from edge_course.compression import compress
    from edge_course.networks import students, torch_models

    images, labels = pictures(64)
    student, teacher = students.student(4, [(6, 3)]), torch_models.trained_depthwise_cnn()
    settings = {"epochs": 1, "fine_epochs": 1}
    match what:
        case "another network":
            student.add_module("softmax", torch.nn.Softmax(1))
        case "a teacher in training mode":
            teacher.train()
        case "no epoch":
            settings["epochs"] = 0
        case "no epoch with rounding":
            settings["fine_epochs"] = 0
        case "nothing kept":
            settings["keep"] = 0.0
        case "one epoch around a cut":
            settings["keep"] = 0.5
        case "uint8 pictures":
            images = (255 * images).astype(np.uint8)
        case "too few labels":
            labels = labels[1:]

    def call(*_) -> None:
        raise AssertionError("time was spent before the mistake was found")

    compress.compress(student, teacher, images, labels, call, **settings)


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("another network", ValueError, r"layer softmax\): no operator is known"),
        ("a teacher in training mode", ValueError, "teacher is in training mode"),
        ("no epoch", ValueError, "at least 1 epoch, got 0"),
        ("no epoch with rounding", ValueError, "at least 1 epoch, got 0"),
        ("nothing kept", ValueError, "above 0 and at most 1, got 0.0"),
        ("one epoch around a cut", ValueError, "at least 2 epochs"),
        ("uint8 pictures", ValueError, "expected pictures float32"),
        ("too few labels", ValueError, "expected 64 integer labels"),
    ],
)
def test_misuse_is_explained(call, what: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call(misuse, what)


def test_the_command_trains_writes_the_file_and_says_what_it_saves(call, tmp_path) -> None:
    assert call(run_command, str(tmp_path / "new.tflite"))


def run_command(path: str) -> bool:
    """Run it with a pipeline and a judge that are quick, and see what they are given."""
    import contextlib
    import io
    from unittest import mock

    from edge_course.compression import budget, compress

    saved = budget.Savings(170, 0.25, 10), (-0.5, 1.0)
    with (
        mock.patch.object(compress, "train_again", return_value=b"file") as train,
        mock.patch.object(compress.judge, "judge", return_value=saved) as judge,
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        compress.main(["--out", path, "--seed", "7", "--epochs", "3"])
    train.assert_called_once_with(7, epochs=3, fine_epochs=compress.FINE_EPOCHS)
    judge.assert_called_once_with(b"file")
    assert budget.budget_table(saved[0]) in said.getvalue()
    return Path(path).read_bytes() == b"file"
