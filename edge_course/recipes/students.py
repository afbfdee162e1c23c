"""The recipe of the students of notebook 12 in ``data/``."""

from __future__ import annotations


def make_distilled_students() -> dict[str, bytes]:
    """Train five students in each way of `lessons.LESSONS`; return their weights in one file.

    About ten minutes on one core.
    """
    import safetensors.torch
    import torch

    from edge_course.distillation import lessons

    torch.use_deterministic_algorithms(True)
    weights = {}
    for name in lessons.LESSONS:
        for seed in lessons.LESSON_SEEDS:
            student = lessons.train_student(name, seed)
            weights |= {f"{name}.{seed}.{key}": t for key, t in student.state_dict().items()}
    return {lessons.WEIGHTS: safetensors.torch.save(weights)}


def make_swept_students() -> dict[str, bytes]:
    """Train five students in each way of `lessons.SWEEP`, briefly and at length.

    An array uint8 (2, 5, 3000) for each way: the answers after each of `lessons.SWEEP_EPOCHS`, of
    each seed, to the pictures of `lessons.kept_aside`. About six minutes on one core.
    """
    import numpy as np
    import torch

    from edge_course import data, fashion_mnist
    from edge_course.distillation import lessons
    from edge_course.networks.torch_training import scores

    torch.use_deterministic_algorithms(True)
    train = fashion_mnist.load("train")
    pictures = fashion_mnist.preprocess(train.images[lessons.kept_aside(train.labels)])

    def answers(name: str, seed: int, epochs: int) -> np.ndarray:
        return scores(lessons.train_student(name, seed, epochs), pictures).argmax(axis=1)

    swept = {
        name: np.array(
            [[answers(name, s, epochs) for s in lessons.LESSON_SEEDS]
             for epochs in lessons.SWEEP_EPOCHS], np.uint8,
        )
        for name in lessons.SWEEP
    }  # fmt: skip
    return {lessons.SWEPT: data.npz(swept)}
