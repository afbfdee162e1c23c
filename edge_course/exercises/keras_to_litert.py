"""The exercises of notebook 03."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.check import Exercise
from edge_course.fashion_mnist import first_of_each_class
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
        edge_cases={
            "the code of zero": {"q": np.array([5], np.int8), "scale": 0.5, "zero_point": 5},
        },
    ),
    Exercise(
        agreement,
        {"first": _LABELS, "second": _LABELS},
        why="Image by image: the share of places at which the two vectors are equal.",
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
        edge_cases={
            "one class, and not class 0": {"labels": np.array([7, 7]), "count": 1},
        },
    ),
)
