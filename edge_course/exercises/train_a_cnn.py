"""The exercises of notebook 02."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.measure import conv_macs
from edge_course.networks.keras_models import widest_network
from edge_course.networks.nn import conv2d, half_squared_error_gradient, softmax

_SMALL = st.integers(-3, 3).map(float)


def _array(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Small whole numbers, which a reader can follow, as float64."""
    return arrays(np.float64, shape, elements=_SMALL)


# Sizes that several parameters of one call have to agree on: examples and features …
_DATA = st.shared(st.tuples(st.integers(1, 4), st.integers(1, 3)), key="data")
# … and images, kernel rows, kernel columns, channels in, channels out.
_CONVOLUTION = st.shared(st.tuples(*[st.integers(1, 2)] * 5), key="convolution")
_GROUPS = st.shared(st.integers(1, 3), key="groups")

EXERCISES = (
    Exercise(
        widest_network,
        {
            "shape": st.tuples(st.integers(4, 12), st.integers(4, 12), st.sampled_from([1, 3])),
            "classes": st.integers(2, 10),
            "parameters": st.integers(50, 3000),
            "memory": st.integers(100, 1000),
        },
        why="Of 2, 4 and 8 filters, the most for which model.count_params() and the largest sum of "
        "a layer's input and output both keep their budgets.",
        hint=Hint(
            approach="Build the network with 2 filters first. Ask it for its parameters, and "
            "each of its layers for the shapes of its input and of its output. Then try the next "
            "width.",
            example="`widest_network((4, 4, 1), 2, 100, 100)` → `(8, 98, 48)`: 8 kernels of 9 with "
            "a bias each are 80 parameters, the dense layer has 8 · 2 + 2; the convolution reads "
            "16 numbers and writes 2 · 2 · 8, and the pool reads those 32 and writes 8; so no "
            "layer holds more than 48.",
            trap="The first number of a Keras shape is None, for the batch. Input and output are "
            "there at the same time. And exactly at the budget is still allowed.",
        ),
        edge_cases={
            "parameters decide": {
                "shape": (6, 6, 3), "classes": 3, "parameters": 199, "memory": 1000,
            },
            "memory decides": {
                "shape": (8, 8, 1), "classes": 2, "parameters": 3000, "memory": 200,
            },
            "exactly at both budgets": {
                "shape": (6, 6, 1), "classes": 2, "parameters": 74, "memory": 100,
            },
            "nothing fits": {
                "shape": (12, 12, 3), "classes": 4, "parameters": 50, "memory": 100,
            },
        },
    ),
    Exercise(
        conv2d,
        {
            "images": _CONVOLUTION.flatmap(lambda s: _array(s[0], 3, 4, s[3])),
            "kernel": _CONVOLUTION.flatmap(lambda s: _array(*s[1:])),
            "bias": _CONVOLUTION.flatmap(lambda s: _array(s[4])),
        },
        why="The output at row y, column x is the patch images[n, y : y + rows, x : x + columns] "
        "times one output channel of the kernel, number by number, summed, plus that "
        "channel's bias.",
        hint=Hint(
            approach="Begin with one output number: cut its patch out of the picture, multiply "
            "number by number with the kernel of one output channel, sum. Then ask how "
            "many patches there are in each direction.",
            example="`conv2d([[[[1], [2]], [[3], [4]]]], [[[[1]], [[0]]], [[[0]], [[2]]]], "
            "[0.5])` → `[[[[9.5]]]]`: one patch, and 1·1 + 2·0 + 3·0 + 4·2 + 0.5 is 9.5.",
            trap="The kernel is not turned round. The sum runs over the input channels too, and "
            "the output is smaller than the picture.",
        ),
        edge_cases={
            "one patch": {
                "images": np.arange(4.0).reshape(1, 2, 2, 1),
                "kernel": np.array([1.0, 0.0, 0.0, 2.0]).reshape(2, 2, 1, 1),
                "bias": np.array([0.5]),
            },
            "two channels out": {
                "images": np.arange(6.0).reshape(1, 2, 3, 1),
                "kernel": np.array([1.0, -1.0, 0.0, 2.0]).reshape(1, 2, 1, 2),
                "bias": np.array([1.0, -1.0]),
            },
        },
        tolerance=1e-9,
    ),
    Exercise(
        conv_macs,
        {
            "output_shape": st.tuples(
                st.integers(1, 9),
                st.integers(1, 9),
                st.tuples(_GROUPS, st.integers(1, 4)).map(np.prod).map(int),
            ),
            "kernel_shape": st.tuples(st.integers(1, 5), st.integers(1, 5)),
            "channels_in": st.tuples(_GROUPS, st.integers(1, 4)).map(np.prod).map(int),
            "groups": _GROUPS,
        },
        why="Each of the height × width × channels outputs sums one product for each number of "
        "its patch: kernel rows × kernel columns × channels_in / groups.",
        hint=Hint(
            approach="Two questions: how many numbers come out, and how many products make one of "
            "them?",
            example="`conv_macs((2, 2, 4), (3, 3), 2, 1)` → `288`: 16 numbers of 18 products each.",
            trap="An output channel reads the input channels of its own group only. The size of "
            "the input does not enter, only that of the output.",
        ),
        edge_cases={
            "each of 8 channels on its own": {
                "output_shape": (5, 5, 8),
                "kernel_shape": (3, 3),
                "channels_in": 8,
                "groups": 8,
            },
        },
    ),
    Exercise(
        half_squared_error_gradient,
        {
            "X": _DATA.flatmap(lambda s: _array(*s)),
            "y": _DATA.flatmap(lambda s: _array(s[0])),
            "theta": _DATA.flatmap(lambda s: _array(s[1])),
        },
        why="Xᵀ (X θ − y): first how much each prediction is too high, then for each parameter "
        "the sum of these errors times that parameter's column of X.",
        hint=Hint(
            approach="First the errors, one for each example. Then one parameter: how much does "
            "it move each prediction? That is its column of X.",
            example="`half_squared_error_gradient([[1, 0], [1, 2]], [1, 0], [0, 1])` → `[1, 4]`: "
            "the predictions are 0 and 2, the errors −1 and 2; the columns (1, 1) and (0, "
            "2) weigh them to 1 and 4.",
            trap="Prediction minus truth, not the other way round. The half in the error takes "
            "the 2 of the square away; it is a sum over examples, no mean.",
        ),
        edge_cases={
            "two examples": {
                "X": np.array([[1.0, 0.0], [1.0, 2.0]]),
                "y": np.array([1.0, 0.0]),
                "theta": np.array([0.0, 1.0]),
            },
        },
        tolerance=1e-9,
    ),
    Exercise(
        softmax,
        {"logits": arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 4)),
                          elements=_SMALL)},
        why="exp of each score, divided by the sum of its row; the row's largest score is "
        "subtracted first so that exp cannot overflow.",
        hint=Hint(
            approach="All numbers positive, each row with the sum 1. What changes in the result "
            "if the same number is taken off all scores of a row?",
            example="`softmax([[0.0, 1.0]])` → `[[0.27, 0.73]]`: 1 and 2.72, each over 3.72.",
            trap="exp overflows from about 710 on. And each row stands for itself: its own sum, "
            "its own largest score.",
        ),
        edge_cases={
            "two classes": {"logits": np.array([[0.0, 1.0]])},
            "large scores": {"logits": np.array([[1000.0, 1001.0]])},
            "rows far apart": {"logits": np.array([[-1000.0, -1001.0], [1000.0, 1000.0]])},
        },
    ),
)  # fmt: skip
