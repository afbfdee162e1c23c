"""The exercises of notebook 03."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.fashion_mnist import first_of_each_class, representative_dataset
from edge_course.measure import agreement
from edge_course.quantization.quant import dequantize, quantize

# Quarters and powers of two: every quotient is exact, and halves to be rounded are frequent.
_QUARTERS = st.integers(-600, 600).map(lambda i: i / 4)
_SCALES = st.sampled_from([1.0, 0.5, 0.25, 2.0])
_ZERO_POINTS = st.integers(-128, 127)
_LABELS = arrays(
    np.int64,
    st.shared(st.integers(1, 5), key="images"),
    elements=st.integers(0, 9),
    fill=st.nothing(),
)

EXERCISES = (
    Exercise(
        quantize,
        {
            "x": arrays(np.float32, st.integers(1, 3), elements=_QUARTERS, fill=st.nothing()),
            "scale": _SCALES,
            "zero_point": _ZERO_POINTS,
        },
        why="First divide by the scale and round, then add the zero point, then clip to "
        "-128 … 127, and only then change the dtype: int8 cannot hold more.",
        hint=Hint(
            approach="Ask for each number how many steps it is from 0, then which code stands "
            "there, then whether int8 has that code. The order of the operations "
            "matters.",
            example="`quantize([1.3, -0.2], 0.5, 2)` → `[5, 2]`: 2.6 steps are nearly 3, and −0.4 "
            "nearly 0; then the zero point.",
            trap="int8 wraps around without a word: 130 becomes −126 where the dtype changes too "
            "early. The zero point is a whole number, added after the rounding.",
        ),
        edge_cases={
            "far out of range": {
                "x": np.array([-1000.0, 1000.0], np.float32),
                "scale": 1.0,
                "zero_point": 0,
            },
        },
    ),
    Exercise(
        dequantize,
        {
            "q": arrays(np.int8, st.integers(1, 3), fill=st.nothing()),
            "scale": _SCALES,
            "zero_point": _ZERO_POINTS,
        },
        why="scale · (q − zero_point); the difference can be as large as 255, so q must be "
        "widened before it is taken.",
        hint=Hint(
            approach="Walk `quantize` backwards. Which code stands for 0, and how far from it is "
            "this one?",
            example="`dequantize([5, 3], 0.5, 5)` → `[0.0, -1.0]`: no step, and two steps down.",
            trap="int8 minus int8 stays int8: 127 − (−128) comes out as −1.",
        ),
        edge_cases={
            "the code of zero": {"q": np.array([5], np.int8), "scale": 0.5, "zero_point": 5},
        },
    ),
    Exercise(
        agreement,
        {"first": _LABELS, "second": _LABELS},
        why="Image by image: the share of places at which the two vectors are equal.",
        hint=Hint(
            approach="Go through the images one by one: do both networks say the same? The truth "
            "plays no part.",
            example="`agreement([1, 2, 3, 4], [1, 2, 0, 0])` → `0.5`: the first two of four.",
            trap="Two networks can name every class equally often and never agree on an image: "
            "counts of classes say nothing.",
        ),
        edge_cases={
            "same classes, other order": {
                "first": np.array([1, 2]),
                "second": np.array([2, 1]),
            },
        },
    ),
    Exercise(
        first_of_each_class,
        {
            "labels": st.integers(1, 3)
            .flatmap(lambda classes: st.permutations(sorted([*range(classes)] * 3)))
            .map(np.array),
            "count": st.integers(1, 3),
        },
        why="For every class the indices of its first examples, all of them in ascending order.",
        hint=Hint(
            approach="Where does each class stand? Take its first places, class by class, and put "
            "all places into one order at the end.",
            example="`first_of_each_class([1, 0, 1, 1, 0], 2)` → `[0, 1, 2, 4]`: class 0 stands "
            "at 1 and 4, class 1 at 0 and 2.",
            trap="Places are wanted, not labels, and in ascending order, not class after class. "
            "The classes need not begin at 0.",
        ),
        edge_cases={
            "one class, and not class 0": {"labels": np.array([7, 7]), "count": 1},
        },
    ),
    Exercise(
        representative_dataset,
        {"images": arrays(np.uint8, (2, 2, 3), elements=st.sampled_from([0, 51, 255]))},
        why="One entry for each picture: a list of the network's inputs, here one array of shape "
        "(1, height, width, 1), prepared exactly as for training.",
        hint=Hint(
            approach="Prepare the pictures as for training first. Then ask what the network takes "
            "in one run: how many inputs, and each of which shape?",
            example="`representative_dataset([[[255, 51]]])` → `[[[[[[1.0], [0.2]]]]]]`: one "
            "picture, its only input, in it one picture, one row, two pixels of one channel.",
            trap="The network wants a batch axis before the picture and a channel behind it. And "
            "it learned from float32 pixels that end at 1, not at 255.",
        ),
        edge_cases={
            "one picture, one row": {"images": np.array([[[255, 0]]], np.uint8)},
        },
    ),
)
