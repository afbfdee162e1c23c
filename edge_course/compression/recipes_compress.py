"""The recipes of the compressed networks in ``data/``, and of what they are compared with.

Each returns file name → content, as those of `recipes` do.
"""

from __future__ import annotations

import numpy as np

from edge_course import data, process, recipes
from edge_course.runtimes import litert

SEEDS = (recipes.SEED, recipes.SEED + 1, recipes.SEED + 2)  # of both; the first is the course's
FILES = tuple(f"compressed_{seed}.tflite" for seed in SEEDS)
PREDICTIONS = "seed_cnn_predictions.npz"
STEPS = "compressed_steps.npz"
CONTROLS = "compressed_controls.npz"
CUT = "compressed_cut.npz"


def seed_cnn_predictions() -> dict[str, bytes]:
    """Train the seed CNN from three seeds; return what each says about the test images.

    The first seed is that of the network in ``data/``, which is trained once more. The
    weights of the others, 2.8 MB each, are not kept: for a fair comparison of accuracies
    the predicted classes are enough. About 15 seconds a seed.
    """
    from tqdm.auto import tqdm

    recipes.compute_the_same_everywhere()
    images = data.preprocess(data.fashion_mnist("test").images)
    rows = []
    for seed in tqdm(SEEDS, desc="seed CNNs"):
        file = litert.convert(recipes.train_seed_cnn(seed), "float32")
        rows.append(litert.Runner(file).predict(images).astype(np.uint8))
    return {PREDICTIONS: _predictions(classes=rows)}


def compressed() -> dict[str, bytes]:
    """Run the pipeline from three seeds; return its files, and what each step predicts.

    The steps are the student taught in real numbers ("taught"), the same rounded afterwards
    ("rounded") and trained on with rounding ("fine_tuned"). About two minutes a seed.
    """
    import torch

    from edge_course.compression import pipeline
    from edge_course.networks import students, torch_models, torch_training

    torch.use_deterministic_algorithms(True)
    train, test = data.fashion_mnist("train"), data.fashion_mnist("test")
    images, unseen = data.preprocess(train.images), data.preprocess(test.images)
    teacher = torch_models.trained_depthwise_cnn()
    files, steps = {}, {"taught": [], "rounded": [], "fine_tuned": []}
    with process.another() as call:
        for seed, name in zip(SEEDS, FILES, strict=True):
            torch.manual_seed(seed)
            student = students.swift_cnn()
            made = pipeline.compress(student, teacher, images, train.labels, call)
            files[name] = made.file
            steps["taught"].append(torch_training.scores(student, unseen).argmax(axis=1))
            steps["rounded"].append(litert.Runner(made.rounded).predict(unseen))
            steps["fine_tuned"].append(litert.Runner(made.file).predict(unseen))
    return files | {STEPS: _predictions(**steps)}


def compressed_controls() -> dict[str, bytes]:
    """Train the student of `compressed` in two other ways; return what it predicts.

    "alone" has no teacher; "hot" has the same one at the temperature 4, with nine tenths of
    the loss. All else is the same: seeds, epochs, learning rate, pictures. About three minutes
    a seed.
    """
    import torch

    from edge_course.compression import pipeline
    from edge_course.distillation import distill
    from edge_course.networks import students, torch_models, torch_training

    torch.use_deterministic_algorithms(True)
    train, test = data.fashion_mnist("train"), data.fashion_mnist("test")
    images, unseen = data.preprocess(train.images), data.preprocess(test.images)
    teacher = torch_models.trained_depthwise_cnn()
    losses = {"alone": torch_training.label_loss, "hot": distill.Distillation(teacher, 4.0, 0.9)}
    rows = {}
    for name, loss in losses.items():
        rows[name] = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            student = students.swift_cnn()
            settings = {"epochs": pipeline.EPOCHS, "rate": pipeline.RATE, "augment": True}
            torch_training.fit(student, images, train.labels, loss=loss, **settings)
            rows[name].append(torch_training.scores(student, unseen).argmax(axis=1))
    return {CONTROLS: _predictions(**rows)}


def compressed_cut() -> dict[str, bytes]:
    """Cut the student of `compressed` out of a wider one; return what the networks predict.

    "wide" has twice the channels, and is taught for half of the epochs. Then half of its
    channels go: "cut" keeps the most important ones, as `pipeline.compress` does with
    ``keep=0.5``, "random_cut" any. Both have the shape of the student then, and are taught for
    the other half of the epochs. All else is the same. About two minutes a seed.
    """
    import torch

    from edge_course.compression import pipeline
    from edge_course.distillation import distill
    from edge_course.networks import students, torch_models, torch_training
    from edge_course.pruning import structured, structured_choice

    torch.use_deterministic_algorithms(True)
    train, test = data.fashion_mnist("train"), data.fashion_mnist("test")
    images, unseen = data.preprocess(train.images), data.preprocess(test.images)
    teacher = torch_models.trained_depthwise_cnn()
    loss = distill.Distillation(teacher, pipeline.TEMPERATURE, pipeline.SOFT_SHARE)
    settings = {"epochs": pipeline.EPOCHS // 2, "rate": pipeline.RATE, "augment": True}
    rows = {"wide": [], "cut": [], "random_cut": []}
    for seed in SEEDS:
        torch.manual_seed(seed)
        wide = students.student(32, [(64, 3), (64, 1)], pool=False)
        torch_training.fit(wide, images, train.labels, loss=loss, **settings)
        rows["wide"].append(torch_training.scores(wide, unseen).argmax(axis=1))
        for name, kind in {"cut": pipeline.IMPORTANCE, "random_cut": "random"}.items():
            importances = structured_choice.group_importance(
                wide, kind, images, train.labels, seed=seed
            )
            student = structured.cut(wide, structured_choice.keep_share(importances, 0.5))
            torch.manual_seed(seed)  # both see the same pictures in the same order
            torch_training.fit(student, images, train.labels, loss=loss, **settings)
            rows[name].append(torch_training.scores(student, unseen).argmax(axis=1))
    return {CUT: _predictions(**rows)}


def _predictions(**rows: list[np.ndarray]) -> bytes:
    """Return classes of the test images as uint8 (seeds, 10000) under each name."""
    arrays = {name: np.stack(classes).astype(np.uint8) for name, classes in rows.items()}
    return recipes.npz({"seeds": np.array(SEEDS, np.uint8)} | arrays)
