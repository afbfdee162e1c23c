"""A line of requests: order, batches, limits, deadlines and the end, without any network."""

import asyncio
import threading
import time

import numpy as np
import pytest

from edge_course.service.batcher import Batcher
from edge_course.service.intake import RefusedError
from edge_course.service.settings import Settings


class Doubles:
    """A runtime that doubles numbers, and can be held back."""

    def __init__(self):
        self.batches, self.go = [], threading.Event()
        self.go.set()

    def __call__(self, x: np.ndarray):
        self.go.wait(20)
        self.batches.append(x.tolist())
        if (x < 0).any():
            raise ValueError("negative")
        return 2 * x, "doubles"


def serve(scenario, runtime=None, **settings):
    """Run a scenario with a batcher that serves."""
    runtime, sizes = runtime or Doubles(), []

    async def run():
        batcher = Batcher(runtime, Settings(**settings), sizes.append)
        batcher.start()
        try:
            return await scenario(batcher, runtime)
        finally:
            runtime.go.set()
            await asyncio.wait_for(batcher.stop(), 20)

    result = asyncio.run(run())
    assert sizes == [len(b) for b in runtime.batches if min(b) >= 0]
    return result


async def settle(condition):
    """Let others run until something holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never held")


def asked(batcher, *numbers):
    return [asyncio.create_task(batcher.answer(np.float64(n))) for n in numbers]


async def outcomes(tasks):
    """The answers, and the reasons of the refusals."""
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [f.reason if isinstance(f, RefusedError) else float(f[0]) for f in found]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("wait", [0.0, 0.002])
def test_each_gets_its_own_answer(threads, batch, wait):
    async def scenario(batcher, runtime):
        found = await outcomes(asked(batcher, *range(100)))
        assert found == [2.0 * n for n in range(100)]
        assert batcher.inside == 0

    serve(scenario, threads=threads, batch=batch, wait=wait, waiting=100, deadline=20.0)


def test_those_who_wait_meanwhile_share_a_batch():
    async def scenario(batcher, runtime):
        runtime.go.clear()
        tasks = asked(batcher, 0)
        await settle(lambda: not batcher.line and batcher.inside)
        tasks += asked(batcher, *range(1, 8))
        await settle(lambda: len(batcher.line) == 7)
        runtime.go.set()
        assert await outcomes(tasks) == [2.0 * n for n in range(8)]
        assert runtime.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]

    serve(scenario, batch=4, deadline=20.0)


def test_the_first_waits_for_others_but_not_longer_than_it_may():
    async def scenario(batcher, runtime):
        begin = time.monotonic()
        tasks = asked(batcher, 1)
        await settle(lambda: batcher.line)
        tasks += asked(batcher, 2)
        assert await outcomes(tasks) == [2, 4]
        assert runtime.batches == [[1, 2]]
        assert time.monotonic() - begin >= 0.3
        assert await outcomes(asked(batcher, 3, 4, 5)) == [6, 8, 10]  # full: at once
        assert runtime.batches[1:] == [[3, 4, 5]]

    serve(scenario, batch=3, wait=0.3, deadline=20.0)


def test_a_full_line_refuses_at_once_and_keeps_those_in_it():
    async def scenario(batcher, runtime):
        runtime.go.clear()
        first = asked(batcher, 1)
        await settle(lambda: not batcher.line and batcher.inside)
        waiting = asked(batcher, 2, 3)
        await settle(lambda: len(batcher.line) == 2)
        assert await outcomes(asked(batcher, 4, 5)) == ["full", "full"]
        assert not any(task.done() for task in first + waiting)
        runtime.go.set()
        assert await outcomes(first + waiting) == [2, 4, 6]
        assert not any({4, 5} & set(batch) for batch in runtime.batches)

    serve(scenario, batch=1, waiting=2, deadline=20.0)


def test_who_waited_too_long_is_refused_and_not_computed():
    async def scenario(batcher, runtime):
        runtime.go.clear()
        tasks = asked(batcher, 1)
        await settle(lambda: not batcher.line and batcher.inside)
        tasks += asked(batcher, 2, 3)
        await asyncio.sleep(0.15)
        runtime.go.set()
        assert await outcomes(tasks) == ["late", "late", "late"]
        assert runtime.batches == [[1]]
        assert await outcomes(asked(batcher, 4)) == [8]

    serve(scenario, batch=1, deadline=0.1)


def test_what_cannot_be_computed_fails_alone():
    async def scenario(batcher, runtime):
        found = await asyncio.gather(*asked(batcher, 1, -1, 2), return_exceptions=True)
        assert [found[0][0], found[2][0]] == [2, 4]
        assert (found[1].status, found[1].reason) == (500, "failed")
        assert "negative" in found[1].text

    serve(scenario, batch=1, deadline=20.0)


def test_who_is_gone_is_passed_over():
    async def scenario(batcher, runtime):
        runtime.go.clear()
        tasks = asked(batcher, 1)
        await settle(lambda: not batcher.line and batcher.inside)
        gone, stays = asked(batcher, 2, 3)
        await settle(lambda: len(batcher.line) == 2)
        tasks[0].cancel()  # while it is computed
        gone.cancel()  # while it waits
        await settle(lambda: gone.cancelled() and tasks[0].cancelled())
        runtime.go.set()
        assert await outcomes([stays]) == [6]
        assert runtime.batches == [[1], [3]] and batcher.inside == 0

    serve(scenario, batch=1, deadline=20.0)


def test_all_who_are_inside_are_answered_before_it_stops():
    async def scenario(batcher, runtime):
        runtime.go.clear()
        tasks = asked(batcher, *range(10))
        await settle(lambda: batcher.inside == 10)
        stopping = asyncio.create_task(batcher.stop())
        await settle(lambda: batcher.stopping)
        assert await outcomes(asked(batcher, 99)) == ["stopping"]
        runtime.go.set()
        assert await outcomes(tasks) == [2.0 * n for n in range(10)]
        await stopping

    serve(scenario, batch=2, wait=5.0, deadline=20.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0}, {"batch": 1.5}, {"waiting": 0}, {"threads": 0}, {"deadline": 0.0},
        {"deadline": float("inf")}, {"wait": -1.0}, {"wait": 2.0}, {"takes": 1.0},
        {"takes": float("nan")},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        Settings(**wrong)
