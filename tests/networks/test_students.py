"""The students: their shapes, and what quantization-aware training needs of them."""

from __future__ import annotations

import pytest


def shapes(*arguments, **settings) -> tuple[list[str], list[tuple[int, ...]], int]:
    import torch

    from edge_course.networks import students

    model = students.student(*arguments, **settings).eval()
    y, found = torch.zeros(2, 1, 28, 28), []
    for layer in model:
        y = layer(y)
        found.append(tuple(y.shape))
    names = [name for name, _ in model.named_children()]
    return names, found, sum(p.numel() for p in model.parameters())


def test_shapes_and_parameters(call) -> None:
    names, found, parameters = call(shapes, 4, [(6, 3), (6, 1)])
    assert names == ["stem", "block1", "block2", "pool", "flatten", "scores"]
    assert found == [(2, 4, 14, 14), (2, 6, 5, 5), (2, 6, 5, 5), (2, 6, 1, 1), (2, 6), (2, 10)]
    stem = 4 * 9 + 2 * 4
    block1 = 4 * 9 + 2 * 4 + 4 * 6 + 2 * 6
    block2 = 6 * 9 + 2 * 6 + 6 * 6 + 2 * 6
    assert parameters == stem + block1 + block2 + 6 * 10 + 10


def test_without_a_pool_the_dense_layer_reads_every_place(call) -> None:
    names, found, _ = call(shapes, 4, [(6, 3), (8, 2)], pool=False)
    assert names == ["stem", "block1", "block2", "flatten", "scores"]
    assert found == [(2, 4, 14, 14), (2, 6, 5, 5), (2, 8, 3, 3), (2, 72), (2, 10)]


@pytest.mark.parametrize(
    "arguments",
    [(16, []), (16, [(32,)]), (0, [(32, 2)]), (16, [(32, 0)]), (16, [(32.0, 1)])],
)
def test_impossible_students_are_refused(call, arguments: tuple) -> None:
    with pytest.raises(ValueError, match=r"expected (blocks|channels)"):
        call(shapes, *arguments)


def parameters() -> list[int]:
    from edge_course.networks import students

    networks = students.pocket_cnn(), students.swift_cnn()
    return [sum(p.numel() for p in network.parameters()) for network in networks]


def test_the_courses_students_have_as_many_parameters_as_they_say(call) -> None:
    assert call(parameters) == [5546, 10378]
