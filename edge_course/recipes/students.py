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
