"""The load generator, against a service that behaves badly on purpose."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge_course.service.client import ServiceError, fetch, predict
from edge_course.service.load import closed_loop, open_loop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = (
    b"HTTP/1.1 503 No\r\ncontent-length: 31\r\nconnection: close\r\n\r\n"
    b'{"error":"full","detail":"no!"}'
)


@contextlib.contextmanager
def serving(reply) -> Iterator[str]:
    """Serve on a free port; ``reply(number, body)`` gives the bytes to send, None to hang up."""
    numbers, ready, stop = iter(range(10**6)), threading.Event(), threading.Event()
    found = []

    async def talk(reader, writer):
        with contextlib.suppress(EOFError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                answer = reply(next(numbers), await reader.readexactly(length))
                if isinstance(answer, float):
                    await asyncio.sleep(answer)
                    answer = OK
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"close" in answer:
                    break
        writer.close()

    async def main():
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        found.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.01)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    ready.wait(20)
    try:
        yield found[0]
    finally:
        stop.set()
        thread.join(20)


def test_every_request_is_sent_once_and_accounted_for():
    seen = []
    with serving(lambda n, body: (seen.append(body), OK)[1]) as url:
        found = closed_loop([url], [b"a", b"b", b"c"], clients=4, requests=100)
    assert sorted(seen) == sorted([b"a", b"b", b"c"][i] for i in found.bodies)
    assert np.bincount(found.bodies).tolist() == [34, 33, 33]
    assert found.answered.all() and not found.lost and len(found.answers()) == 100
    assert (found.done >= found.due).all() and (np.diff(found.due) >= 0).all()
    assert len(found.seconds) == 100 and found.per_second > 0


def test_refused_and_lost_are_told_apart_and_do_not_count_as_answers():
    with serving(lambda n, body: (OK, BUSY, None)[n % 3]) as url:
        found = closed_loop([url], [b"x"], clients=1, requests=30)
    assert found.status.tolist() == [200, 503, 0] * 10
    assert found.lost == 10 and len(found.seconds) == 10
    assert b"is gone" in found.content[2]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (lambda n, body: None, "lost"),
        (lambda n, body: b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf close", "lost"),
        (lambda n, body: b"close this is not HTTP\r\n\r\n", "lost"),
        (lambda n, body: 60.0, "timeout"),
    ],
)
def test_no_reply_is_one_clear_error(reply, reason):
    with serving(reply) as url, pytest.raises(ServiceError) as error:
        predict(url, np.zeros(3, "f4"), timeout=0.5)
    assert (error.value.status, error.value.reason) == (0, reason)
    assert url.removeprefix("http://") in str(error.value)


def test_a_refusal_is_raised_with_its_reason():
    with serving(lambda n, body: BUSY) as url, pytest.raises(ServiceError, match="no!") as error:
        fetch(url, "POST", "/predict", b"x")
    assert (error.value.status, error.value.reason) == (503, "full")


def test_what_is_no_such_service_is_said_so():
    other = BUSY.replace(b"detail", b"title!")
    with serving(lambda n, body: other) as url, pytest.raises(ServiceError, match="no such"):
        fetch(url, "GET", "/health")


def test_an_open_loop_does_not_wait_for_answers():
    """A service that takes 0.5 s for each: one client in turn would need 50 s."""
    with serving(lambda n, body: 0.5) as url:
        found = open_loop([url], [b"x"], rate=100, seconds=1, seed=0)
    assert len(found.due) == 100 and found.answered.all()
    assert (found.seconds >= 0.5).all()
    gaps = np.random.default_rng(0).exponential(0.01, 100)
    np.testing.assert_allclose(found.due, np.cumsum(gaps))


def test_a_service_that_stops_for_a_while_is_seen_by_all_who_came_meanwhile():
    """No coordinated omission: each of them waited, and counts."""
    asked = iter([0.6] + [0.0] * 999)
    with serving(lambda n, body: next(asked)) as url:
        patient = closed_loop([url], [b"x"], clients=1, requests=100)
    assert 1 <= (patient.seconds > 0.5).sum() <= 5
    hung = threading.Event()

    def reply(n, body):
        if n == 20 and not hung.is_set():
            hung.set()
            threading.Event().wait(0.6)  # all of it stands still
        return OK

    with serving(reply) as url:
        found = open_loop([url], [b"x"], rate=200, seconds=1, seed=1)
    late = (found.due > found.due[20]) & (found.due < found.due[20] + 0.3)
    assert late.sum() > 30 and (found.done - found.due)[late].min() > 0.2


def test_services_are_asked_in_turn():
    counts = [0, 0]

    def counted(i):
        def reply(n, body):
            counts[i] += 1
            return OK

        return reply

    with serving(counted(0)) as first, serving(counted(1)) as second:
        open_loop([first, second], [b"x"], rate=500, seconds=0.1, seed=0)
        assert counts == [25, 25]
        closed_loop([first, second], [b"x"], clients=2, requests=50)
        assert min(counts) > 25 and sum(counts) == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"clients": 0, "requests": 1}, {"clients": 1, "requests": 0},
        {"clients": 1, "requests": 1, "urls": []}, {"clients": 1, "requests": 1, "bodies": []},
        {"clients": 1, "requests": 1, "urls": "http://127.0.0.1:1"},
        {"clients": 1, "requests": 1, "timeout": 0},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        closed_loop(**{"urls": ["http://127.0.0.1:1"], "bodies": [b"x"]} | wrong)
