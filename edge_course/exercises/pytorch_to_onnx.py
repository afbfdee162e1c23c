"""The exercises of notebook 04_pytorch_to_onnx."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.networks.batch_norm import fold_batch_norm
from edge_course.networks.optimizers import adam_step
from edge_course.quantization.quant import channel_scales
from edge_course.runtimes.onnx_calibration import int8_outputs

_SMALL = st.integers(-3, 3).map(float)
_POSITIVE = st.sampled_from([0.0, 1.0, 3.0, 8.0])


def _array(
    *shape: int, elements: st.SearchStrategy[float] = _SMALL
) -> st.SearchStrategy[np.ndarray]:
    """Small numbers, which a reader can follow, as float64."""
    return arrays(np.float64, shape, elements=elements)


# Sizes that several parameters of one call have to agree on: parameters of a model …
_COUNT = st.shared(st.integers(1, 3), key="parameters")
# … and channels out, channels in, kernel rows and columns.
_KERNEL = st.shared(st.tuples(*[st.integers(1, 2)] * 4), key="kernel")
_PER_CHANNEL = _KERNEL.flatmap(lambda s: _array(s[0]))

# Rows for a dense layer of two inputs, of which one output is far larger than the other.
_ROWS = st.integers(1, 3).flatmap(
    lambda n: arrays(np.float32, (n, 2), elements=st.integers(-3, 3).map(np.float32))
)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        adam_step,
        {
            "theta": _COUNT.flatmap(_array),
            "gradient": _COUNT.flatmap(_array),
            "m": _COUNT.flatmap(_array),
            "v": _COUNT.flatmap(lambda n: _array(n, elements=_POSITIVE)),
            "t": st.integers(1, 3),
            "learning_rate": st.sampled_from([0.1, 1.0]),
            "beta1": st.sampled_from([0.5, 0.9]),
            "beta2": st.sampled_from([0.5, 0.75]),
        },
        why="First m = β₁·m + (1 − β₁)·gradient and v = β₂·v + (1 − β₂)·gradient²; then θ moves by "
        "−α·m̂ / (√v̂ + ε), with m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ). Return θ, m and v.",
        hint=Hint(
            approach="Keep two running averages, of the gradient and of its square. Both began at "
            "0 and are too small at first: which share of the weight have they seen "
            "after t steps? Correct for it, then move.",
            example="`adam_step([1.0], [2.0], [0.0], [0.0], 1, 0.1, 0.9, 0.999)` → `([0.9], "
            "[0.2], [0.004])`: corrected, the averages are 2 and 4, so the step is 0.1 · "
            "2 / 2.",
            trap="The corrected averages are for the step only: give back the others. ε stands "
            "outside the root, and t counts from 1.",
        ),
        edge_cases={
            "the first step": {
                "theta": np.array([1.0, 1.0]),
                "gradient": np.array([2.0, -0.5]),
                "m": np.zeros(2),
                "v": np.zeros(2),
                "t": 1,
                "learning_rate": 0.1,
                "beta1": 0.9,
                "beta2": 0.999,
            },
            "a slope almost as small as ε": {
                "theta": np.array([1.0]),
                "gradient": np.array([1e-7]),
                "m": np.zeros(1),
                "v": np.zeros(1),
                "t": 1,
                "learning_rate": 1.0,
                "beta1": 0.9,
                "beta2": 0.999,
            },
        },
    ),
    Exercise(
        fold_batch_norm,
        {
            "weight": _KERNEL.flatmap(lambda s: _array(*s)),
            "bias": _PER_CHANNEL,
            "gamma": _PER_CHANNEL,
            "beta": _PER_CHANNEL,
            "mean": _PER_CHANNEL,
            "variance": _KERNEL.flatmap(lambda s: _array(s[0], elements=_POSITIVE)),
            "epsilon": st.just(1.0),
        },
        why="With f = γ / √(variance + ε), one number for each output channel (the weight's first "
        "axis): the weight becomes f·weight, the bias f·(bias − mean) + β.",
        hint=Hint(
            approach="Write down what becomes of one channel's number: convolution, then "
            "normalisation. Collect what multiplies the input, and what does not.",
            example="`fold_batch_norm([[[[1.0]]]], [4.0], [1.0], [0.0], [1.0], [3.0], 1.0)` → "
            "`([[[[0.5]]]], [1.5])`: the deviation is 2, so everything halves, and (4 − "
            "1) / 2 is 1.5.",
            trap="The factor belongs to output channels, the weight's first axis. The layer's own "
            "bias is shifted and scaled as well.",
        ),
        edge_cases={
            "two channels out": {
                "weight": np.array([1.0, 2.0, 3.0, 4.0]).reshape(2, 1, 1, 2),
                "bias": np.zeros(2),
                "gamma": np.array([2.0, 3.0]),
                "beta": np.array([0.0, 1.0]),
                "mean": np.array([5.0, 0.0]),
                "variance": np.array([3.0, 8.0]),
                "epsilon": 1.0,
            },
            "a layer with a bias": {
                "weight": np.ones((1, 1, 1, 1)),
                "bias": np.array([4.0]),
                "gamma": np.array([1.0]),
                "beta": np.array([0.0]),
                "mean": np.array([1.0]),
                "variance": np.array([3.0]),
                "epsilon": 1.0,
            },
        },
        tolerance=1e-9,
    ),
    Exercise(
        channel_scales,
        {
            "weight": _KERNEL.flatmap(
                lambda s: arrays(np.float32, s, elements=st.integers(-3, 3).map(np.float32))
            )
        },
        why="The largest absolute value of each output channel (the weight's first axis) gets the "
        "code 127 or −127: its scale is that value / 127. Only zeros: the scale is 1.",
        hint=Hint(
            approach="One number for each output channel: which real number must the largest code "
            "stand for?",
            example="`channel_scales([[1.0, -2.54], [0.0, 1.27]])` → `[0.02, 0.01]`: 127 steps "
            "reach 2.54 and 1.27.",
            trap="A negative weight counts by its size. There are 127 codes on each side, and a "
            "channel of zeros must not get the scale 0.",
        ),
        edge_cases={
            "two channels, the larger number negative": {
                "weight": np.float32([1, -2.54, 0.5, 1.27]).reshape(2, 1, 1, 2)
            },
            "a channel of zeros": {"weight": np.float32([0, 0, 3, 1]).reshape(2, 2, 1, 1)},
            "a dense layer": {"weight": np.float32([[1, -2, 3], [0, 4, -5]])},
        },
        tolerance=1e-7,
    ),
    Exercise(
        int8_outputs,
        {
            "weight": st.sampled_from([0.01, 0.03]).map(
                lambda small: np.float32([[1, -0.9], [small, 2 * small]])
            ),
            "calibration": _ROWS,
            "x": _ROWS,
        },
        why="The reader hands out every calibration row once, as a batch of one, then None; the "
        "file has a scale for each output channel and ranges from the calibration rows alone.",
        hint=Hint(
            approach="A class with one method: get_next gives the next batch as a dictionary, "
            "input name → array, and None at the end. Then one call makes the file, and a "
            "session runs it.",
            example="`int8_outputs([[1.0, -0.9], [0.01, 0.02]], [[2.0, 2.0], [0.0, -1.0]], "
            "[[1.0, 1.0]])` → `[[0.1, 0.03]]`: nearly what float32 gives, up to half a step.",
            trap="Without per_channel one row of the weight sets the scale for both. What is "
            "computed later must not calibrate, and no calibration row may be left out.",
        ),
        edge_cases={
            "two output channels of different size": {
                "weight": np.float32([[1, -0.9], [0.01, 0.02]]),
                "calibration": np.float32([[2, 2], [0, -1], [1, 1]]),
                "x": np.float32([[1, 1], [0.3, -0.4]]),
            },
            "the largest row is the last one": {
                "weight": np.float32([[1, -0.9], [0.01, 0.02]]),
                "calibration": np.float32([[0.2, 0.1], [-1, 2]]),
                "x": np.float32([[-0.7, 1.3]]),
            },
            "an input beyond the calibrated range": {
                "weight": np.float32([[1, -0.9], [0.01, 0.02]]),
                "calibration": np.float32([[0.5, 0.5], [0.5, -0.5]]),
                "x": np.float32([[2, -2]]),
            },
        },
    ),
)
