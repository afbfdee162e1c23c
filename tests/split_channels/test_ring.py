"""The ring against the plain gather and sum: workers are threads here, links are queues."""

import queue
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_course.split_channels import cost
from edge_course.split_channels.layers import Layer, join, share
from edge_course.split_channels.program import Exchange
from edge_course.split_channels.ring import Pace, Ring


def exchange(kind: str, arrays: list[np.ndarray], channels: int, pace: Pace | None = None):
    """Return each worker's result and its ring."""
    workers = len(arrays)
    links = [queue.Queue() for _ in range(workers)]  # into each worker
    results = [None] * workers

    def worker(rank: int) -> None:
        def swap(out, into):
            if out.size:
                links[(rank + 1) % workers].put(out.copy())
            if into.size:
                into[...] = links[rank].get(timeout=10)

        ring = Ring(workers, rank, swap, pace)
        ring.wait_for_all()
        results[rank] = (ring.exchange(Exchange(kind, "layer", arrays[rank], channels)), ring)

    threads = [threading.Thread(target=worker, args=(rank,)) for rank in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


@settings(max_examples=50)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 3), st.sampled_from([(), (2, 3)]))
def test_gather_is_the_whole_and_sends_what_is_computed(workers, channels, count, rest):
    whole = np.random.default_rng(0).normal(size=(count, channels, *rest))
    arrays = [whole[:, slice(*share(channels, workers, r))] for r in range(workers)]
    results = exchange("gather", arrays, channels)
    for found, _ in results:
        np.testing.assert_array_equal(found, whole)
    sent = [ring.bytes for _, ring in results]
    assert np.mean(sent) == pytest.approx(cost.ring_bytes("gather", whole.nbytes, workers))


@settings(max_examples=50)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 3))
def test_sum_is_the_sum_and_the_same_bits_at_every_worker(workers, channels, count):
    arrays = [
        np.random.default_rng(r).normal(size=(count, channels, 2)).astype("float32")
        for r in range(workers)
    ]
    before = [array.copy() for array in arrays]
    results = exchange("sum", arrays, channels)
    for found, _ in results:
        np.testing.assert_allclose(found, join("sum", arrays), atol=1e-5)
        np.testing.assert_array_equal(found, results[0][0])
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    sent = [ring.bytes for _, ring in results]
    expected = cost.ring_bytes("sum", arrays[0].nbytes, workers)
    assert np.mean(sent) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["output", "input"])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5])
def test_each_worker_sends_exactly_what_the_cost_says(kind, workers):
    layer = Layer("conv", "conv", np.ones((7, 5, 1, 1)))
    [sent] = cost.division_cost([layer], [kind], workers, (5, 2, 2), pictures=3).sent
    sizes = [share(7, workers, r) for r in range(workers)]
    arrays = [np.ones((3, stop - start if kind == "output" else 7, 2, 2)) for start, stop in sizes]
    rings = [ring for _, ring in exchange(sent.kind, arrays, 7)]
    assert tuple(ring.bytes for ring in rings) == sent.bytes
    assert {ring.messages for ring in rings} == {sent.steps}


def test_a_paced_link_is_no_faster_than_it_says():
    import time

    pace = Pace(bandwidth=1e6, latency=0.01)
    begin = time.perf_counter()
    exchange("sum", [np.ones((1, 500))] * 2, 500, pace)  # 2 steps of 2,000 bytes
    assert time.perf_counter() - begin >= 2 * (0.01 + 0.016)
