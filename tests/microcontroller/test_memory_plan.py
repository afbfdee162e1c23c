"""The memory plan against a search through all places, the lower bound, and TFLM's record."""

import keras
import numpy as np
import pytest

from edge_course import data
from edge_course.cost_models import activation_memory
from edge_course.microcontroller.memory_plan import (
    ALIGNMENT,
    MOST_SEARCHED,
    Lifetime,
    arena_bytes,
    greedy_by_size,
    plan_memory,
    smallest_arena,
)
from edge_course.runtimes import litert, tflite_file, tflm
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks
from tests.support.effort import effort

SHIPPED = ["compressed_20.tflite", "seed_cnn_int8.tflite", "depthwise_cnn_int8.tflite"]


def random_graph(seed: int, tensors: int) -> tuple[dict[int, Lifetime], int]:
    """A network that branches, in units of the alignment, and the most that lives at once."""
    random = np.random.default_rng(seed)
    sizes = {0: int(random.integers(1, 6))}
    steps = []
    while len(sizes) < tensors:
        read = set(random.choice(len(sizes), min(len(sizes), random.integers(1, 3)), False))
        written = len(sizes)
        sizes[written] = int(random.integers(1, 6))
        steps.append(({int(t) for t in read}, {written}))
    alive = activation_memory.lifetimes(steps)
    units = {t: Lifetime(sizes[t], *alive[t]) for t in alive}
    return units, max(activation_memory.alive_bytes(steps, sizes))


def in_bytes(units: dict[int, Lifetime]) -> dict[int, Lifetime]:
    return {t: life._replace(bytes=life.bytes * ALIGNMENT) for t, life in units.items()}


def least_by_search(units: dict[int, Lifetime]) -> int:
    """The smallest arena of all: each tensor is tried at every place."""
    names = list(units)
    best = sum(t.bytes for t in units.values())

    def search(placed: list[tuple[Lifetime, int]], top: int) -> None:
        nonlocal best
        if len(placed) == len(names):
            best = min(best, top)
            return
        new = units[names[len(placed)]]
        for offset in range(best - new.bytes):  # one less than the best so far
            free = all(
                new.last < old.first or old.last < new.first
                or offset >= at + old.bytes or at >= offset + new.bytes
                for old, at in placed
            )  # fmt: skip
            if free and max(top, offset + new.bytes) < best:
                search([*placed, (new, offset)], max(top, offset + new.bytes))

    search([], 0)
    return best


def assert_nothing_is_overwritten(tensors, offsets) -> None:
    """Write all tensors step by step into one array, and find them whole when they are read."""
    arena = np.full(arena_bytes(tensors, offsets), -1)
    for step in range(max(t.last for t in tensors.values()) + 1):
        for name, t in tensors.items():
            if t.first == step:
                arena[offsets[name] : offsets[name] + t.bytes] = name
        for name, t in tensors.items():
            if t.first <= step <= t.last:
                assert (arena[offsets[name] : offsets[name] + t.bytes] == name).all()


def test_no_arena_is_smaller_in_small_graphs() -> None:
    better_than_greedy = above_the_bound = 0
    for seed in range(200):
        units, bound = random_graph(seed, tensors=4 + seed % 4)
        tensors = in_bytes(units)
        offsets = smallest_arena(tensors)
        assert_nothing_is_overwritten(tensors, offsets)
        size = arena_bytes(tensors, offsets)
        assert size == least_by_search(units) * ALIGNMENT, seed
        better_than_greedy += size < arena_bytes(tensors, greedy_by_size(tensors))
        above_the_bound += size > bound * ALIGNMENT
    assert better_than_greedy  # else the search would do nothing
    assert above_the_bound < 20


@pytest.mark.parametrize("seed", range(20))
def test_of_many_tensors_the_largest_come_first(seed) -> None:
    tensors = in_bytes(random_graph(seed, tensors=MOST_SEARCHED + 12)[0])
    offsets = smallest_arena(tensors)
    assert offsets == greedy_by_size(tensors)
    assert_nothing_is_overwritten(tensors, offsets)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_networks_need_what_lives_at_once(name) -> None:
    plan = plan_memory(data.read(name))
    assert plan.bytes == activation_memory.peak_bytes(data.read(name))
    assert_nothing_is_overwritten(plan.lifetimes, plan.offsets)


@pytest.mark.skipif(bool(tflm.missing()), reason=tflm.missing())
@pytest.mark.parametrize("name", SHIPPED)
def test_tflm_records_the_same_arena(name) -> None:
    assert plan_memory(data.read(name)).bytes == tflm.recorded_arena(data.read(name)).head


@pytest.mark.skipif(bool(tflm.missing()), reason=tflm.missing())
def test_tflm_needs_no_less_for_random_networks() -> None:
    equal = networks = 0
    for seed in range(effort(40, 300)):
        file = tflite_networks.network(seed, every_output=False)
        if "STRIDED_SLICE" in {o.name for o in tflite_file.read_tflite(file).operators}:
            continue  # TFLM takes none of five dimensions
        plan, head = plan_memory(file), tflm.recorded_arena(file).head
        assert activation_memory.peak_bytes(file) <= plan.bytes <= head, seed
        equal += head - plan.bytes < ALIGNMENT
        networks += 1
    assert equal > 0.9 * networks  # the others need a place for a kernel's own use


def test_a_file_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match="not a TFLite model"):
        plan_memory(b"nothing of the kind")


def test_a_size_that_the_file_does_not_give_is_refused() -> None:
    layers = [keras.Input((5, 6)), keras.layers.Dense(4), keras.layers.Flatten()]
    pictures = np.random.default_rng(0).normal(size=(10, 5, 6)).astype(np.float32)
    file = litert.convert(keras.Sequential(layers), "int8", pictures)
    with pytest.raises(ModelError, match=r"does not say how large the output .* of RESHAPE is"):
        plan_memory(file)
