"""Many requests, timed as those who send them see it.

In a *closed loop* each client sends its next request when it has its answer: a slow service is
asked more slowly. In an *open loop* requests come when they come, as from people who do not know of
each other: a slow service gets a queue. Times count from the moment at which a request was due; the
clock that wakes it is good to about a millisecond.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from edge_course.service.client import Connection, Response, ServiceError, run_beside

MOST_AT_ONCE = 500  # requests of an open loop that may be on their way


@dataclass(frozen=True)
class Exchanges:
    """Requests and what became of them, in the order in which they were due.

    Attributes
    ----------
    bodies : int64 (n,); which of the bodies was sent.
    due, done : float64 (n,); seconds from the start.
    status : int64 (n,); HTTP's number, or 0 if no response came.
    content : of each response, or what went wrong.
    """

    bodies: np.ndarray
    due: np.ndarray
    done: np.ndarray
    status: np.ndarray
    content: Sequence[bytes]

    @cached_property
    def answered(self) -> np.ndarray:
        """Which requests got an answer, bool (n,)."""
        return self.status == 200

    @property
    def seconds(self) -> np.ndarray:
        """Seconds until each response, of those answered."""
        return (self.done - self.due)[self.answered]

    @property
    def per_second(self) -> float:
        """Answers a second, from the first request to the last answer."""
        if not self.answered.any():
            return 0.0
        return float(self.answered.sum() / (self.done[self.answered].max() - self.due[0]))

    @property
    def lost(self) -> int:
        """How many requests got no response at all."""
        return int((self.status == 0).sum())

    def answers(self) -> list[dict]:
        """Return the answers, of those answered: ``{"class", "scores", "model"}``."""
        return [json.loads(self.content[i]) for i in np.flatnonzero(self.answered)]


def closed_loop(
    urls: Sequence[str],
    bodies: Sequence[bytes],
    *,
    clients: int,
    requests: int,
    timeout: float = 10.0,
) -> Exchanges:
    """Let some clients send requests, each the next one when it has its answer.

    Parameters
    ----------
    urls : of services; the first client asks the first one, and so on, and again from the first.
    bodies : of the requests, sent in turn.
    clients : how many ask at the same time.
    requests : in all.
    timeout : seconds until a request is given up.

    Raises
    ------
    ValueError
        If a number is not positive, or there is no service or nothing to send.

    Taught in: notebooks/21_edge_service.ipynb
    """
    _check(urls, bodies, clients=clients, requests=requests, timeout=timeout)
    numbers = iter(range(requests))

    async def client(url: str, log: list, start: float) -> None:
        connection = Connection(url, timeout=timeout)
        for number in numbers:
            which, due = number % len(bodies), time.perf_counter() - start
            response = await _ask(connection, bodies[which])
            log.append((which, due, time.perf_counter() - start, *response))
        connection.close()

    async def run() -> list:
        log, start = [], time.perf_counter()
        chosen = [urls[i % len(urls)] for i in range(clients)]
        await asyncio.gather(*(client(url, log, start) for url in chosen))
        return log

    return _exchanges(run_beside(run()))


def open_loop(
    urls: Sequence[str],
    bodies: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    seed: int,
    timeout: float = 10.0,
) -> Exchanges:
    """Send requests at random moments, whether earlier ones are answered or not.

    Parameters
    ----------
    urls, bodies, timeout : as in `closed_loop`; requests go to the services in turn.
    rate : requests a second, on the average; the gaps are exponential, so that the arrivals are a
        Poisson process.
    seconds : for which requests come.
    seed : of the gaps.

    Raises
    ------
    ValueError
        If a number is not positive, or there is no service or nothing to send.

    Taught in: notebooks/21_edge_service.ipynb
    """
    _check(urls, bodies, rate=rate, seconds=seconds, timeout=timeout)
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, round(rate * seconds)))
    idle: dict[str, list[Connection]] = {url: [] for url in urls}

    async def one(number: int, due: float, log: list, start: float, room: asyncio.Semaphore):
        url, which = urls[number % len(urls)], number % len(bodies)
        async with room:
            connection = idle[url].pop() if idle[url] else Connection(url, timeout=timeout)
            response = await _ask(connection, bodies[which])
            log.append((which, due, time.perf_counter() - start, *response))
            idle[url].append(connection)

    async def run() -> list:
        log, room, start = [], asyncio.Semaphore(MOST_AT_ONCE), time.perf_counter()
        tasks = []
        for number, due in enumerate(np.cumsum(gaps).tolist()):
            await asyncio.sleep(max(0.0, due - (time.perf_counter() - start)))
            tasks.append(asyncio.create_task(one(number, due, log, start, room)))
        await asyncio.gather(*tasks)
        for connection in chain(*idle.values()):
            connection.close()
        return log

    return _exchanges(run_beside(run()))


async def _ask(connection: Connection, body: bytes) -> Response:
    try:
        return await connection.send("POST", "/predict", body)
    except ServiceError as error:
        return Response(0, str(error).encode())


def _exchanges(log: list[tuple]) -> Exchanges:
    bodies, due, done, status, content = zip(*sorted(log, key=lambda row: row[1]), strict=True)
    numbers = np.array(bodies), np.array(due), np.array(done), np.array(status)
    return Exchanges(*numbers, content)


def _check(urls: Sequence[str], bodies: Sequence[bytes], **numbers: float) -> None:
    if isinstance(urls, str) or not urls or not bodies:
        raise ValueError("expected a list of at least one service, and at least one body to send")
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name}: expected a positive number, got {number!r}")
