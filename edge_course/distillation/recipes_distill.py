"""The recipe of the students of notebook 12 in ``data/``, as those of `recipes`."""

from __future__ import annotations


def distilled_students() -> dict[str, bytes]:
    """Train five students in each way of `distilled.LESSONS`; return their weights in one file.

    About ten minutes on one core.
    """
    import safetensors.torch
    import torch

    from edge_course.distillation import distilled

    torch.use_deterministic_algorithms(True)
    weights = {}
    for name in distilled.LESSONS:
        for seed in distilled.SEEDS:
            student = distilled.train(name, seed)
            weights |= {f"{name}.{seed}.{key}": t for key, t in student.state_dict().items()}
    return {distilled.WEIGHTS: safetensors.torch.save(weights)}
