"""The exercises of notebook 20."""

from __future__ import annotations

from hypothesis import strategies as st

from edge_course.checker import Exercise, Hint
from edge_course.cost_models.activation_memory import lifetimes
from edge_course.microcontroller.memory_plan import Lifetime, first_fit
from edge_course.microcontroller.on_core import rescale_on_core

# Each operator reads one or two tensors that were there before, and writes one.
_STEPS = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        *(st.tuples(st.sets(st.integers(0, k), min_size=1, max_size=2), st.just({k + 1}))
          for k in range(n))
    )
).map(list)  # fmt: skip
_LIFETIMES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5
).map(lambda rows: {k: Lifetime(16 * n, min(a, b), max(a, b)) for k, (n, a, b) in enumerate(rows)})
_TENSORS = st.shared(_LIFETIMES, key="tensors")
_TWO_BRANCHES = {0: Lifetime(32, 0, 1), 1: Lifetime(16, 1, 3), 2: Lifetime(48, 2, 3)}

EXERCISES = (
    Exercise(
        lifetimes,
        {"steps": _STEPS},
        why="A tensor is needed from the operator that writes it (the network's input from the "
        "first, 0) to the last one that reads it, or to the very end if none does.",
        hint=Hint(
            approach="Go through the steps in order. The first time you meet a tensor says where "
            "its life begins, the last time that it is read where it ends.",
            example="`lifetimes([({0}, {1}), ({0, 1}, {2})])` → `{0: (0, 1), 1: (0, 1), 2: (1, 1)}`"
            ": tensor 0 is read by both steps, 1 is written by step 0 and read by step 1, and 2 "
            "is written by the last.",
            trap="What nobody reads is the network's output, or part of it: it must be kept until "
            "the last step, not only while it is written.",
        ),
        edge_cases={
            "a chain": {"steps": [({0}, {1}), ({1}, {2}), ({2}, {3})]},
            "a sum around two layers": {"steps": [({0}, {1}), ({1}, {2}), ({0, 2}, {3})]},
            "a second input, read later": {"steps": [({0}, {1}), ({1, 9}, {2})]},
            "an output in the middle": {"steps": [({0}, {1}), ({0}, {2}), ({2}, {3})]},
        },
    ),
    Exercise(
        first_fit,
        {"tensors": _TENSORS, "order": _TENSORS.flatmap(lambda t: st.permutations(list(t)))},
        why="Each tensor goes to the lowest multiple of 16 where it touches none of those that lie "
        "there already and are needed at the same time.",
        hint=Hint(
            approach="Begin at byte 0. As long as some tensor that is needed at the same time is "
            "in the way, go on behind it; if you look at the placed ones from the lowest to the "
            "highest, once through is enough.",
            example="`first_fit({0: Lifetime(32, 0, 1), 1: Lifetime(16, 1, 2), 2: Lifetime(32, 2, "
            "2)}, [0, 1, 2])` → `{0: 0, 1: 32, 2: 0}`: tensor 1 meets 0 in step 1 and goes "
            "behind it; tensor 2 meets only 1, and there is room before it.",
            trap="Two tensors are needed at the same time if neither ends before the other "
            "begins; one step in common is enough, since an operator reads while it writes.",
        ),
        edge_cases={
            "the largest first": {"tensors": _TWO_BRANCHES, "order": [2, 0, 1]},
            "as they come": {"tensors": _TWO_BRANCHES, "order": [0, 1, 2]},
        },
    ),
    Exercise(
        rescale_on_core,
        {
            "x": st.integers(-40, 40) | st.integers(-(2**24), 2**24),
            "multiplier": st.sampled_from([2**30, 2**31 - 1]) | st.integers(2**30, 2**31 - 1),
            "shift": st.integers(-12, 3),
        },
        why="The product is rounded to a whole number first, halves up; what the shift to the "
        "right drops is rounded once more, halves away from zero.",
        hint=Hint(
            approach="Shift to the left first if the shift is positive. Multiply in 64 bits, add "
            "half of 2³¹, shift right by 31. Then look at the bits that the second shift drops: "
            "are they more than a half?",
            example="`rescale_on_core(6, 2147397749, -2)` → `2`: 6 · 0.99996 is 6 when it is "
            "rounded, and 6 / 4 = 1.5 becomes 2.",
            trap="`x * multiplier` in 32 bits overflows without a word: one of the two has to be "
            "an int64_t before they are multiplied.",
        ),
        edge_cases={
            "a half, positive": {"x": 6, "multiplier": 2**31 - 1, "shift": -2},
            "a half, negative": {"x": -6, "multiplier": 2**31 - 1, "shift": -2},
            "to the left": {"x": 5, "multiplier": 2**30, "shift": 2},
        },
    ),
)
