"""The exercises of notebook 06_when_conversion_fails."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import data
from edge_course.checker import Exercise, Hint
from edge_course.frameworks import clinic

_SIZES = st.integers(1, 3)
_COUNT = st.shared(st.integers(2, 4), key="pictures")
_CHANNELS = st.shared(st.integers(1, 2), key="channels")
_PER_CHANNEL = _CHANNELS.flatmap(
    lambda c: arrays(np.float64, c, elements=st.integers(-3, 3).map(float), fill=st.nothing())
)
_ROUNDS = st.shared(st.integers(1, 5), key="rounds")
_TIMINGS = _ROUNDS.flatmap(
    lambda n: arrays(
        np.float64, n, elements=st.sampled_from([1.0, 2.0, 4.0, 8.0]), fill=st.nothing()
    )
)
_SENT = b"model"


def _sent(content: bytes) -> dict[str, object]:
    return {"content": content, "size": 5, "sha256": hashlib.sha256(_SENT).hexdigest()}


_STAGES = st.shared(st.integers(1, 3), key="stages").flatmap(
    lambda n: st.lists(
        arrays(np.float64, 2, elements=st.integers(-4, 4).map(float), fill=st.nothing()),
        min_size=n,
        max_size=n,
    )
)


def _noisy(stages: list[np.ndarray]) -> list[np.ndarray]:
    return [stage + 0.25 for stage in stages]


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        clinic.is_full_int8,
        {
            "dtypes": st.lists(
                st.sampled_from(["int8", "int32", "float32", "uint8", "float16"]),
                min_size=2,
                max_size=4,
            ).map(tuple)
        },
        why="int8 at both ends, and nothing but int8 and int32 in between.",
        hint=Hint(
            approach="Look with the eyes of a processor without floating point: what would it "
            "refuse at the entrance, at the exit, in between?",
            example='`is_full_int8(("float32", "int8", "int8"))` → `False`: it wants floats at '
            "the entrance.",
            trap="A file that computes in int8 may still take and give floats. int32 inside is "
            "right: biases are kept in it.",
        ),
        edge_cases={
            "int8 from end to end": {"dtypes": ("int8", "int8", "int32", "int8")},
            "float at the ends": {"dtypes": ("float32", "int8", "int8", "float32")},
            "float inside": {"dtypes": ("int8", "float32", "int8")},
        },
    ),
    Exercise(
        clinic.dark_background,
        {
            "x": arrays(
                np.float32,
                st.tuples(_SIZES, _SIZES, st.integers(1, 2)),
                elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
                fill=st.nothing(),
            )
        },
        why="For each picture by itself: 1 − x if the mean of its top row, x[i, 0], is above 0.5.",
        hint=Hint(
            approach="Each picture decides for itself, by its top row alone. Then the whole "
            "picture is turned over or left.",
            example="`dark_background([[[1.0], [0.25]]])` → `[[[0.0], [0.75]]]`: the top row is "
            "bright.",
            trap="A mean over the batch lets the neighbours decide, a mean over the whole picture "
            "the garment. Exactly one half stays.",
        ),
        edge_cases={
            "one bright, one dark": {"x": np.array([[[1.0, 1.0]], [[0.0, 0.25]]], np.float32)},
            "bright below, dark on top": {"x": np.array([[[0.0], [1.0], [1.0]]], np.float32)},
            "exactly a half": {"x": np.array([[[0.5, 0.5]]], np.float32)},
        },
    ),
    Exercise(
        clinic.normalise,
        {
            "x": st.tuples(_COUNT, _CHANNELS).flatmap(
                lambda s: arrays(
                    np.float64, s, elements=st.integers(-3, 3).map(float), fill=st.nothing()
                )
            ),
            "mean": _PER_CHANNEL,
            "variance": _PER_CHANNEL.map(np.abs),
            "gamma": _PER_CHANNEL,
            "beta": _PER_CHANNEL,
            "epsilon": st.just(1.0),
        },
        why="γ (x − μ) / √(σ² + ε) + β with the μ and σ² that are given, not those of x.",
        hint=Hint(
            approach="Everything is given, nothing is measured here: four numbers for each "
            "channel. Shift and scale the one way, then the other.",
            example="`normalise([[3.0]], [1.0], [3.0], [2.0], [0.5], 1.0)` → `[[2.5]]`: 2 above "
            "the mean is one deviation; two of these and a half are 2.5.",
            trap="With the mean of the batch itself, a batch of one picture gives β, whatever the "
            "picture.",
        ),
        edge_cases={
            "a batch of one": {
                "x": np.array([[3.0]]),
                "mean": np.array([1.0]),
                "variance": np.array([3.0]),
                "gamma": np.array([2.0]),
                "beta": np.array([0.5]),
                "epsilon": 1.0,
            },
        },
    ),
    Exercise(
        clinic.pad_to_batch,
        {
            "x": arrays(
                np.float32,
                st.tuples(st.integers(1, 7), st.integers(1, 2)),
                elements=st.integers(1, 9).map(float),
                fill=st.nothing(),
            ),
            "n": st.integers(1, 4),
        },
        why="⌈m / n⌉ batches of n: all inputs in their order, then zeros, and none if m divides.",
        hint=Hint(
            approach="How many batches does it take to hold all inputs? How many places stay "
            "empty? Fill them, then cut into batches.",
            example="`pad_to_batch([[1.0], [2.0], [3.0]], 2)` → `[[[1.0], [2.0]], [[3.0], "
            "[0.0]]]`: two batches of two have one place to fill.",
            trap="If the number divides, nothing is added, and no batch of zeros either.",
        ),
        edge_cases={
            "divides": {"x": np.ones((4, 1), np.float32), "n": 2},
            "fewer than one batch": {"x": np.ones((1, 2), np.float32), "n": 3},
        },
    ),
    Exercise(
        clinic.erf,
        {"x": arrays(np.float64, _SIZES, elements=st.integers(-8, 8).map(lambda i: i / 2))},
        why="The formula holds for x ≥ 0: put |x| into it, and give the result the sign of x.",
        hint=Hint(
            approach="The formula is good on one half of the axis. The function is odd: what does "
            "that say about the other half?",
            example="`erf([-0.5, 0.5])` → `[-0.52, 0.52]`: equal but for the sign.",
            trap="Negative numbers put into the formula come out far beyond −1. Far out the "
            "answer is ±1, never NaN.",
        ),
        edge_cases={
            "a negative number": {"x": np.array([-1.0, 1.0])},
            "far out": {"x": np.array([-30.0, 30.0])},
        },
        tolerance=2e-6,
    ),
    Exercise(
        clinic.first_supported_opset,
        {
            "model": st.sampled_from(["bottleneck_cnn.onnx", "bottleneck_exit.onnx"]).map(
                data.read
            ),
            "supported": st.lists(st.integers(9, 24), min_size=1, max_size=2).map(tuple),
        },
        why="An operator set has all operators from the largest needed number on; a runtime has "
        "all sets up to its own. So it is the largest needed, if the weakest runtime has that.",
        hint=Hint(
            approach="Since which set is each operator of the file as it is used there? From "
            "which set on are all of them there? Up to which set does every runtime read?",
            example='`first_supported_opset(data.read("bottleneck_cnn.onnx"), (23, 26))` → '
            "`19`: one of its operators changed in 19, none after it, and both runtimes read that.",
            trap="An operator's first set is not enough: it may have changed since. And the number "
            "that is stamped on the file may be newer than anything in it.",
        ),
        edge_cases={
            "one runtime is too old": {
                "model": data.read("bottleneck_cnn.onnx"),
                "supported": (26, 9),
            },
            "new enough": {"model": data.read("bottleneck_cnn.onnx"), "supported": (26, 23)},
        },
    ),
    Exercise(
        clinic.first_difference,
        {
            "expected": _STAGES,
            "found": st.one_of(_STAGES, _STAGES.map(_noisy)),
            "tolerance": st.sampled_from([0.0, 0.5]),
        },
        why="The first stage, from the front, whose shape differs, or a number of which is off by "
        "more than the tolerance times the stage's largest expected number; NaN always is.",
        hint=Hint(
            approach="Go from the front and stop at the first stage that fails. What do you ask "
            "first of a stage, before you can subtract?",
            example="`first_difference([[1.0, 2.0], [4.0, 8.0]], [[1.0, 2.0], [4.0, 0.0]], 0.5)` → "
            "`1`: 8 is off by 8, and 4 is allowed there.",
            trap="A comparison with NaN is never true, so ask whether all is well, not whether "
            "something is wrong. Stages have magnitudes of their own, and negative numbers.",
        ),
        edge_cases={
            "the same": {
                "expected": [np.ones(2), np.ones(3)],
                "found": [np.ones(2), np.ones(3)],
                "tolerance": 0.1,
            },
            "another shape": {
                "expected": [np.ones(2), np.ones(3)],
                "found": [np.ones(2), np.ones((3, 1))],
                "tolerance": 0.1,
            },
            "not a number": {
                "expected": [np.ones(2)],
                "found": [np.array([1, np.nan])],
                "tolerance": 0.1,
            },
            "large numbers that are negative": {
                "expected": [np.array([-100.0, 1.0])],
                "found": [np.array([-95.0, 1.0])],
                "tolerance": 0.1,
            },
            "two differ": {
                "expected": [np.ones(2), np.ones(3), np.ones(1)],
                "found": [np.ones(2), np.zeros(3), np.zeros(1)],
                "tolerance": 0.1,
            },
        },
    ),
    Exercise(
        clinic.fit_input,
        {
            "picture": arrays(np.uint8, st.tuples(st.integers(1, 2), _SIZES), fill=st.nothing()),
            "scale": st.sampled_from([1 / 255, 1 / 128, 0.5]),
            "zero_point": st.sampled_from([-128, 0, 10]),
        },
        why="First to the network's scale (divided by 255), then to codes: divided by the scale, "
        "rounded, plus the zero point, clipped to −128 … 127; the shape is (1, height, width, 1).",
        hint=Hint(
            approach="Follow a picture: from pixels to the numbers of the training, from these to "
            "the file's codes, and last into the shape that the file expects.",
            example="`fit_input([[0, 255]], 0.5, 10)` → `[[[[10], [12]]]]`: 0 and 1 in the "
            "network's numbers, 0 and 2 steps.",
            trap="Pixels minus 128 are right for one scale and one zero point only. Clip before "
            "the dtype changes.",
        ),
        edge_cases={
            "black and white": {
                "picture": np.array([[0, 255]], np.uint8),
                "scale": 1 / 255,
                "zero_point": -128,
            },
        },
    ),
    Exercise(
        clinic.file_state,
        {
            "content": st.sampled_from([b"", b"mode", b"model", b"modal", b"model\n", b"MODEL"]),
            "size": st.just(5),
            "sha256": st.just(hashlib.sha256(_SENT).hexdigest()),
        },
        why="Too few bytes: truncated; too many: too long; as many, but another SHA-256: altered.",
        hint=Hint(
            approach="Two questions, in this order: are there as many bytes as there should be? "
            "If so, are they the same bytes?",
            example='`file_state(b"mode", 5, "…")` → `"truncated"`: four bytes of five; the hash '
            "need not be computed.",
            trap="A wrong hash alone does not say what happened; the right length does not say "
            "that nothing did.",
        ),
        edge_cases={
            "as it was": _sent(_SENT),
            "one byte is another": _sent(b"modal"),
            "one byte too many": _sent(b"model\n"),
            "nothing arrived": _sent(b""),
        },
    ),
    Exercise(
        clinic.times_as_long,
        {"seconds": _TIMINGS, "reference": _TIMINGS},
        why="Divide round by round, then take median, 25 % and 75 % quantile of the ratios.",
        hint=Hint(
            approach="The two ran in turns, so that a slow moment of the machine hit both. Which "
            "comparison keeps that?",
            example="`times_as_long([2.0, 2.0, 8.0], [1.0, 2.0, 4.0])` → `(2.0, 1.5, 2.0)`: "
            "twice, once and twice as long.",
            trap="Medians that are taken before dividing compare moments that have nothing to do "
            "with each other.",
        ),
        edge_cases={
            "the machine slowed down": {
                "seconds": np.array([2.0, 2.0, 8.0, 8.0]),
                "reference": np.array([1.0, 2.0, 4.0, 8.0]),
            },
        },
    ),
)
