"""The exercises of notebook 08."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.quantization.accumulator import folded_bias, sum_bounds
from edge_course.quantization.fixed_point import (
    divide_by_power_of_two,
    layer_multipliers,
    quantize_multiplier,
    rescale_once,
)

# Units and products, which kernel and bias have to agree on.
_SIZES = st.shared(st.tuples(st.integers(1, 3), st.integers(1, 3)), key="sizes")
_LAYER = {
    "kernel": _SIZES.flatmap(
        lambda s: arrays(np.int8, s, elements=st.integers(-127, 127), fill=st.nothing())
    ),
    "bias": _SIZES.flatmap(
        lambda s: arrays(np.int32, s[0], elements=st.integers(-9, 9), fill=st.nothing())
    ),
    "zero_point": st.integers(-128, 127),
}
_ONE_UNIT = {
    "kernel": np.array([[2, -1]], np.int8),
    "bias": np.array([5], np.int32),
    "zero_point": -128,
}
_TWO_BY_TWO = {
    "kernel": np.array([2, -1, 1, 1, 0, 3, -2, 1], np.int8).reshape(2, 2, 2, 1),
    "bias": np.array([5, 0], np.int32),
    "zero_point": -128,
}
# Sums that are halves and quarters of a power of two on purpose, and any other.
_SUMS = arrays(
    np.int64,
    st.integers(1, 3),
    elements=st.integers(-40, 40) | st.integers(-(2**31), 2**31 - 1),
    fill=st.nothing(),
)

# Scales as files have them: float32 numbers below 1.
_SCALES = st.sampled_from([1 / 256, 3 / 512, 1 / 64, 0.25, 0.375, 0.5, 1.0])

EXERCISES = (
    Exercise(
        sum_bounds,
        _LAYER,
        why="(x − z) · w is largest for x = 127 where w is positive and for x = −128 where it is "
        "negative; the sum of the largest, plus the bias, is the upper bound.",
        hint=Hint(
            approach="Each product has a worst case of its own, whatever the others do. Which x "
            "makes this one as large as it can be? It depends on the sign of the weight "
            "alone.",
            example="`sum_bounds([[2, -1]], [5], -128)` → `([-250], [515])`: x − z runs from 0 to "
            "255; 2 · 255 + 5 above, −1 · 255 + 5 below.",
            trap="A negative weight is largest with the smallest x. The sums need more bits than "
            "the numbers that go in.",
        ),
        edge_cases={
            "the example": _ONE_UNIT,
            "weights of a convolution": _TWO_BY_TWO,
            "more than int16 holds": {
                "kernel": np.array([[127, -127]], np.int8),
                "bias": np.array([0], np.int32),
                "zero_point": 0,
            },
        },
    ),
    Exercise(
        folded_bias,
        {key: _LAYER[key] for key in ("bias", "kernel", "zero_point")},
        why="Σ (x − z) · w + b = Σ x · w + (b − z · Σ w): each unit's weights are summed, in "
        "int32 or wider, times the zero point, and taken off the bias.",
        hint=Hint(
            approach="Multiply (x − z) · w out and look which part knows x. The rest can be "
            "computed once, before any picture comes.",
            example="`folded_bias([5], [[2, -1]], -128)` → `[133]`: the weights sum to 1, and 5 + "
            "128 is 133.",
            trap="Each unit has its own sum, over all of its weights. Summed as int8, they wrap "
            "around.",
        ),
        edge_cases={
            "the example": _ONE_UNIT,
            "weights of a convolution": _TWO_BY_TWO,
            "weights whose sum is no int8": {
                "bias": np.array([0], np.int32),
                "kernel": np.array([[127, 127]], np.int8),
                "zero_point": 1,
            },
        },
    ),
    Exercise(
        quantize_multiplier,
        {
            "real": st.tuples(st.integers(1, 2**24 - 1), st.integers(-40, 2)).map(
                lambda p: p[0] * 2.0 ** p[1]
            )
        },
        why="real = fraction · 2^shift with ½ ≤ fraction < 1, and m = fraction · 2³¹ rounded; "
        "if m comes to 2³¹, halve it and add one to the shift.",
        hint=Hint(
            approach="Every positive number is a fraction between ½ and 1, times a power of two. "
            "Find the power first; then see the fraction as so many parts of 2³¹.",
            example="`quantize_multiplier(3.0)` → `(1610612736, 2)`: ¾ of 2³¹, times 2².",
            trap="Rounding can lift the fraction to 1, which has no place in 31 bits. 0 has no "
            "power of two of its own, and tiny numbers vanish.",
        ),
        edge_cases={
            "three quarters": {"real": 0.75},
            "one": {"real": 1.0},
            "zero": {"real": 0.0},
            "a fraction that rounds up to 1": {"real": float(np.nextafter(1.0, 0.0))},
            "too small for 31 bits of shift": {"real": 2.0**-40},
        },
    ),
    Exercise(
        divide_by_power_of_two,
        {"x": _SUMS, "exponent": st.integers(0, 31)},
        why="x / 2^exponent to the nearest whole number, halves away from zero: 2.5 gives 3 and "
        "−2.5 gives −3.",
        hint=Hint(
            approach="A shift to the right rounds down, always. What has to be seen in the bits "
            "that fall off, so that the result is the nearest number?",
            example="`divide_by_power_of_two([5, -5, 6], 1)` → `[3, -3, 3]`: 2.5 and −2.5 go away "
            "from zero.",
            trap="Half a step added before the shift is right for positive numbers, and sends "
            "−2.5 to −2. Floats do not hold large sums, and `np.round` goes to even.",
        ),
        edge_cases={
            "halves": {"x": np.array([5, 3, -3, -5]), "exponent": 1},
            "nothing to divide by": {"x": np.array([7, -7]), "exponent": 0},
            "sums that float32 cannot hold": {"x": np.array([2**26 + 1, 2**31 - 1]), "exponent": 1},
        },
    ),
    Exercise(
        rescale_once,
        {
            "x": _SUMS,
            "multiplier": st.just(2**30) | st.integers(2**30, 2**31 - 1),
            "shift": st.integers(-12, 0),
        },
        why="The exact product x · m has 31 − shift bits behind the point: add half of 2 to that "
        "power, then shift right by it, once.",
        hint=Hint(
            approach="Keep the product exact. How many of its bits stand behind the point, once "
            "the multiplier's 31 and the shift are counted together? Round there.",
            example="`rescale_once([3, -3], 1073741824, 0)` → `[2, -1]`: 1.5 and −1.5, halves "
            "upwards.",
            trap="Rounding after the multiplier and again after the shift differs now and then. "
            "The product of two 32-bit numbers needs 64.",
        ),
        edge_cases={
            "a quarter": {"x": np.array([1]), "multiplier": 2**30, "shift": -1},
            "halves": {"x": np.array([3, 1, -1, -3]), "multiplier": 2**30, "shift": 0},
            "a large sum": {"x": np.array([2**31 - 1]), "multiplier": 2**31 - 1, "shift": 0},
        },
    ),
    Exercise(
        layer_multipliers,
        {
            "input_scale": _SCALES,
            "kernel_scales": arrays(np.float32, st.integers(1, 3), elements=_SCALES),
            "output_scale": _SCALES,
        },
        why="Each channel has the multiplier s_x · s_w / s_y of its own, as a whole number m from "
        "2³⁰ on and a shift.",
        hint=Hint(
            approach="First the real multipliers, one for each channel. `quantize_multiplier` "
            "makes m and shift of one of them: collect both.",
            example="`layer_multipliers(0.5, [0.5, 1.0], 1.0)` → `([1073741824, 1073741824], [-1, "
            "0])`: ¼ is half of a half, ½ is half of 1.",
            trap="The sum of products counts in s_x · s_w, the output in s_y: which of them is "
            "divided by? The answer is two arrays, not an array of pairs.",
        ),
        edge_cases={
            "two channels": {
                "input_scale": 0.5,
                "kernel_scales": np.array([0.5, 1.0], np.float32),
                "output_scale": 1.0,
            },
        },
    ),
)
