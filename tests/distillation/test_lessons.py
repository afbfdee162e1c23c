"""The students of notebook 12: pairs that differ in their lesson only, and a gain beyond luck."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from edge_course import data, fashion_mnist
from edge_course.distillation import lessons, paired
from edge_course.distillation.losses import Distillation, FeatureMatching
from edge_course.networks import students, torch_training


@pytest.fixture(scope="module")
def few_pictures() -> fashion_mnist.LabelledImages:
    images, labels = fashion_mnist.load("train")
    return fashion_mnist.LabelledImages(images[:400], labels[:400])


@pytest.fixture
def small_lessons(
    monkeypatch: pytest.MonkeyPatch, few_pictures: fashion_mnist.LabelledImages
) -> dict[str, lessons.Lesson]:
    """The lessons with 130 pictures and one epoch."""
    small = {n: replace(lesson, per_class=13, epochs=1) for n, lesson in lessons.LESSONS.items()}
    monkeypatch.setattr(lessons, "LESSONS", small)
    monkeypatch.setattr(fashion_mnist, "load", lambda split: few_pictures)
    return small


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in model.state_dict().values()])


def test_the_same_seed_gives_the_same_student_and_another_lesson_another(small_lessons) -> None:
    found = {name: weights(lessons.train_student(name, 3)) for name in small_lessons}
    assert torch.equal(found["alone"], weights(lessons.train_student("alone", 3)))
    assert not torch.equal(found["alone"], weights(lessons.train_student("alone", 4)))
    assert not torch.equal(found["alone"], found["taught"])
    assert not torch.equal(found["taught"], found["features"])
    # Here the two lessons differ in nothing but their number of pictures, which is the same now.
    assert torch.equal(found["alone"], found["few_alone"])


def test_pairs_differ_in_nothing_but_the_loss(small_lessons) -> None:
    """With features of weight 0 and a share of 0, both are the student that learned alone."""
    alone = weights(lessons.train_student("alone", 5))
    small_lessons["taught"] = replace(
        small_lessons["taught"], loss=partial(Distillation, soft_share=0.0)
    )
    small_lessons["features"] = replace(
        small_lessons["features"], loss=lambda teacher: FeatureMatching(teacher, weight=0.0)
    )
    for name in ("taught", "features"):
        torch.testing.assert_close(
            weights(lessons.train_student(name, 5)), alone, atol=1e-6, rtol=1e-6
        )


def test_the_lessons_ask_the_teacher_where_they_say_so() -> None:
    for name, lesson in lessons.LESSONS.items():
        loss = lesson.loss(students.pocket_cnn().eval())
        asks = isinstance(loss, Distillation | FeatureMatching)
        assert asks == (name not in ("alone", "few_alone"))
        if isinstance(loss, Distillation):
            assert (loss.temperature, loss.soft_share) == (2.0, 0.9)


@pytest.mark.parametrize(
    "call", [lambda: lessons.train_student("self", 0), lambda: lessons.trained("")]
)
def test_an_unknown_lesson_names_those_that_there_are(call) -> None:
    with pytest.raises(ValueError, match=r"there is no lesson '.*'; there are: alone, taught"):
        call()


def test_no_epoch_is_refused(small_lessons) -> None:
    with pytest.raises(ValueError, match="expected at least 1 epoch, got 0"):
        lessons.train_student("few_alone", 0, epochs=0)


def test_the_file_holds_every_student_and_nothing_else() -> None:
    tensors = safetensors.torch.load(data.read(lessons.WEIGHTS))
    state = students.pocket_cnn().state_dict()
    expected = {
        f"{name}.{seed}.{key}": (tensor.dtype, tensor.shape)
        for name in lessons.LESSONS
        for seed in lessons.LESSON_SEEDS
        for key, tensor in state.items()
    }
    assert {key: (tensor.dtype, tensor.shape) for key, tensor in tensors.items()} == expected


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Preprocessed pictures and labels of the test set."""
    images, labels = fashion_mnist.load("test")
    return fashion_mnist.preprocess(images), labels


def accuracies(name: str, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share of the pictures that each student of a lesson gets right, shape (5,)."""
    answers = [torch_training.scores(s, images).argmax(axis=1) for s in lessons.trained(name)]
    return np.mean(np.array(answers) == labels, axis=1)


def test_with_few_pictures_the_gain_over_five_seeds_is_more_than_luck(pictures) -> None:
    """So large a gain shows on the first 2,000 test pictures already."""
    images, labels = (array[:2000] for array in pictures)
    alone, taught = (accuracies(name, images, labels) for name in ("few_alone", "few_taught"))
    gain = paired.gain(alone, taught)
    assert 0.005 < gain.low < gain.mean < 0.035


def test_with_all_pictures_every_seed_gains_and_the_interval_just_reaches_zero(
    pictures,
) -> None:
    """As measured: a mean gain of 0.7 points, not beyond doubt with five seeds."""
    alone, taught = (accuracies(name, *pictures) for name in ("alone", "taught"))
    assert len(alone) == len(taught) == 5
    assert (taught > alone).all()
    gain = paired.gain(alone, taught)
    assert 0.004 < gain.mean < 0.01
    assert -0.004 < gain.low < 0


def test_the_shipped_sweep_is_of_the_shipped_students() -> None:
    swept = np.load(data.FOLDER / lessons.SWEPT, allow_pickle=False)
    assert set(swept.files) == set(lessons.SWEEP)
    images, labels = fashion_mnist.load("train")
    aside = lessons.kept_aside(labels)
    assert len(aside) == 3000
    assert not set(aside) & set(fashion_mnist.first_of_each_class(labels, 100))
    pictures = fashion_mnist.preprocess(images[aside])
    for name in set(lessons.SWEEP) & set(lessons.LESSONS):
        for seed, student in enumerate(lessons.trained(name)[:2]):
            answers = torch_training.scores(student, pictures).argmax(axis=1)
            assert np.mean(answers == swept[name][1, seed]) > 0.999
