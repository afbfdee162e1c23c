"""The exercises of notebook 09."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.quantization.mixed_precision import choose_bits
from edge_course.quantization_aware.litert_rules import spec_settings
from edge_course.quantization_aware.straight_through import (
    moving_average_range,
    quantize_bias,
    straight_through,
)

# Quarters of a scale: every quotient is exact, and halves to be rounded are frequent.
_QUARTERS = st.integers(-60, 60).map(lambda i: i / 4)
_COUNT = st.shared(st.integers(1, 3), key="numbers")
_CHANNELS = st.shared(st.integers(1, 3), key="channels")
_LAYERS = st.shared(st.integers(1, 3), key="layers")


def _vectors(
    count: st.SearchStrategy, elements: st.SearchStrategy, dtype: type
) -> st.SearchStrategy:
    return arrays(dtype, count, elements=elements, fill=st.nothing())


EXERCISES = (
    Exercise(
        straight_through,
        {
            "x": _vectors(_COUNT, _QUARTERS, np.float32),
            "gradient": _vectors(_COUNT, st.integers(-9, 9), np.float32),
            "scale": st.sampled_from([1.0, 0.5, 2.0]),
            "zero_point": st.integers(-2, 1),
            "bits": st.sampled_from([2, 3, 4]),
        },
        why="The gradient passes unchanged where the code, before clipping, is one of the 2^bits "
        "codes, and is 0 elsewhere.",
        hint=Hint(
            approach="Rounding is flat almost everywhere; training pretends that it is a slope of "
            "1. But where a number lies beyond the codes, moving it a little changes "
            "nothing at all.",
            example="`straight_through([7.0, 7.75], [1.0, 2.0], 1.0, 0, 4)` → `[1.0, 0.0]`: 7 is "
            "the last code of four bits, 7.75 would be 8.",
            trap="The rounded code decides: a number less than half a step beyond the last code "
            "still counts. The zero point moves the limits.",
        ),
        edge_cases={
            "the last code, and half a step beyond": {
                "x": np.array([7.0, 7.25, 7.75, -8.25, -9.0], np.float32),
                "gradient": np.array([1, 2, 3, 4, 5], np.float32),
                "scale": 1.0,
                "zero_point": 0,
                "bits": 4,
            },
        },
    ),
    Exercise(
        moving_average_range,
        {
            "low": st.integers(-9, 0).map(float),
            "high": st.integers(1, 9).map(float),
            "x": arrays(np.float32, st.tuples(_COUNT, _COUNT), elements=st.integers(-9, 9)),
            "momentum": st.sampled_from([0.75, 0.5, 0.9]),
        },
        why="momentum · old + (1 − momentum) · new for each limit, over all numbers of the batch; "
        "a range that is NaN takes the limits of the batch.",
        hint=Hint(
            approach="Two limits, each of which takes a small step towards what this batch shows. "
            "How far is the step?",
            example="`moving_average_range(-4.0, 4.0, [[-2.0, 8.0]], 0.5)` → `(-3.0, 6.0)`: half "
            "of the way, for each limit.",
            trap="The momentum is the weight of the old limit. A first batch has nothing before "
            "it, and an average with NaN stays NaN.",
        ),
        edge_cases={
            "the first batch": {
                "low": np.nan,
                "high": np.nan,
                "x": np.array([[-1.0, 2.0]], np.float32),
                "momentum": 0.75,
            },
        },
        tolerance=1e-5,
    ),
    Exercise(
        quantize_bias,
        {
            "bias": _vectors(_CHANNELS, _QUARTERS, np.float32),
            "input_scale": st.sampled_from([0.5, 1.0, 0.25]),
            "weight_scales": _vectors(_CHANNELS, st.sampled_from([0.25, 0.5, 2.0]), np.float32),
        },
        why="The scale of a bias is the input's scale times the weight's scale of its channel; the "
        "zero point is 0, and the codes are int32: never clipped to 8 bits.",
        hint=Hint(
            approach="The bias is added to a sum of products of codes. What is one unit of that "
            "sum worth? The bias has to be counted in the same unit.",
            example="`quantize_bias([1.0, -0.5], 0.5, [0.5, 0.25])` → `[4, -4]`: the units are a "
            "quarter and an eighth.",
            trap="Biases have 32 bits and are not clipped to eight. Every channel has a unit of "
            "its own.",
        ),
        edge_cases={
            "more than 8 bits": {
                "bias": np.array([100.0, -0.25], np.float32),
                "input_scale": 0.125,
                "weight_scales": np.array([0.125, 0.0625], np.float32),
            },
        },
    ),
    Exercise(
        spec_settings,
        {
            "role": st.sampled_from(["weight", "transposed weight", "activation"]),
            "bits": st.integers(2, 8),
        },
        why="Weights: symmetric codes without the lowest, one scale for each channel out. "
        "Activations: all codes of int8, one scale and zero point for the tensor.",
        hint=Hint(
            approach="Two questions: may the zero point be another number than 0? And does one "
            "scale serve the whole tensor, or one each channel out?",
            example='`spec_settings("weight", 3)` → `(-3, 3, "per_channel_symmetric", 0)`: seven '
            "codes, as many on either side of 0.",
            trap="Activations have 8 bits and all 256 codes whatever the weights have. A "
            "transposed convolution keeps its channels out on another axis.",
        ),
        edge_cases={
            "int8 weights": {"role": "weight", "bits": 8},
            "an activation beside 4-bit weights": {"role": "activation", "bits": 4},
            "a transposed convolution": {"role": "transposed weight", "bits": 4},
        },
    ),
    Exercise(
        choose_bits,
        {
            # Sums of different powers of two are never equal: there is one best choice.
            "losses": _LAYERS.flatmap(
                lambda n: st.permutations([2.0**i for i in range(3 * n)]).map(
                    lambda row: np.array(row).reshape(n, 3)
                )
            ),
            "counts": _LAYERS.flatmap(
                lambda n: st.lists(st.integers(1, 9), min_size=n, max_size=n).map(np.array)
            ),
            "choices": st.just((2, 4, 8)),
            "budget": st.integers(9, 30),
        },
        why="Of all combinations whose bytes, rounded up in each layer, fit the budget, the one "
        "with the smallest sum of losses.",
        hint=Hint(
            approach="The layers decide together: what one saves, another may spend. For a few "
            "layers all combinations can be tried.",
            example="`choose_bits([[4.0, 2.0, 1.0]], [3], (2, 4, 8), 2)` → `(4,)`: three weights "
            "take 1, 2 or 3 bytes; two are allowed.",
            trap="Spending on the most sensitive layer first can miss the best combination. The "
            "bytes are rounded up layer by layer, not once.",
        ),
        edge_cases={
            "the greedy way is not the best": {
                "losses": np.array([[8.0, 6.0, 0.0], [3.0, 2.0, 0.0]]),
                "counts": np.array([8, 4]),
                "choices": (2, 4, 8),
                "budget": 8,
            },
            "just full": {
                "losses": np.array([[4.0, 2.0, 1.0]]),
                "counts": np.array([3]),
                "choices": (2, 4, 8),
                "budget": 2,
            },
        },
    ),
)
