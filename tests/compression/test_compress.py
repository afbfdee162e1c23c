"""The pipeline on a small scale: a file that computes what was trained, the same every time.

The pictures are in colour, wider than high and of four classes: nothing here is the course's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest

from edge_course import process, stripes
from edge_course.quantization_aware import export, network
from edge_course.runtimes import litert, ort, tflite_file
from tests.support.effort import thorough

COUNT = 640  # pictures to train on
SHAPE, CLASSES = (16, 22, 3), 4


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    return stripes.pictures(count, SHAPE, CLASSES)


def network_of(stem: int, channels: int):
    """A network of the kind of `students.swift_cnn`, for other pictures."""
    from torch import nn

    from edge_course.networks.torch_models import SeparableBlock, conv_norm

    return nn.Sequential(
        conv_norm(SHAPE[2], stem, 3, stride=2, activation=nn.ReLU6()),  # (n, stem, 8, 11)
        SeparableBlock(stem, channels, stride=3),  # (n, channels, 3, 4)
        SeparableBlock(channels, channels),
        nn.Flatten(),
        nn.Linear(3 * 4 * channels, CLASSES),
    )


class Made(NamedTuple):
    """What was made in a process with PyTorch."""

    pipelines: list  # of two seeds, the first one twice
    without_teacher: Any
    cut: Any  # the first one out of a network with twice its channels
    fake_and_real: tuple[np.ndarray, np.ndarray]  # scores while training, and of the file


def make() -> Made:
    import torch

    from edge_course.networks import torch_training

    torch.manual_seed(0)
    teacher = network_of(8, 12)
    torch_training.fit(teacher, *pictures(COUNT), epochs=2, rate=0.02)
    before = {name: w.clone() for name, w in teacher.state_dict().items()}
    with process.another() as call:
        with mock.patch.object(ort, "export", once(ort.export)):
            call_once = once(call)
            pipelines = [small(seed, teacher, call_once) for seed in (3, 3, 4)]
            without_teacher = small(3, None, call_once)
        cut = small(3, teacher, call, keep=0.5)
        made = Made(pipelines, without_teacher, cut, fake_and_real(call))
    assert all((before[name] == w).all() for name, w in teacher.state_dict().items())
    return made


def once(function):
    """Make the template of one student for all: only its operators and its shapes are used."""
    results = []

    def first(*arguments):
        if not results or thorough():
            results.append(function(*arguments))
        return results[-1]

    return first


def small(seed: int, teacher, call, keep: float = 1.0):
    """Run the pipeline on a small scale, for the same network whatever is kept of it."""
    import torch

    from edge_course.compression import compress

    torch.manual_seed(seed)
    student = network_of(*(round(n / keep) for n in (4, 6)))
    settings = {"epochs": 2 if keep == 1 else 20, "fine_epochs": 1, "keep": keep}
    return compress.compress(student, teacher, *pictures(COUNT), call, **settings)


def fake_and_real(call) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a fake-quantized student, and of the file with its numbers."""
    import torch

    from edge_course.frameworks import in_tensorflow
    from edge_course.networks import torch_training

    images, labels = pictures(COUNT)
    torch.manual_seed(1)
    student = network_of(5, 7)
    torch_training.fit(student, images, labels, epochs=2, rate=0.02)
    shape = (SHAPE[2], *SHAPE[:2])
    quantized = network.QuantizedNetwork(student, shape=shape).calibrate(images[:200])
    template = call(in_tensorflow.litert_file, ort.export(student, shape), "int8", images[:20])
    file = export.export_litert(quantized, template)
    return torch_training.scores(quantized, images), litert.Runner(file).scores(images)


@pytest.fixture(scope="module")
def made(call) -> Made:
    return call(make)


def test_the_file_computes_what_was_trained(made: Made) -> None:
    fake, real = made.fake_and_real
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
    assert np.mean(litert.Runner(made.cut.file).predict(x) == y) > 0.4  # chance is 0.25


def misuse(what: str) -> None:
    import torch

    from edge_course.compression import compress

    images, labels = pictures(64)
    student, teacher = network_of(4, 6), network_of(8, 12).eval()
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
        case "pictures of another shape":
            images = images[:, :-4, :-4]
        case "a dead layer":
            student = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(images[0].size, 8))
            student += torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(8, CLASSES))
            torch.nn.init.constant_(student[1].bias, -1e6)
        case "a label too many":
            labels[0] = CLASSES

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
        ("pictures of another shape", ValueError, r"n, 3, 12, 18"),
        ("a dead layer", ValueError, "did not survive the learning rate 0.02"),
        ("a label too many", ValueError, "expected labels from 0 to 3"),
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

    saved = budget.Savings(170, 0.25, 10, 15), (-0.5, 1.0)
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
