"""The students of notebook 12: how each is trained, and the trained ones of the course."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import safetensors.torch
import torch
from torch import nn

from edge_course import data, fashion_mnist
from edge_course.distillation.losses import Distillation, FeatureMatching, WithRegressor
from edge_course.networks import students, torch_models
from edge_course.networks.torch_training import Loss, fit, label_loss

WEIGHTS = "distilled_students.safetensors"
LESSON_SEEDS = (0, 1, 2, 3, 4)
LESSON_RATE = 0.02
TEMPERATURE, SOFT_SHARE = 2.0, 0.9  # chosen on training pictures kept aside, not on the test set
HINT_LAYERS = ("block2", "block3")  # of the student and of the teacher: maps of 7 × 7 in both


@dataclass(frozen=True)
class Lesson:
    """One way to train a student.

    Attributes
    ----------
    loss : teacher → the loss to train with.
    per_class : training pictures of each class.
    epochs : how often they are gone through.
    hints : whether the student needs a regressor for the teacher's features.
    """

    loss: Callable[[nn.Module], Loss]
    per_class: int = 1000
    epochs: int = 12
    hints: bool = False


_taught = partial(Distillation, temperature=TEMPERATURE, soft_share=SOFT_SHARE)
_few = partial(Lesson, per_class=100, epochs=60)

LESSONS = {
    "alone": Lesson(lambda teacher: label_loss),
    "taught": Lesson(_taught),
    "features": Lesson(
        lambda teacher: FeatureMatching(teacher, weight=1.0, rest=_taught(teacher)), hints=True
    ),
    "few_alone": _few(lambda teacher: label_loss),
    "few_taught": _few(_taught),
}


# What is swept: few_alone and few_taught in between, one number changed at a time.
SWEEP = {
    "few_alone": LESSONS["few_alone"],
    "T = 1": _few(partial(_taught, temperature=1.0)),
    "few_taught": LESSONS["few_taught"],
    "T = 5": _few(partial(_taught, temperature=5.0)),
    "T = 30": _few(partial(_taught, temperature=30.0)),
    "no labels": _few(partial(_taught, soft_share=1.0)),
}
SWEEP_EPOCHS = (6, 60)
SWEPT = "swept_students.npz"


def train_student(name: str, seed: int, epochs: int | None = None) -> nn.Sequential:
    """Return a new student, trained in one of the ways of `LESSONS`.

    Students of the same seed begin with the same weights and see the same pictures in the same
    order, moved in the same way: they make pairs.

    Parameters
    ----------
    name : a key of `LESSONS`.
    seed : of the weights, and again of the training.
    epochs : how often to go through the pictures, if not as the lesson says.

    Raises
    ------
    ValueError
        If there is no such lesson, or no epoch.
    """
    lesson = _lesson(name)
    teacher = torch_models.trained_depthwise_cnn()
    torch.manual_seed(seed)
    student = students.pocket_cnn()
    model = WithRegressor(student, teacher, *HINT_LAYERS) if lesson.hints else student
    train = fashion_mnist.load("train")
    chosen = fashion_mnist.first_of_each_class(train.labels, lesson.per_class)
    images, labels = fashion_mnist.preprocess(train.images[chosen]), train.labels[chosen]
    epochs = lesson.epochs if epochs is None else epochs
    torch.manual_seed(seed)
    fit(
        model,
        images,
        labels,
        epochs=epochs,
        rate=LESSON_RATE,
        loss=lesson.loss(teacher),
        augment=True,
    )
    return student


def trained(name: str) -> list[nn.Sequential]:
    """Return the students of a lesson that come with the course, one for each of `LESSON_SEEDS`.

    Parameters
    ----------
    name : a key of `LESSONS`.

    Raises
    ------
    ValueError
        If there is no such lesson.
    edge_course.data.DataError
        If the file of weights is missing or altered.

    Taught in: notebooks/12_distillation.ipynb
    """
    _lesson(name)
    tensors = safetensors.torch.load(data.read(WEIGHTS))
    taught = []
    for seed in LESSON_SEEDS:
        prefix = f"{name}.{seed}."
        student = students.pocket_cnn()
        student.load_state_dict(
            {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        )
        taught.append(student.eval())
    return taught


def kept_aside(labels: np.ndarray) -> np.ndarray:
    """Return the indices of 3,000 training pictures that no lesson with few pictures uses.

    Parameters
    ----------
    labels : of the 10,000 training pictures, (10000,).

    Taught in: notebooks/12_distillation.ipynb
    """
    few = fashion_mnist.first_of_each_class(labels, 100)
    return np.setdiff1d(fashion_mnist.first_of_each_class(labels, 400), few)


def _lesson(name: str) -> Lesson:
    lesson = LESSONS.get(name, SWEEP.get(name))
    if lesson is None:
        raise ValueError(f"there is no lesson {name!r}; there are: {', '.join(LESSONS | SWEEP)}")
    return lesson
