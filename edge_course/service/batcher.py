"""A short line of requests: refused when it is full, dropped when too late, computed in batches.

All of it runs in one event loop; only the computing runs in threads beside it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from edge_course.service.intake import RefusedError
from edge_course.service.settings import Settings


class _Waiting(NamedTuple):
    x: np.ndarray
    since: float
    answer: asyncio.Future


class Batcher:
    """Answers requests in the order in which they come, several at once.

    Parameters
    ----------
    run : maps inputs (n, …) to n outputs and what is common to all of them.
    settings : how many wait, and how long; see `Settings`.
    computed : is told the size of each batch.

    Attributes
    ----------
    line : the requests that wait.
    inside : how many requests wait or are being computed.
    stopping : no more are taken.

    Taught in: notebooks/21_edge_service.ipynb
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], tuple[np.ndarray, Any]],
        settings: Settings,
        computed: Callable[[int], None],
    ):
        self._run, self._settings, self._computed = run, settings, computed
        self.line: deque[_Waiting] = deque()
        self.inside, self.stopping = 0, False
        self._news = asyncio.Event()  # somebody came, or all are to go
        self._pool = ThreadPoolExecutor(settings.threads)
        self._servers: list[asyncio.Task] = []

    def start(self) -> None:
        """Begin to serve, in the event loop that runs."""
        self._servers = [asyncio.create_task(self._serve()) for _ in range(self._settings.threads)]

    async def stop(self) -> None:
        """Answer all who wait, and take no more."""
        self.stopping = True
        self._news.set()
        await asyncio.gather(*self._servers)
        self._pool.shutdown()

    async def answer(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the output for one input, and what is common to its batch.

        Raises
        ------
        RefusedError
            503, at once if too many wait already or the service stops; or after the deadline.
        """
        loop, limits = asyncio.get_running_loop(), self._settings
        if self.stopping:
            raise RefusedError(503, "stopping", "the service stops: ask another one")
        if len(self.line) >= limits.waiting:
            raise RefusedError(
                503, "full", f"{limits.waiting} requests wait already: ask again later"
            )
        waiting = _Waiting(x, loop.time(), loop.create_future())
        self.line.append(waiting)
        self._news.set()
        self.inside += 1
        try:
            output = await waiting.answer
        finally:
            self.inside -= 1
        if self._is_late(waiting):
            raise self._late()
        return output

    async def _serve(self) -> None:
        while not (self.stopping and not self.line):
            if batch := await self._next_batch():
                await self._compute(batch)

    async def _next_batch(self) -> list[_Waiting]:
        """Return the first in the line: as many as may be, or as came while the first waited."""
        loop, limits = asyncio.get_running_loop(), self._settings
        while len(self.line) < limits.batch and not self.stopping:
            left = self.line[0].since + limits.wait - loop.time() if self.line else None
            if left is not None and left <= 0:
                break
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()
        first = [self.line.popleft() for _ in range(min(limits.batch, len(self.line)))]
        for waiting in first:
            if self._is_late(waiting) and not waiting.answer.done():
                waiting.answer.set_exception(self._late())
        return [waiting for waiting in first if not waiting.answer.done()]

    async def _compute(self, batch: list[_Waiting]) -> None:
        inputs = np.stack([waiting.x for waiting in batch])
        loop = asyncio.get_running_loop()
        try:
            outputs, common = await loop.run_in_executor(self._pool, self._run, inputs)
            answers = [(output, common) for output in outputs]
        except Exception as error:  # whatever it is, the service goes on
            answers = [RefusedError(500, "failed", f"the model could not compute: {error}")] * len(
                batch
            )
        else:
            self._computed(len(batch))
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():  # whoever asked is gone
                continue
            if isinstance(answer, RefusedError):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _is_late(self, waiting: _Waiting) -> bool:
        return asyncio.get_running_loop().time() > waiting.since + self._settings.deadline

    def _late(self) -> RefusedError:
        text = f"no answer within the deadline of {self._settings.deadline:g} s: ask again later"
        return RefusedError(503, "late", text)
