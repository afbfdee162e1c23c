"""The exercises of notebook 05_crossing_frameworks."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.frameworks.onnx_layout import onnx_channels_last
from edge_course.networks.layout import conv_kernel, dense_kernel, same_pads


def _numbered(*shape: int) -> np.ndarray:
    """Return an array whose every number says where in memory it was."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


_SIZES = st.integers(1, 3)
_CHANNELS = st.shared(_SIZES, key="channels of kernel and picture")
_PICTURES = st.shared(st.tuples(_SIZES, _SIZES, _SIZES), key="channels, height, width")

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        conv_kernel,
        {"kernel": st.tuples(_SIZES, _SIZES, _SIZES, _SIZES).map(lambda s: _numbered(*s))},
        why="The number at [filter, channel, row, column] goes to [row, column, channel, filter]: "
        "a transposition. A reshape would leave the numbers in their order.",
        hint=Hint(
            approach="Follow one number: where does it stand in the one order of axes, where in "
            "the other? Its neighbours change, its value does not.",
            example="`conv_kernel([[[[1, 2]]], [[[3, 4]]]])` → `[[[[1, 3]], [[2, 4]]]]`: two "
            "filters of one row and two columns; 3 is filter 1, column 0.",
            trap="A reshape to the right shape raises nothing and gives a wrong network. Two "
            "swapped axes of equal size do too.",
        ),
        edge_cases={"two filters of two rows": {"kernel": _numbered(2, 1, 2, 1)}},
    ),
    Exercise(
        dense_kernel,
        {
            "kernel": st.tuples(_PICTURES, st.integers(1, 2)).map(
                lambda drawn: _numbered(np.prod(drawn[0]), drawn[1])
            ),
            "picture": _PICTURES,
        },
        why="The row of pixel (channel, y, x) is number (channel · height + y) · width + x in "
        "PyTorch's order and (y · width + x) · channels + channel in Keras'.",
        hint=Hint(
            approach="A row belongs to one pixel of one channel. See the rows as a picture again: "
            "in which order did the one framework lay them out, in which does the other "
            "expect them?",
            example="`dense_kernel([[0], [1], [2], [3], [4], [5]], (2, 1, 3))` → `[[0], [3], [1], "
            "[4], [2], [5]]`: at each pixel, channel 0 and then channel 1.",
            trap="Only the rows move, the units keep their axis. The picture's shape is given "
            "with the channels first.",
        ),
        edge_cases={
            "two channels of three pixels": {"kernel": _numbered(6, 1), "picture": (2, 1, 3)},
            "one channel of six pixels": {"kernel": _numbered(6, 1), "picture": (1, 2, 3)},
        },
    ),
    Exercise(
        same_pads,
        {
            "size": st.integers(1, 12),
            "kernel": st.integers(1, 5),
            "stride": st.integers(1, 3),
            "dilation": st.integers(1, 2),
        },
        why="⌈size / stride⌉ windows reach over (⌈size / stride⌉ − 1) · stride + "
        "(kernel − 1) · dilation + 1 pixels; what is missing is added, the odd one at the end.",
        hint=Hint(
            approach="How many windows must come out? How far do they reach, from the first pixel "
            "of the first to the last of the last? What the picture lacks is padding.",
            example="`same_pads(28, 3, 2, 1)` → `(0, 1)`: 14 windows, two apart, reach over 29 "
            "pixels; one is missing.",
            trap="An odd pixel goes to the end. Windows that leave pixels out need no padding: it "
            "is never negative.",
        ),
        edge_cases={
            "stride 2 on an even size": {"size": 28, "kernel": 3, "stride": 2, "dilation": 1},
            "stride 2 on an odd size": {"size": 7, "kernel": 3, "stride": 2, "dilation": 1},
            "windows smaller than the stride": {"size": 6, "kernel": 1, "stride": 3, "dilation": 1},
        },
    ),
    Exercise(
        onnx_channels_last,
        {
            "kernel": st.tuples(_SIZES, _CHANNELS, st.integers(1, 2)).map(
                lambda s: _numbered(s[0], s[1], s[2], s[2])
            ),
            "x": st.tuples(st.integers(1, 2), st.integers(2, 3), st.integers(2, 3), _CHANNELS).map(
                lambda s: _numbered(*s)
            ),
        },
        why="ONNX's convolution takes and gives NCHW: the pictures are transposed on the way in "
        "(0, 3, 1, 2), and the maps on the way out (0, 2, 3, 1).",
        hint=Hint(
            approach="Load the content into a session, ask the session what its input is called, "
            "and turn the axes twice: what goes in, and what comes out.",
            example="`onnx_channels_last([[[[2.0]], [[0.0]]]], [[[[1.0, 7.0], [5.0, 9.0]]]])` → "
            "`[[[[2.0], [10.0]]]]`: two pixels of two channels; the filter doubles the first.",
            trap="A reshape gives the right shape and other pixels. run returns a list with an "
            "array for each output, not an array.",
        ),
        edge_cases={
            "one filter that takes the first channel": {
                "kernel": np.float32([2, 0]).reshape(1, 2, 1, 1),
                "x": _numbered(1, 2, 2, 2),
            },
            "a window of two rows and columns": {
                "kernel": _numbered(2, 3, 2, 2),
                "x": _numbered(2, 3, 2, 3),
            },
        },
    ),
)
