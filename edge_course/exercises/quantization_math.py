"""The exercises of notebook 07."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import data
from edge_course.checker import Exercise, Hint
from edge_course.quantization.calibration import minimum_maximum
from edge_course.quantization.packing import pack
from edge_course.quantization.quant import asymmetric, quantize_bits
from edge_course.runtimes.litert import tensor_range

# Quarters and powers of two: every quotient is exact, and halves to be rounded are frequent.
_QUARTERS = st.integers(-40, 40).map(lambda i: i / 4)
_BITS = st.integers(2, 8)


def _clear(numbers: tuple[float, float, int]) -> bool:
    """Tell whether a range has a width, and a zero point that is no half, nor close to one."""
    low, high, bits = min(numbers[0], 0), max(numbers[1], 0), numbers[2]
    if high - low < 0.25:
        return False
    return abs(-low * (2**bits - 1) / (high - low) % 1 - 0.5) > 0.01


# Limits and bits have to agree on what is no half, so they are drawn together.
_RANGE = st.shared(
    st.tuples(_QUARTERS, _QUARTERS, _BITS)
    .map(lambda t: (min(t[:2]), max(t[:2]), t[2]))
    .filter(_clear),
    key="range",
)
# As do the shape of an array and which of its axes counts the channels.
_SHAPE = st.shared(
    st.lists(st.integers(1, 3), min_size=2, max_size=3).map(tuple), key="shape of channels"
)
_NO_CODE = {"scale": 1.0, "zero_point": 0, "bits": 4}

EXERCISES = (
    Exercise(
        asymmetric,
        {
            "low": _RANGE.map(lambda r: r[0]),
            "high": _RANGE.map(lambda r: r[1]),
            "bits": _RANGE.map(lambda r: r[2]),
        },
        why="2^bits codes have 2^bits − 1 steps between them; the lowest code, −2^(bits−1), "
        "stands for the lower end of a range that contains 0, and the code of 0 is a whole number.",
        hint=Hint(
            approach="How many steps lie between the first and the last code? That gives the size "
            "of a step. If the lowest code stands at the lower end, where does 0 stand?",
            example="`asymmetric(-1.0, 2.5, 3)` → `(0.5, -2)`: seven steps for 3.5; from code −4, "
            "two steps up to 0.",
            trap="Eight codes have seven steps between them. A range that does not reach 0 is "
            "widened to it first.",
        ),
        edge_cases={
            "a range on both sides of 0": {"low": -1.0, "high": 3.0, "bits": 3},
            "a range above 0": {"low": 2.0, "high": 7.0, "bits": 3},
            "a range below 0": {"low": -7.0, "high": -2.0, "bits": 3},
        },
    ),
    Exercise(
        quantize_bits,
        {
            "x": arrays(np.float32, st.integers(1, 3), elements=_QUARTERS, fill=st.nothing()),
            "scale": st.sampled_from([1.0, 0.5, 2.0]),
            "zero_point": st.integers(-1, 1),
            "bits": _BITS,
            "narrow": st.booleans(),
        },
        why="First divide by the scale and round, then add the zero point, then clip to "
        "−2^(bits−1) … 2^(bits−1) − 1, without the lowest if narrow.",
        hint=Hint(
            approach="As with int8; only the two ends depend on the bits. Write them down for 3 "
            "bits, with and without `narrow`, before you generalise.",
            example="`quantize_bits([-99.0, 0.7], 1.0, 0, 4, True)` → `[-7, 1]`: the lowest of "
            "the 16 codes is left out.",
            trap="`narrow` takes the lowest code away, not one at each end. Clipping before the "
            "zero point is added cuts at the wrong place.",
        ),
        edge_cases={
            "far out of range, narrow": {
                "x": np.array([-99, 99], np.float32), **_NO_CODE, "narrow": True,
            },
            "far out of range, not narrow": {
                "x": np.array([-99, 99], np.float32), **_NO_CODE, "narrow": False,
            },
        },
    ),
    Exercise(
        minimum_maximum,
        {
            "x": _SHAPE.flatmap(
                lambda s: arrays(np.float32, s, elements=_QUARTERS, fill=st.nothing())
            ),
            "axis": _SHAPE.flatmap(lambda s: st.integers(0, len(s) - 1)),
        },
        why="The minimum and the maximum over all axes but that of the channels, with the "
        "dimensions kept.",
        hint=Hint(
            approach="The axis that is named stays, all others are run over. Which shape makes "
            "the result line up with x again?",
            example="`minimum_maximum([[1.0, 2.0], [3.0, -4.0]], 1)` → `([[1.0, -4.0]], [[3.0, "
            "2.0]])`: column by column.",
            trap="NumPy's `axis` names what is run over, the opposite of what is given here. "
            "Without kept dimensions the result lines up with the last axis.",
        ),
        edge_cases={
            "two by two": {"x": np.array([[1, 2], [3, -4]], np.float32), "axis": 1},
            "a depthwise kernel": {
                "x": np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2), "axis": 3,
            },
        },
    ),
    Exercise(
        tensor_range,
        {
            "model": st.sampled_from(["compressed_20.tflite", "depthwise_cnn_int8.tflite"]).map(
                data.read
            ),
            "index": st.integers(0, 15),
        },
        why="scale · (q − zero_point), for the lowest and the highest code that the tensor's dtype "
        "has, and for each of its scales: one for activations, one a channel for weights.",
        hint=Hint(
            approach="Let the interpreter list its tensors and take the one with that index. What "
            "are the lowest and the highest code of its dtype? What do they stand for?",
            example='`tensor_range(data.read("depthwise_cnn_int8.tflite"), 0)` → `([0.0], [1.0])`: '
            "the input is int8, its zero point −128, its scale about 1/255.",
            trap="A bias is int32, not int8. The entry `quantization` shows one scale only, and "
            "0 where there are several.",
        ),
        edge_cases={
            "the input": {"model": data.read("depthwise_cnn_int8.tflite"), "index": 0},
            "a bias": {"model": data.read("depthwise_cnn_int8.tflite"), "index": 6},
            "a kernel": {"model": data.read("depthwise_cnn_int8.tflite"), "index": 7},
            "no scale": {"model": data.read("depthwise_cnn_int8.tflite"), "index": 1},
        },
    ),
    Exercise(
        pack,
        {
            "codes": arrays(
                np.int8, st.integers(0, 5), elements=st.integers(-8, 7), fill=st.nothing()
            )
        },
        why="Of each code the lowest four bits; the first of two stays where it is, the second "
        "moves up by four; a missing one counts as 0.",
        hint=Hint(
            approach="Write two codes as four binary digits each, in two's complement, side by "
            "side in one byte. Which of them is in the low half?",
            example="`pack([5, -2])` → `[229]`: 0101 in the low half, 1110 in the high one: 1110 "
            "0101.",
            trap="A negative int8 is full of ones on the left, which spill into the neighbour "
            "unless they are cut off.",
        ),
        edge_cases={
            "one negative": {"codes": np.array([5, -2], np.int8)},
            "an odd number": {"codes": np.array([1, 2, 3], np.int8)},
        },
    ),
)  # fmt: skip
