"""The techniques of this part in one pipeline: from a student to one small int8 LiteRT file.

Taught by a larger network (`distillation`), on request cut to fewer channels halfway
(`structured_pruning`), trained on with the rounding it will run with (`quantization_aware`),
exported with the very numbers that were trained, and freed of what the runtime does not need
(`slim`).
`python -m edge_course.compression.report --out FILE` runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from edge_course.compression import slim
from edge_course.distillation import losses
from edge_course.frameworks import in_tensorflow
from edge_course.networks import torch_training
from edge_course.quantization_aware import export, network
from edge_course.runtimes import ort
from edge_course.structured_pruning import choice, cut

EPOCHS, RATE = 40, 0.02  # under the teacher, in real numbers
FINE_EPOCHS, FINE_RATE = 6, 2e-3  # under the teacher, rounded
TEMPERATURE, SOFT_SHARE = 2.0, 0.5  # of the teacher
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
    student: nn.Sequential,
    teacher: nn.Module | None,
    images: np.ndarray,
    labels: np.ndarray,
    call: Callable,
    *,
    epochs: int = EPOCHS,
    fine_epochs: int = FINE_EPOCHS,
    keep: float = 1.0,
) -> Compressed:
    """Train a student under a teacher, and return it as one small int8 LiteRT file.

    Call ``torch.manual_seed`` before it: the same seed gives the same bytes.

    Parameters
    ----------
    student : as `students.student` builds it; it is trained in place, as long as it is whole.
    teacher : a trained network, in evaluation mode; None to train with the labels only.
    images : float32 (n, 28, 28, 1) from 0 to 1, at least one.
    labels : integer classes (n,).
    call : calls a function in a process for TensorFlow, see `process.another`.
    epochs : of the student in real numbers.
    fine_epochs : of the student with rounding.
    keep : share of the channels that stay, above 0. Below 1, the least important ones are cut
        out of every layer after half of the epochs, and a smaller network is trained on.

    Raises
    ------
    ValueError
        If pictures or labels are of another shape or dtype, there is no epoch (or a single one
        where channels are to go in the middle), the share is not as above, or the teacher is
        in training mode.
    TypeError
        If the student is another network than `students.student` builds.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    network.QuantizedNetwork(student)  # refuses other networks before time is spent
    if min(epochs, fine_epochs) < 1:
        raise ValueError(f"expected at least 1 epoch, got {min(epochs, fine_epochs)}")
    if not 0 < keep <= 1:
        raise ValueError(f"expected a share of channels to keep above 0 and at most 1, got {keep}")
    if keep < 1 and epochs < 2:
        raise ValueError("expected at least 2 epochs, one before the cut and one after it, got 1")
    lesson = torch_training.label_loss
    if teacher is not None:
        lesson = losses.Distillation(teacher, TEMPERATURE, SOFT_SHARE)
    settings = {"loss": lesson, "augment": True}
    if keep < 1:
        torch_training.fit(student, images, labels, epochs=epochs // 2, rate=RATE, **settings)
        importances = choice.group_importance(student, IMPORTANCE, images, labels)
        student = cut.cut_channels(student, choice.keep_share(importances, keep))
        epochs -= epochs // 2
    torch_training.fit(student, images, labels, epochs=epochs, rate=RATE, **settings)
    quantized = network.QuantizedNetwork(student).calibrate(images[:CALIBRATION])
    template = call(in_tensorflow.litert_file, ort.export(student), "int8", images[:CALIBRATION])
    rounded = export.export_litert(quantized, template)
    torch_training.fit(quantized, images, labels, epochs=fine_epochs, rate=FINE_RATE, **settings)
    fine_tuned = export.export_litert(quantized, template)
    return Compressed(rounded, fine_tuned, slim.slim_file(fine_tuned))
