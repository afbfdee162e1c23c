"""Figures in one style: colour-blind safe, readable at notebook width, described in words."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito (2008), "Color Universal Design": eight colours that stay apart
# for every common kind of colour blindness.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK)

WIDTH = 9.0  # inches, the width of a notebook's output


def use_style() -> None:
    """Set the course's Matplotlib style for the rest of the session.

    Taught in: notebooks/00_start_here.ipynb
    """
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.6),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": mpl.cycler(color=COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.titlesize": "medium",
            "grid.color": "#dddddd",
            "font.size": 11,
            "image.cmap": "gray_r",
            "legend.frameon": False,
            "lines.linewidth": 2,
        }
    )


def draw(figure: Figure, description: str) -> None:
    """Display a figure and, below it, the sentence that says what it shows.

    The sentence is the picture's alternative text too, for readers who cannot see it.

    Parameters
    ----------
    figure : the figure; it is closed afterwards.
    description : a full sentence: what the picture shows, not what it is.

    Raises
    ------
    ValueError
        If the description is not a sentence.

    Taught in: notebooks/00_start_here.ipynb
    """
    png = described_png(figure, description)
    display(
        {"image/png": png, "text/plain": description},
        metadata={"image/png": {"alt": description}},
        raw=True,
    )
    display({"text/markdown": f"*{description}*", "text/plain": description}, raw=True)


def described_png(figure: Figure, description: str) -> bytes:
    """Return a figure as a PNG file, if the sentence that goes with it is one.

    Parameters
    ----------
    figure : the figure; it is closed afterwards.
    description : as for `draw`.

    Raises
    ------
    ValueError
        If the description is not a sentence.
    """
    if len(description.split()) < 4 or not description.rstrip().endswith((".", "!", "?")):
        raise ValueError(
            f"a figure needs a full sentence that says what it shows, got {description!r}"
        )
    # Before it is drawn: a slider moved while another cell runs draws in a thread of its own, and
    # at the end of that cell Jupyter would draw the same figure, if it were still open.
    plt.close(figure)
    figure.draw_without_rendering()  # pictures shrink to their shape; savefig then fits the titles
    png = io.BytesIO()
    # No creation software or date in the file: the same picture gives the same bytes.
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def picture_grid(
    images: np.ndarray, titles: Sequence[str] = (), *, columns: int = 8, colours: Sequence[str] = ()
) -> Figure:
    """Draw a grid of grey pictures, each with a title.

    Parameters
    ----------
    images : shape (n, height, width), any real dtype; dark is high.
    titles : n titles, or none.
    columns : pictures in a row.
    colours : n colours of the titles, or none for black.

    Returns
    -------
    Figure
        To be handed to `draw`.

    Taught in: notebooks/00_start_here.ipynb
    """
    images = np.asarray(images)
    if images.ndim != 3 or not len(images):
        raise ValueError(f"expected pictures of shape (n, height, width), got {images.shape}")
    for name, values in (("titles", titles), ("colours", colours)):
        if len(values) not in (0, len(images)):
            raise ValueError(f"expected {len(images)} {name} or none, got {len(values)}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    size = WIDTH / columns
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, rows * (size + 0.35)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image)
        if titles:
            axis.set_title(titles[i], fontsize=9, color=colours[i] if len(colours) else BLACK)
    return figure


def matrix(
    axis: Axes,
    values: np.ndarray,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    decimals: int = 0,
) -> None:
    """Draw a matrix as squares, darker for larger numbers, with each number in its square.

    Parameters
    ----------
    axis : where to draw.
    values : real numbers, shape (rows, columns).
    rows, columns : a name for each row and column, or none.
    decimals : digits after the point.

    Raises
    ------
    ValueError
        If the values are no matrix, or there are more or fewer names than rows or columns.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    values = np.asarray(values)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"expected a matrix of shape (rows, columns), got {values.shape}")
    for what, names, count in zip(("rows", "columns"), (rows, columns), values.shape, strict=True):
        if len(names) not in (0, count):
            raise ValueError(f"expected the names of {count} {what} or none, got {len(names)}")
    axis.imshow(values)
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > middle else BLACK
        axis.text(column, row, f"{value:.{decimals}f}", ha="center", va="center", color=colour)
    axis.grid(False)
    axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axis.set_yticks(range(len(rows)), rows)
