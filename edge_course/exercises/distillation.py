"""The exercises of notebook 12."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.distillation.paired import paired_interval
from edge_course.distillation.soft_targets import (
    distillation_loss,
    kl_div_arguments,
    soft_loss_gradient,
    soften,
)

_SHAPE = st.shared(st.tuples(st.integers(1, 2), st.integers(2, 3)), key="pictures and classes")
_SCORES = arrays(np.float64, _SHAPE, elements=st.integers(-6, 6), fill=st.nothing())
_TEMPERATURE = st.sampled_from([1.0, 2.0, 3.0, 5.0])
_PAIRS = st.shared(st.integers(2, 5), key="pairs")
_MEASURED = arrays(np.float64, _PAIRS, elements=st.integers(0, 20), fill=st.nothing())

_ONE_PICTURE = {
    "student": np.array([[0.0, 0.0, 0.0]]),
    "teacher": np.array([[4.0, 2.0, 0.0]]),
    "temperature": 2.0,
}

EXERCISES = (
    Exercise(
        soften,
        {"logits": _SCORES, "temperature": _TEMPERATURE},
        why="exp(z / T), divided by its sum over the row; the largest score of a row may be "
        "subtracted first, so that exp never overflows.",
        hint=Hint(
            approach="A higher temperature draws the scores closer together before they become "
            "probabilities. What happens to a row whose scores are all alike?",
            example="`soften([[2.0, 0.0]], 2.0)` → `[[0.73, 0.27]]`: the scores become 1 and 0, "
            "their exp 2.72 and 1.",
            trap="The temperature acts on the scores: divided probabilities no longer sum to 1. "
            "Large scores overflow exp.",
        ),
        edge_cases={
            "two pictures": {
                "logits": np.array([[4.0, 2.0, 0.0], [0.0, 0.0, 2.0]]),
                "temperature": 2.0,
            },
            "large scores": {"logits": np.array([[3000.0, 2000.0]]), "temperature": 2.0},
        },
    ),
    Exercise(
        kl_div_arguments,
        {"student": _SCORES, "teacher": _SCORES, "temperature": _TEMPERATURE},
        why="First log softmax(student / T), then softmax(teacher / T): the logarithm is taken of "
        "the student's probabilities only.",
        hint=Hint(
            approach="kl_div compares a prediction with a target. Which of the two networks "
            "predicts, and of which of the two does it want the logarithm?",
            example="`kl_div_arguments([[0.0, 0.0]], [[2.0, 0.0]], 1.0)` → "
            "`([[-0.69, -0.69]], [[0.88, 0.12]])`: −0.69 is the logarithm of a half.",
            trap="Both are softened by T before softmax. The student comes first, as a logarithm; "
            "the teacher second, as plain probabilities.",
        ),
        edge_cases={
            "one picture": _ONE_PICTURE,
            "large scores": {
                "student": np.array([[3000.0, 0.0]]),
                "teacher": np.array([[2000.0, 1000.0]]),
                "temperature": 1.0,
            },
        },
    ),
    Exercise(
        distillation_loss,
        {
            "student": _SCORES,
            "teacher": _SCORES,
            "labels": arrays(np.int64, _SHAPE.map(lambda s: s[:1]), elements=st.integers(0, 1)),
            "temperature": _TEMPERATURE,
            "soft_share": st.sampled_from([0.5, 0.0, 1.0, 0.75]),
        },
        why="soft_share · T² · Σ p (log p − log q), p the teacher's and q the student's "
        "probabilities at T, plus (1 − soft_share) · −log of the student's probability of the "
        "label at T = 1; each the mean over the pictures.",
        hint=Hint(
            approach="Two losses, computed apart: against the teacher's soft answer at T, against "
            "the label at 1. Mix them at the end.",
            example="`distillation_loss([[0.0, 0.0]], [[2.0, 0.0]], [0], 1.0, 0.0)` → `0.69`: "
            "only the label counts, and −log ½ is 0.69.",
            trap="T² belongs to the soft part alone. Both parts are means over the pictures, and "
            "teacher and student change places easily.",
        ),
        edge_cases={
            "only the teacher": {**_ONE_PICTURE, "labels": np.array([2]), "soft_share": 1.0},
            "only the label": {**_ONE_PICTURE, "labels": np.array([2]), "soft_share": 0.0},
            "two pictures": {
                "student": np.array([[0.0, 1.0], [2.0, 0.0]]),
                "teacher": np.array([[3.0, 0.0], [4.0, 1.0]]),
                "labels": np.array([0, 1]),
                "temperature": 3.0,
                "soft_share": 0.5,
            },
        },
    ),
    Exercise(
        soft_loss_gradient,
        {"student": _SCORES, "teacher": _SCORES, "temperature": _TEMPERATURE},
        why="T (q − p) / n: q is the student's softened probability, p the teacher's; T² from the "
        "loss times 1/T from the chain rule leaves one T.",
        hint=Hint(
            approach="What is the gradient by the scores at T = 1? Then follow T: it stands in "
            "the loss, and it comes in again where the scores are divided by it.",
            example="`soft_loss_gradient([[0.0, 0.0]], [[2.0, 0.0]], 1.0)` → `[[-0.38, 0.38]]`: "
            "the student says ½ and ½, the teacher 0.88 and 0.12.",
            trap="Both probabilities are softened. The loss is a mean, so the number of pictures "
            "stays in the gradient.",
        ),
        edge_cases={
            "one picture": _ONE_PICTURE,
            "two pictures": {
                "student": np.array([[0.0, 1.0], [2.0, 0.0]]),
                "teacher": np.array([[3.0, 0.0], [4.0, 1.0]]),
                "temperature": 3.0,
            },
        },
    ),
    Exercise(
        paired_interval,
        {"baseline": _MEASURED, "other": _MEASURED, "t": st.sampled_from([2.0, 3.0])},
        why="Of the differences other − baseline: the mean, the standard deviation s with n − 1, "
        "and mean ∓ t · s / √n.",
        hint=Hint(
            approach="A lucky seed lifts both networks. What is left of the luck if every run is "
            "compared with its twin?",
            example="`paired_interval([1.0, 9.0], [2.0, 12.0], 2.0)` → `(2.0, 1.41, 0.0, 4.0)`: "
            "the differences are 1 and 3, and 2 · 1.41 / 1.41 is 2 to each side of their mean.",
            trap="Two intervals, one for each network, contain the luck that both share. The "
            "deviation of a sample divides by one less than the number of pairs.",
        ),
        edge_cases={
            "a lucky seed lifts both": {
                "baseline": np.array([1.0, 9.0]),
                "other": np.array([2.0, 12.0]),
                "t": 2.0,
            },
        },
    ),
)
