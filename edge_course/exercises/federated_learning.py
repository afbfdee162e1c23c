"""The exercises of notebook 17."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.checker import Exercise, Hint
from edge_course.federated.averaging import weighted_mean
from edge_course.federated.leak import label_shares
from edge_course.federated.privacy import epsilon
from edge_course.federated.robust import krum
from edge_course.federated.updates import send_largest

_CLIENTS = st.shared(st.integers(1, 4), key="clients")
_MODELS = _CLIENTS.flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.integers(-9, 9)))
_COUNTS = _CLIENTS.flatmap(lambda n: st.lists(st.integers(1, 9), min_size=n, max_size=n))
_ROW = arrays(np.float64, 4, elements=st.integers(-9, 9), fill=st.nothing())
# Powers of three: no two sums of distances are equal by chance.
_FAR = st.permutations([0, 1, 3, 9, 27, 81]).map(lambda p: np.array(p, np.float64)[:, None])

EXERCISES = (
    Exercise(
        weighted_mean,
        {"models": _MODELS, "counts": _COUNTS},
        why="Each model counts as often as its client has examples; the weights add up to 1.",
        hint=Hint(
            approach="What would the mean be if every example, not every client, brought its own "
            "model along?",
            example="`weighted_mean([[0.0, 4.0], [8.0, 0.0]], [3, 1])` → `[2.0, 3.0]`: three "
            "quarters of the first and a quarter of the second, number by number.",
            trap="The sum of the counts divides, not the number of clients. And the result has "
            "one number for each parameter.",
        ),
        edge_cases={
            "three to one": {"models": np.array([[0.0, 4.0], [8.0, 0.0]]), "counts": [3, 1]},
            "alone": {"models": np.array([[5.0, -1.0]]), "counts": [7]},
            "as many each": {"models": np.array([[1.0, 2.0], [3.0, 6.0]]), "counts": [2, 2]},
        },
    ),
    Exercise(
        send_largest,
        {"update": _ROW, "memory": _ROW, "count": st.integers(1, 4)},
        why="The memory is added first; the largest sizes of this sum are sent, and all the rest "
        "of it stays in the memory.",
        hint=Hint(
            approach="What is due is the update and all that was held back. Which of those numbers "
            "are the largest, and what is left when they have gone?",
            example="`send_largest([1.0, -5.0, 2.0], [0.0, 1.0, 3.0], 1)` → "
            "`([2], [5.0], [1.0, -4.0, 0.0])`: the sum is 1, −4, 5, and 5 is sent.",
            trap="Large means far from 0, on either side. What was sent must be 0 in the memory, "
            "or it is sent twice; what was not sent must stay, or it is lost.",
        ),
        edge_cases={
            "from the memory": {
                "update": np.array([1.0, -5.0, 2.0, 0.0]),
                "memory": np.array([0.0, 1.0, 3.0, 0.0]),
                "count": 1,
            },
            "negative": {
                "update": np.array([1.0, -5.0, 2.0, 4.0]),
                "memory": np.zeros(4),
                "count": 2,
            },
            "all": {"update": np.array([1.0, 0.0, 2.0, 3.0]), "memory": np.ones(4), "count": 4},
        },
    ),
    Exercise(
        krum,
        {"models": _FAR, "liars": st.integers(0, 3)},
        why="For each model, the squared distances to its n − liars − 2 nearest others are added "
        "up; the smallest sum wins.",
        hint=Hint(
            approach="Honest models lie close together, so look for a model in a crowd. How many "
            "neighbours may it count, if the liars are left out, and it is not its own neighbour?",
            example="`krum([[0.0], [1.0], [9.0], [3.0]], 1)` → `0`: each has one neighbour to "
            "count; 0 and 1 are both at the squared distance 1, and 0 comes first.",
            trap="The distance to itself is 0 and does not count. Distances are squared, and only "
            "the nearest ones are added, not all.",
        ),
        edge_cases={
            "a liar far away": {"models": np.array([[0.0], [1.0], [9.0], [3.0]]), "liars": 1},
            "two numbers each": {
                "models": np.array([[0.0, 5.0], [1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [9.0, 9.0]]),
                "liars": 1,
            },
            "squares": {"models": np.array([[0.0], [3.0], [5.5], [7.0], [11.0]]), "liars": 1},
        },
    ),
    Exercise(
        label_shares,
        {
            "bias_change": arrays(np.float64, 3, elements=st.integers(-4, 4)).map(lambda a: a / 16),
            "rate": st.sampled_from([0.5, 0.25, 1.0, 2.0]),
            "predicted": st.sampled_from([(0.25, 0.25, 0.5), (0.5, 0.25, 0.25)]).map(np.array),
        },
        why="The step is −rate × (probability − share), so the share is the probability plus the "
        "change divided by the rate.",
        hint=Hint(
            approach="Write down how the bias of one class changes in a step of gradient descent, "
            "and solve that for the share of the labels.",
            example="`label_shares([0.25, -0.25], 0.5, [0.5, 0.5])` → `[1.0, 0.0]`: a change of a "
            "quarter at a rate of a half is a gradient of a half.",
            trap="A gradient step goes downwards: a bias that grows tells of a label that is there "
            "more often than predicted.",
        ),
        edge_cases={
            "one label": {
                "bias_change": np.array([0.25, -0.125, -0.125]),
                "rate": 0.5,
                "predicted": np.array([0.5, 0.25, 0.25]),
            },
            "nothing learned": {
                "bias_change": np.zeros(3),
                "rate": 0.5,
                "predicted": np.array([0.25, 0.25, 0.5]),
            },
        },
    ),
    Exercise(
        epsilon,
        {
            "rounds": st.integers(1, 20),
            "noise": st.sampled_from([1.0, 0.5, 2.0, 4.0]),
            "delta": st.sampled_from([0.01, 0.1, 0.001]),
        },
        why="r / (2σ²) + √(2 r ln(1/δ)) / σ, the best bound that Rényi differential privacy gives.",
        hint=Hint(
            approach="At the order α, so many rounds cost α·r/(2σ²), and the way back to ε and δ "
            "adds ln(1/δ)/(α − 1). For which α is the sum smallest?",
            example="`epsilon(2, 1.0, 0.01)` → `5.2919`: 2/2 is 1, and the root of 4 ln(100) is "
            "4.2919.",
            trap="ln is the natural logarithm. More noise must make ε smaller, a smaller δ must "
            "make it larger.",
        ),
        edge_cases={
            "two rounds": {"rounds": 2, "noise": 1.0, "delta": 0.01},
            "much noise": {"rounds": 15, "noise": 4.0, "delta": 0.01},
        },
    ),
)
