"""Peak activation memory: by hand, and against a simulation that frees what nobody needs."""

import numpy as np
import pytest

from edge_course import data
from edge_course.cost_models import activation_memory
from edge_course.runtimes import tflite_file
from edge_course.runtimes.tflite_file import Operator, Tensor

NO_CODES = np.zeros(0)


def tensor(index: int, *shape: int, dtype: str = "int8", values: np.ndarray | None = None):
    return Tensor(index, f"t{index}", shape, np.dtype(dtype), NO_CODES, NO_CODES, values)


def operator(reads: list[Tensor], writes: list[Tensor], name: str = "ADD") -> Operator:
    return Operator(name, tuple(reads), tuple(writes), None)


@pytest.mark.parametrize(
    "name, factor", [("seed_cnn_int8.tflite", 1), ("seed_cnn_float32.tflite", 4)]
)
def test_of_the_seed_cnn_the_pooling_needs_the_most(name, factor):
    graph = tflite_file.read_tflite(data.read(name))
    peak = activation_memory.peak_activation_bytes(graph.operators, graph.outputs)
    assert peak == factor * (26 * 26 * 32 + 13 * 13 * 32) == factor * 27_040


def test_a_sum_keeps_what_it_will_read():
    x, a, b, c = (tensor(i, 1, size) for i, size in enumerate((10, 100, 30, 100)))
    kernel = tensor(9, 1000, values=np.zeros(1000, np.int8))
    steps = [operator([x, kernel], [a]), operator([a], [b]), operator([a, b], [c])]
    assert activation_memory.peak_activation_bytes(steps) == 100 + 30 + 100


def test_an_output_that_is_read_too_is_kept_to_the_end():
    x, a, b, c = (tensor(i, 1, size) for i, size in enumerate((1, 50, 60, 70)))
    steps = [operator([x], [a]), operator([a], [b]), operator([b], [c])]
    assert activation_memory.peak_activation_bytes(steps) == 60 + 70
    assert activation_memory.peak_activation_bytes(steps, [a, c]) == 50 + 60 + 70


def test_an_input_waits_for_the_one_that_reads_it():
    x, late, a, b = (tensor(i, 1, size) for i, size in enumerate((40, 7, 40, 5)))
    steps = [operator([x], [a]), operator([a, late], [b])]
    assert activation_memory.peak_activation_bytes(steps) == 40 + 40 + 7


def test_reshape_has_a_place_of_its_own_and_shapes_have_none():
    x, flat = tensor(0, 1, 4, 25), tensor(1, 1, 100)
    shape = tensor(2, 2, dtype="int32")
    steps = [operator([x], [shape], "SHAPE"), operator([x, shape], [flat], "RESHAPE")]
    assert activation_memory.peak_activation_bytes(steps) == 100 + 100


def test_no_operators_are_refused():
    with pytest.raises(ValueError, match="no operators"):
        activation_memory.peak_activation_bytes([])


def simulated(steps, sizes, outputs) -> list[int]:
    """Hold tensors in a set; after each step drop those that the rest of the steps do not read."""
    written = set().union(*(set(w) for _, w in steps))
    held = set().union(*(set(r) for r, _ in steps)) - written
    alive = []
    for number, (_, writes) in enumerate(steps):
        held |= set(writes)
        alive.append(sum(sizes[t] for t in held))
        rest = set().union(*(set(r) for r, _ in steps[number + 1 :]))
        read_by_nobody = written - set().union(*(set(r) for r, _ in steps))
        held &= rest | set(outputs) | read_by_nobody
    return alive


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_against_a_simulation(seed):
    random = np.random.default_rng(seed)
    names, steps = ["in0", "in1"], []
    for number in range(random.integers(1, 25)):
        reads = random.choice(names, size=random.integers(1, 4))
        writes = [f"{number}.{k}" for k in range(random.integers(1, 3))]
        steps.append((set(map(str, reads)), set(writes)))
        names += writes
    sizes = {name: int(random.integers(1, 1000)) for name in names}
    outputs = {str(random.choice(names[2:]))}
    assert activation_memory.alive_bytes(steps, sizes, outputs) == simulated(steps, sizes, outputs)
