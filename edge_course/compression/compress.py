"""The techniques of this part in one pipeline: from a student to one small int8 LiteRT file.

Taught by a larger network (`distillation`), on request cut to fewer channels halfway
(`structured_pruning`), trained on with the rounding it will run with (`quantization_aware`),
exported with the very numbers that were trained, and freed of what the runtime does not need
(`slim`).
`python -m edge_course.compression.compress --out FILE` runs it and says what the file saves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge_course import data, fashion_mnist, process, terminal
from edge_course.compression import budget, judge, slim
from edge_course.distillation import losses
from edge_course.frameworks import in_tensorflow
from edge_course.networks import keras_training, students, torch_models, torch_training
from edge_course.quantization_aware import export, network
from edge_course.runtimes import ort
from edge_course.structured_pruning import choice, cut

TAUGHT_EPOCHS, TAUGHT_RATE = 40, 0.02  # under the teacher, in real numbers
FINE_EPOCHS, FINE_RATE = 6, 2e-3  # under the teacher, rounded
TEACHING = {"temperature": 2.0, "soft_share": 0.5}  # the loss: see `losses.Distillation`
IMPORTANCE = "taylor"  # of channels, if some are to go
CALIBRATION = 500  # pictures for the first ranges


@dataclass(frozen=True)
class Compressed:
    """What the pipeline made on its way, each step a ``.tflite`` file in int8.

    Attributes
    ----------
    rounded : the taught student, rounded afterwards.
    fine_tuned : trained on with rounding.
    file : the same without what the runtime does not need: the product.
    """

    rounded: bytes
    fine_tuned: bytes
    file: bytes


def compress(
    student: nn.Module,
    teacher: nn.Module | None,
    images: np.ndarray,
    labels: np.ndarray,
    call: Callable,
    *,
    epochs: int = TAUGHT_EPOCHS,
    fine_epochs: int = FINE_EPOCHS,
    rate: float = TAUGHT_RATE,
    keep: float = 1.0,
) -> Compressed:
    """Train a student under a teacher, and return it as one small int8 LiteRT file.

    Call ``torch.manual_seed`` before it: the same seed gives the same bytes.

    Parameters
    ----------
    student : any network that `network.QuantizedNetwork` takes, such as one of `students.student`;
        it is trained in place, as long as it is whole.
    teacher : a trained network, in evaluation mode; None to train with the labels only.
    images : float32 (n, height, width, channels), such as 0 to 1, at least one; as the student
        takes them.
    labels : integer classes (n,), below the number of the student's scores.
    call : calls a function in a process for TensorFlow, see `process.another`.
    epochs : of the student in real numbers.
    fine_epochs : of the student with rounding.
    rate : the largest learning rate in real numbers. Networks without normalisation need a
        smaller one.
    keep : share of the channels that stay, above 0. Below 1, the least important ones are cut
        out of every layer after half of the epochs, and a smaller network is trained on.

    Raises
    ------
    ValueError
        If pictures or labels are of another shape or dtype, there is no epoch (or a single one
        where channels are to go in the middle), the share is not as above, the teacher is in
        training mode, the student has something that `network.QuantizedNetwork` refuses, or
        it gives all pictures the same scores after training.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    shape = tuple(torch_training.as_tensor(images, student).shape[1:])
    network.QuantizedNetwork(student, shape=shape)  # refuses others before time is spent
    if min(epochs, fine_epochs) < 1:
        raise ValueError(f"expected at least 1 epoch, got {min(epochs, fine_epochs)}")
    if not 0 < keep <= 1:
        raise ValueError(f"expected a share of channels to keep above 0 and at most 1, got {keep}")
    if keep < 1 and epochs < 2:
        raise ValueError("expected at least 2 epochs, one before the cut and one after it, got 1")
    lesson = torch_training.label_loss
    if teacher is not None:
        lesson = losses.Distillation(teacher, **TEACHING)
    settings = {"loss": lesson, "augment": True}
    if keep < 1:
        torch_training.fit(student, images, labels, epochs=epochs // 2, rate=rate, **settings)
        importances = choice.group_importance(student, IMPORTANCE, images, labels)
        student = cut.cut_channels(student, choice.keep_share(importances, keep), shape=shape)
        epochs -= epochs // 2
    torch_training.fit(student, images, labels, epochs=epochs, rate=rate, **settings)
    _check_alive(student, images[:CALIBRATION], rate)
    quantized = network.QuantizedNetwork(student, shape=shape).calibrate(images[:CALIBRATION])
    exported = ort.export(student, shape)
    template = call(in_tensorflow.litert_file, exported, "int8", images[:CALIBRATION])
    rounded = export.export_litert(quantized, template)
    torch_training.fit(quantized, images, labels, epochs=fine_epochs, rate=FINE_RATE, **settings)
    fine_tuned = export.export_litert(quantized, template)
    return Compressed(rounded, fine_tuned, slim.slim_file(fine_tuned))


def _check_alive(student: nn.Module, images: np.ndarray, rate: float) -> None:
    """Refuse a student that gives all pictures the same scores: one of its layers is dead."""
    if len(images) > 1 and not np.ptp(torch_training.scores(student, images), axis=0).any():
        raise ValueError(
            f"the student gives every picture the same scores: it did not survive the learning "
            f"rate {rate:g}; try a smaller one, or normalise its layers"
        )


def train_again(seed: int, **epochs: int) -> bytes:
    """Return the file that the pipeline makes of the course's student from a seed.

    With a seed and the epochs of the files in ``data/``, it is the same file.

    Parameters
    ----------
    seed : of the training.
    epochs : "epochs" and "fine_epochs" of `compress`.
    """
    teacher = torch_models.trained_depthwise_cnn()
    torch.manual_seed(seed)
    student = students.swift_cnn()
    pictures = fashion_mnist.load("train")
    images = fashion_mnist.preprocess(pictures.images)
    with process.another() as call:
        return compress(student, teacher, images, pictures.labels, call, **epochs).file


def main(arguments: list[str] | None = None) -> None:
    """Run the pipeline, write the file, and say what it saves."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.compression.compress", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="write the new file here")
    parser.add_argument("--seed", type=int, default=keras_training.SEED, help="of the training")
    parser.add_argument("--epochs", type=int, default=TAUGHT_EPOCHS, help="under the teacher")
    parser.add_argument("--fine-epochs", type=int, default=FINE_EPOCHS, help="with rounding")
    given = parser.parse_args(arguments)
    file = train_again(given.seed, epochs=given.epochs, fine_epochs=given.fine_epochs)
    data.write_whole(given.out, file)
    print(f"{given.out}: {len(file):,} bytes")
    now, (low, high) = judge.judge(file)
    print(f"points lost to the seed CNN: {now.points:.2f}, 95 % interval {low:.2f} to {high:.2f}")
    print(budget.budget_table(now))


if __name__ == "__main__":
    terminal.run_command(main)
