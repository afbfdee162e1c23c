"""A drawn matrix shows every number, readable on its square."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from edge_course import plot


@pytest.fixture
def axis():
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)


def test_every_number_stands_in_its_square(axis) -> None:
    plot.matrix(axis, np.array([[1, 2, 3], [4, 5, 60]]), rows="ab", columns="xyz", decimals=1)
    texts = {text.get_position(): (text.get_text(), text.get_color()) for text in axis.texts}
    assert texts[(2, 0)] == ("3.0", plot.BLACK)
    assert texts[(2, 1)] == ("60.0", "white"), "dark squares have white numbers"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_equal_numbers_can_be_drawn(axis) -> None:
    plot.matrix(axis, np.zeros((1, 2)))
    assert [text.get_text() for text in axis.texts] == ["0", "0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": np.zeros(3)}, r"got \(3,\)"),
        ({"values": np.zeros((0, 3))}, r"got \(0, 3\)"),
        ({"values": np.zeros((2, 3)), "rows": "abc"}, "names of 2 rows or none, got 3"),
        ({"values": np.zeros((2, 3)), "columns": "ab"}, "names of 3 columns or none, got 2"),
    ],
)
def test_what_is_no_matrix_is_refused(axis, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot.matrix(axis, **arguments)
