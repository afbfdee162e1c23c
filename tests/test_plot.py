"""Figures carry their sentence, and are refused without one."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from edge_course import plot


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, dict]]:
    calls: list[tuple[dict, dict]] = []
    monkeypatch.setattr(
        plot, "display", lambda data, metadata=None, raw=False: calls.append((data, metadata or {}))
    )
    return calls


def test_sentence_is_caption_and_alternative_text(shown) -> None:
    figure = plt.figure()
    plot.draw(figure, "Two lines cross at one point.")
    (picture, metadata), (caption, _) = shown
    assert picture["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == "Two lines cross at one point."
    assert caption["text/markdown"] == "*Two lines cross at one point.*"
    assert not plt.fignum_exists(figure.number), "the figure is closed"


@pytest.mark.parametrize("description", ["", "A figure.", "a plot of accuracy against bits"])
def test_no_sentence_no_figure(shown, description: str) -> None:
    with pytest.raises(ValueError, match="needs a full sentence"):
        plot.draw(plt.figure(), description)
    plt.close("all")
    assert not shown


def test_same_picture_same_bytes(shown) -> None:
    for _ in range(2):
        plot.draw(plot.picture_grid(np.eye(3)[None]), "A diagonal line of three squares.")
    assert shown[0][0]["image/png"] == shown[2][0]["image/png"]


def test_pictures_grid() -> None:
    figure = plot.picture_grid(np.zeros((5, 2, 2)), list("abcde"), columns=3, colours=["red"] * 5)
    titles = [axis.get_title() for axis in figure.axes]
    plt.close(figure)
    assert titles == [*"abcde", ""]


def test_titles_are_not_cut_off() -> None:
    with mpl.rc_context():
        plot.use_style()
        figure = plot.picture_grid(np.zeros((6, 28, 28)), ["label\nteacher"] * 6)
        picture = plt.imread(io.BytesIO(plot.described_png(figure, "Six blank pictures, named.")))
    assert (picture[0] == 1).all(), "nothing is drawn on the upper edge"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((2, 2))}, r"got \(2, 2\)"),
        ({"images": np.zeros((0, 2, 2))}, r"got \(0, 2, 2\)"),
        ({"images": np.zeros((2, 2, 2)), "titles": ["a"]}, "2 titles or none, got 1"),
        ({"images": np.zeros((2, 2, 2)), "colours": ["red"]}, "2 colours or none, got 1"),
    ],
)
def test_pictures_refuse(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot.picture_grid(**arguments)


def test_colours_differ_in_lightness_too() -> None:
    """Grey prints and colour-blind readers tell neighbours in the cycle apart by lightness."""
    from matplotlib.colors import to_rgb

    luminance = [np.dot(to_rgb(c), [0.2126, 0.7152, 0.0722]) for c in plot.COLOURS]
    assert min(abs(np.diff(luminance))) > 0.03
