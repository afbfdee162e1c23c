"""Soft targets, their loss and its gradient: by hand, by finite differences, and their laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.distillation import soft_targets
from edge_course.networks import nn

SHAPES = st.tuples(st.integers(1, 4), st.integers(2, 5))
SCORES = st.floats(-20, 20, width=32)
TEMPERATURES = st.floats(0.25, 20)


@st.composite
def two_scores(draw) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(SHAPES)
    return tuple(draw(arrays(np.float64, shape, elements=SCORES)) for _ in range(2))


def by_hand(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """The divergence of each row as a sum over classes, in plain Python."""
    total = 0.0
    for z, w in zip(student.tolist(), teacher.tolist(), strict=True):
        norm_p = sum(math.exp(b / temperature) for b in w)
        norm_q = sum(math.exp(a / temperature) for a in z)
        for a, b in zip(z, w, strict=True):
            p, q = math.exp(b / temperature) / norm_p, math.exp(a / temperature) / norm_q
            total += p * math.log(p / q)
    return temperature**2 * total / len(student)


def test_closed_forms() -> None:
    logits = np.array([[math.log(8), math.log(1)]])
    assert np.allclose(soft_targets.soften(logits, 1), [[8 / 9, 1 / 9]])
    assert np.allclose(soft_targets.soften(logits, 3), [[2 / 3, 1 / 3]])  # cube root of 8
    # Two classes, the student undecided: log 2 less the entropy of the teacher.
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    found = soft_targets.soft_loss(np.zeros((1, 2)), logits, 3)
    assert math.isclose(found, 9 * (math.log(2) - entropy), rel_tol=1e-12)


@given(two_scores(), TEMPERATURES)
def test_soft_loss_is_the_sum_written_out(scores, temperature: float) -> None:
    found = soft_targets.soft_loss(*scores, temperature)
    assert math.isclose(found, by_hand(*scores, temperature), rel_tol=1e-6, abs_tol=1e-9)


@given(two_scores(), TEMPERATURES)
def test_soft_loss_is_zero_only_where_both_say_the_same(scores, temperature: float) -> None:
    student, teacher = scores
    assert soft_targets.soft_loss(student, teacher, temperature) >= -1e-9
    shifted = teacher + 3.0  # a constant added to all scores of a row changes no probability
    assert abs(soft_targets.soft_loss(shifted, teacher, temperature)) < 1e-9
    turned = np.roll(teacher, 1, axis=1)
    if np.ptp(teacher, axis=1).max() > 0.1:
        assert soft_targets.soft_loss(turned, teacher, temperature) > 0


def test_it_is_the_teacher_that_is_the_target() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(0, 3, (2, 6, 10))
    before = soft_targets.soft_loss(student, teacher, 4)
    assert soft_targets.soft_loss(student, teacher[::-1], 4) != pytest.approx(before, rel=1e-3)
    assert soft_targets.soft_loss(teacher, student, 4) != pytest.approx(before, rel=1e-3)


@given(two_scores(), st.floats(0.5, 20))
def test_gradient_is_that_of_finite_differences(scores, temperature: float) -> None:
    student, teacher = scores
    found = soft_targets.soft_loss_gradient(student, teacher, temperature)
    step = 1e-5 * temperature
    for index in np.ndindex(student.shape):
        nudge = np.zeros_like(student)
        nudge[index] = step
        up, down = (
            soft_targets.soft_loss(student + sign * nudge, teacher, temperature) for sign in (1, -1)
        )
        assert math.isclose(found[index], (up - down) / (2 * step), rel_tol=1e-3, abs_tol=1e-4)


@given(two_scores())
def test_at_a_high_temperature_the_student_learns_the_scores_themselves(scores) -> None:
    student, teacher = scores
    centred = [z - z.mean(axis=1, keepdims=True) for z in (student, teacher)]
    limit = (centred[0] - centred[1]) / student.size
    for temperature in (1e4, 1e5):
        found = soft_targets.soft_loss_gradient(student, teacher, temperature)
        # The next term of the series is of the order z² / T.
        assert np.abs(found - limit).max() <= 2000 / temperature


@given(two_scores(), st.floats(100, 1000))
def test_t_squared_keeps_the_size_of_the_gradient(scores, temperature: float) -> None:
    student, teacher = (z / 10 for z in scores)  # scores far below T
    one, ten = (soft_targets.soft_loss_gradient(student, teacher, t * temperature) for t in (1, 10))
    assert np.abs(one - ten).max() <= 0.05 * np.abs(ten).max() + 1e-3


@given(two_scores(), TEMPERATURES, st.floats(1.5, 10))
def test_a_higher_temperature_softens_and_keeps_the_order(scores, temperature, factor) -> None:
    logits = scores[0]
    cool, warm = (soft_targets.soften(logits, t) for t in (temperature, factor * temperature))
    assert np.allclose(cool.sum(axis=1), 1) and np.allclose(warm.sum(axis=1), 1)
    assert (warm.max(axis=1) <= cool.max(axis=1) + 1e-12).all()
    assert (warm.min(axis=1) >= cool.min(axis=1) - 1e-12).all()
    order = np.argsort(logits, axis=1, kind="stable")
    for soft in (cool, warm):
        assert (np.diff(np.take_along_axis(soft, order, axis=1), axis=1) >= 0).all()


@given(two_scores(), TEMPERATURES, st.floats(0, 1), st.data())
def test_mixed_loss_lies_between_its_two_parts(scores, temperature, share, draw) -> None:
    student, teacher = scores
    labels = draw.draw(arrays(int, len(student), elements=st.integers(0, student.shape[1] - 1)))
    soft = soft_targets.soft_loss(student, teacher, temperature)
    hard = nn.cross_entropy(student, labels)
    found = soft_targets.distillation_loss(student, teacher, labels, temperature, share)
    assert math.isclose(found, share * soft + (1 - share) * hard, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_impossible_temperatures_are_refused(temperature: float) -> None:
    z = np.zeros((2, 3))
    for call in (
        lambda: soft_targets.soften(z, temperature),
        lambda: soft_targets.soft_loss(z, z, temperature),
        lambda: soft_targets.soft_loss_gradient(z, z, temperature),
        lambda: soft_targets.distillation_loss(z, z, np.array([0, 1]), temperature, 0.5),
    ):
        with pytest.raises(ValueError, match="expected a positive, finite temperature, got"):
            call()


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), r"the student's of shape \(2, 3\) and the teacher's"),
        (np.zeros((2, 3)), np.zeros((1, 3)), "scores of the same pictures and classes"),
        (np.zeros(3), np.zeros(3), "expected shape"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "not empty"),
        (np.full((1, 2), np.nan), np.zeros((1, 2)), "NaN or infinity"),
        (np.zeros((1, 2)), np.full((1, 2), np.inf), "NaN or infinity"),
    ],
)
def test_bad_scores_are_refused(student, teacher, message: str) -> None:
    for function in (soft_targets.soft_loss, soft_targets.soft_loss_gradient):
        with pytest.raises(ValueError, match=message):
            function(student, teacher, 2)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_impossible_shares_are_refused(share: float) -> None:
    z = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"from 0 \(labels only\) to 1 \(teacher only\), got"):
        soft_targets.distillation_loss(z, z, np.array([0, 1]), 2, share)
