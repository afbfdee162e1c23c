"""The recipes of the compressed networks in ``data/``, and of what they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_course import data, fashion_mnist, process
from edge_course.compression.shipped import (
    CONTROLS,
    CUT,
    FILES,
    PREDICTIONS,
    REFERENCES,
    SEEDS,
    STEPS,
)
from edge_course.distillation.losses import Distillation
from edge_course.networks import keras_training
from edge_course.runtimes import litert

if TYPE_CHECKING:
    from torch import nn


REFERENCE_RATE = 2e-3  # of the seed CNN, which has no normalisation: 0.02 is too much for it


class _SetUp(NamedTuple):
    """What every student here is trained and tested with."""

    images: np.ndarray
    labels: np.ndarray
    unseen: np.ndarray
    teacher: nn.Module


def _set_up() -> _SetUp:
    """Return pictures, labels and teacher; PyTorch computes the same everywhere from now on."""
    import torch

    from edge_course.networks import torch_models

    torch.use_deterministic_algorithms(True)
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    images, unseen = fashion_mnist.preprocess(train.images), fashion_mnist.preprocess(test.images)
    return _SetUp(images, train.labels, unseen, torch_models.trained_depthwise_cnn())


def make_seed_cnn_predictions() -> dict[str, bytes]:
    """Train the seed CNN from three seeds; return what each says about the test images.

    The first seed is that of the network in ``data/``, which is trained once more. The
    weights of the others, 2.8 MB each, are not kept: for a fair comparison of accuracies
    the predicted classes are enough. About 15 seconds a seed.
    """
    from tqdm.auto import tqdm

    keras_training.compute_the_same_everywhere()
    images = fashion_mnist.preprocess(fashion_mnist.load("test").images)
    rows = []
    for seed in tqdm(SEEDS, desc="seed CNNs"):
        file = litert.convert(keras_training.train_seed_cnn(seed), "float32")
        rows.append(litert.Runner(file).predict(images).astype(np.uint8))
    return {PREDICTIONS: _predictions(classes=rows)}


def make_taught_seed_cnn_predictions() -> dict[str, bytes]:
    """Train the seed CNN as the student is trained; return what each says about the test images.

    As many epochs as the student has in real numbers, the same teacher, mirrored and moved
    pictures. Only the learning rate is another one. About two minutes a seed.
    """
    import torch

    from edge_course.compression import compress
    from edge_course.networks import torch_models, torch_training

    images, labels, unseen, teacher = _set_up()
    loss = Distillation(teacher, **compress.TEACHING)
    rows = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = torch_models.seed_cnn()
        torch_training.fit(
            model, images, labels, loss=loss, augment=True, rate=REFERENCE_RATE,
            epochs=compress.TAUGHT_EPOCHS,
        )  # fmt: skip
        rows.append(torch_training.scores(model, unseen).argmax(axis=1))
    return {REFERENCES: _predictions(classes=rows)}


def make_compressed() -> dict[str, bytes]:
    """Run the pipeline from three seeds; return its files, and what each step predicts.

    The steps are the student taught in real numbers ("taught"), the same rounded afterwards
    ("rounded") and trained on with rounding ("fine_tuned"). About two minutes a seed.
    """
    import torch

    from edge_course.compression import compress
    from edge_course.networks import students, torch_training

    images, labels, unseen, teacher = _set_up()
    files, steps = {}, {"taught": [], "rounded": [], "fine_tuned": []}
    with process.another() as call:
        for seed, name in zip(SEEDS, FILES, strict=True):
            torch.manual_seed(seed)
            student = students.swift_cnn()
            made = compress.compress(student, teacher, images, labels, call)
            files[name] = made.file
            steps["taught"].append(torch_training.scores(student, unseen).argmax(axis=1))
            steps["rounded"].append(litert.Runner(made.rounded).predict(unseen))
            steps["fine_tuned"].append(litert.Runner(made.file).predict(unseen))
    return files | {STEPS: _predictions(**steps)}


def make_compressed_controls() -> dict[str, bytes]:
    """Train the student of `make_compressed` in two other ways; return what it predicts.

    "alone" has no teacher; "hot" has the same one at the temperature 4, with nine tenths of
    the loss. All else is the same: seeds, epochs, learning rate, pictures. About three minutes
    a seed.
    """
    import torch

    from edge_course.compression import compress
    from edge_course.networks import students, torch_training

    images, labels, unseen, teacher = _set_up()
    losses = {"alone": torch_training.label_loss, "hot": Distillation(teacher, 4.0, 0.9)}
    settings = {"epochs": compress.TAUGHT_EPOCHS, "rate": compress.TAUGHT_RATE, "augment": True}
    rows = {}
    for name, loss in losses.items():
        rows[name] = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            student = students.swift_cnn()
            torch_training.fit(student, images, labels, loss=loss, **settings)
            rows[name].append(torch_training.scores(student, unseen).argmax(axis=1))
    return {CONTROLS: _predictions(**rows)}


def make_compressed_cut() -> dict[str, bytes]:
    """Cut the student of `make_compressed` out of a wider one; return what the networks predict.

    "wide" has twice the channels, and is taught for half of the epochs. Then half of its
    channels go: "cut" keeps the most important ones, as `compress.compress` does with
    ``keep=0.5``, "random_cut" any. Both have the shape of the student then, and are taught for
    the other half of the epochs. All else is the same. About two minutes a seed.
    """
    import torch

    from edge_course.compression import compress
    from edge_course.networks import students, torch_models, torch_training
    from edge_course.structured_pruning import choice, cut

    images, labels, unseen, teacher = _set_up()
    loss = Distillation(teacher, **compress.TEACHING)
    half = compress.TAUGHT_EPOCHS // 2
    settings = {"epochs": half, "rate": compress.TAUGHT_RATE, "augment": True}
    rows = {"wide": [], "cut": [], "random_cut": []}
    for seed in SEEDS:
        torch.manual_seed(seed)
        wide = students.student(32, [(64, 3), (64, 1)], pool=False)
        torch_training.fit(wide, images, labels, loss=loss, **settings)
        rows["wide"].append(torch_training.scores(wide, unseen).argmax(axis=1))
        for name, kind in {"cut": compress.IMPORTANCE, "random_cut": "random"}.items():
            importances = choice.group_importance(wide, kind, images, labels, seed=seed)
            kept = choice.keep_share(importances, 0.5)
            student = cut.cut_channels(wide, kept, shape=torch_models.INPUT_SHAPE)
            torch.manual_seed(seed)  # both see the same pictures in the same order
            torch_training.fit(student, images, labels, loss=loss, **settings)
            rows[name].append(torch_training.scores(student, unseen).argmax(axis=1))
    return {CUT: _predictions(**rows)}


def _predictions(**rows: list[np.ndarray]) -> bytes:
    """Return classes of the test images as uint8 (seeds, 10000) under each name."""
    arrays = {name: np.stack(classes).astype(np.uint8) for name, classes in rows.items()}
    return data.npz({"seeds": np.array(SEEDS, np.uint8)} | arrays)
