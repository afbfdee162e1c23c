"""What goes wrong between two machines: the right answer, a marked fallback, or one clear error.

Never a wrong answer taken for right, never a hang, never a process left. Each request has inputs
of its own, so that the answer to an earlier one would be noticed.
"""

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from edge_course.nodes import addresses, transport, wire
from edge_course.nodes.client import Client, Split
from edge_course.nodes.link import Link, Profile
from edge_course.nodes.node import Node
from edge_course.nodes.part import Part
from edge_course.nodes.server import Server
from edge_course.nodes.transport import NodeError
from tests.support.split_checks import (
    MODEL,
    OTHER_PARTS,
    PARTS,
    WHOLE,
    assert_right,
    impostor,
    inputs,
    no_process_left,
    wait_until,
    within,
)

TAIL = Part(PARTS.tail)


@pytest.fixture(autouse=True)
def nothing_left():
    with no_process_left():
        yield


@contextlib.contextmanager
def far(profile: Profile | None = None, **settings) -> Iterator[tuple[Node, Link, Client]]:
    """Start a node behind a link, and a client that has had an answer through it."""
    with Node(PARTS.tail) as node, Link(node.address, profile, **settings) as link:
        client = Client(link.address, node.model)
        assert ask(client, 1000) == "node"
        yield node, link, client
        client.close()


def ask(client: Client, seed: int, *, deadline: float = 30, fallback: bytes | None = MODEL) -> str:
    """Ask for inputs of this seed; the answer must be right. Return who gave it."""
    network = Split(PARTS, client, fallback=fallback, deadline=deadline)
    answer = within(network.run, {"x": inputs(seed)})
    assert_right(answer.outputs, inputs(seed))
    assert bool(answer.error) == (answer.by == "fallback") == ("fallback" in answer.seconds)
    return answer.by


def error(client: Client, seed: int, *, deadline: float = 30) -> str:
    """Ask without a fallback; it must be one clear error. Return what it says."""
    with pytest.raises(NodeError) as caught:
        within(Split(PARTS, client, deadline=deadline).run, {"x": inputs(seed)})
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The tail is killed --------------------------------------------------------------------------


def test_killed_before_a_request_and_another_one_started_at_its_address():
    with Node(PARTS.tail) as node, Client(node.address, node.model) as client:
        assert ask(client, 0) == "node"
        node.kill()
        assert ask(client, 1) == "fallback"
        assert "nobody answers" in error(client, 2)
        with Node(PARTS.tail, listen=node.address):
            assert ask(client, 3) == "node"


def test_killed_before_the_first_request():
    with Node(PARTS.tail) as node, Client(node.address, node.model) as client:
        node.kill()
        assert ask(client, 0) == "fallback"
        assert "nobody answers at tcp/127.0.0.1" in error(client, 1)
        with Node(PARTS.tail, listen=node.address):
            assert ask(client, 2) == "node"


@pytest.mark.parametrize("through_link", [False, True])
def test_killed_during_a_request(through_link):
    # The node would need hours, so it is certainly killed before it has answered.
    with Node(PARTS.tail, takes=1e5) as node, Link(node.address) as link:
        address = link.address if through_link else node.address
        with Client(address, node.model) as client:
            killer = threading.Timer(1.0, node.kill)
            killer.start()
            assert ask(client, 0) == "fallback"
            killer.join()
            assert "nobody answers" in error(client, 1)


def test_killed_while_its_answer_is_on_the_way():
    with far() as (node, link, client):
        link.profile = Profile(rtt=2.0)
        before = link.bytes_down

        def kill():
            wait_until(lambda: link.bytes_down > before + 100)  # the answer is on the link
            node.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        assert ask(client, 1) == "node"  # right: what has been sent arrives
        killer.join()
        assert ask(client, 2) == "fallback"


def test_killed_after_a_request():
    with Node(PARTS.tail) as node, Client(node.address, node.model) as client:
        assert ask(client, 0) == "node"
        node.kill()
        node.kill()  # twice is no error
        assert ask(client, 1) == "fallback"


def test_frozen_with_more_to_send_than_fits_the_socket():
    # zenoh blocks while it sends: the deadline has to hold all the same.
    with Node(PARTS.tail) as node, Client(node.address, node.model) as client:
        assert ask(client, 0) == "node"
        process = psutil.Process(node.process.pid)
        process.suspend()
        try:
            large = {"c": np.ones((500_000, 8), "float32")}
            for _ in range(2):
                with pytest.raises(NodeError, match=r"within 0.3 s"):
                    within(lambda: client.request(large, deadline=0.3))
            assert ask(client, 1, deadline=0.3) == "fallback"
        finally:
            process.resume()
        seeds = iter(range(2, 10_000))
        wait_until(lambda: ask(client, next(seeds)) == "node")


def test_no_fallback_is_no_answer_and_other_fallbacks_answer_too():
    with Client(addresses.free_address(), TAIL.model) as client:
        assert "nobody answers" in error(client, 0)
        assert ask(client, 1, fallback=PARTS.tail) == "fallback"  # from the cut on, here
        assert ask(client, 2, fallback=MODEL) == "fallback"  # all of it, here


# The link ------------------------------------------------------------------------------------


def test_cut_and_restored():
    with far(Profile(50e6, 0.004)) as (_, link, client):
        link.cut()
        assert ask(client, 1, deadline=0.3) == "fallback"
        assert "within 0.3 s" in error(client, 2, deadline=0.3)
        link.restore()
        # What was asked during the cut arrives now, too late: nobody may take it.
        for seed in range(3, 8):
            assert ask(client, seed) == "node"


def test_cut_in_the_middle_of_a_request_and_restored_in_time():
    with far() as (_, link, client):
        link.cut()
        restorer = threading.Timer(0.5, link.restore)
        restorer.start()
        assert ask(client, 1) == "node"
        restorer.join()


def test_connections_lost_and_made_again():
    with far() as (_, link, client):
        link.disconnect()
        assert ask(client, 1) == "node"  # connected anew


def test_slow_shaky_and_lossy_is_still_right():
    profile = Profile(bandwidth=2e6, rtt=0.02, jitter=0.02, loss=0.2, resend=0.02)
    with far(profile, seed=1) as (_, _, client):
        assert [ask(client, seed) for seed in range(10)] == ["node"] * 10


def test_no_link_at_all():
    with far() as (_, link, client):
        link.close()
        assert ask(client, 1) == "fallback"


# The reply -----------------------------------------------------------------------------------


def reply(data: bytes, **changes) -> wire.Message:
    """Return the right reply to a request, or one that differs in what is given."""
    asked = wire.decode(data)
    fields = {"kind": "reply", "model": asked.model, "cut": asked.cut, "request": asked.request}
    return wire.Message(**(fields | {"tensors": TAIL.run(asked.tensors)} | changes))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


BAD_REPLIES = {
    "truncated": (lambda data: wire.encode(reply(data))[:-1], "cut short"),
    "truncated to nothing": (lambda data: b"", "cut short"),
    "altered in its header": (lambda data: flipped(wire.encode(reply(data)), 5), "checksum"),
    "altered in its numbers": (lambda data: flipped(wire.encode(reply(data)), -20), "checksum"),
    "with more behind it": (lambda data: wire.encode(reply(data)) + b"x", "checksum"),
    "pickled": (lambda data: b"\x80\x04\x95" + bytes(100), "checksum"),
    "for the request before": (
        lambda data: wire.encode(reply(data, request=wire.decode(data).request - 1)),
        "another request",
    ),
    "for another model": (
        lambda data: wire.encode(reply(data, model=Part(OTHER_PARTS.tail).model)),
        "another model",
    ),
    "for another cut": (lambda data: wire.encode(reply(data, cut="d")), "another cut"),
    "the request itself": (lambda data: data, "no reply but a request"),
    "a failure": (
        lambda data: wire.encode(reply(data, kind="failure", text="out of memory", tensors={})),
        "the node says: out of memory",
    ),
    "nothing": (lambda data: None, "nobody answers"),
}


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("bad", BAD_REPLIES)
def test_a_bad_reply(bad, fail):
    answer, words = BAD_REPLIES[bad]
    with impostor(answer, fail=fail) as address, Client(address, TAIL.model) as client:
        assert words in error(client, 0)
        assert ask(client, 1) == "fallback"


def test_a_good_reply_from_the_same_impostor_is_accepted():
    # So that the test above fails for the reasons that it gives.
    answer = impostor(lambda data: wire.encode(reply(data)))
    with answer as address, Client(address, TAIL.model) as client:
        assert ask(client, 0) == "node"


def test_another_version_of_the_tail_is_refused():
    address = addresses.free_address()
    serving = Server(Part(OTHER_PARTS.tail), address)
    with Client(address, TAIL.model) as client:
        assert "this node serves the model" in error(client, 0)
        assert ask(client, 1) == "fallback"
    serving.close()


def test_a_late_reply_is_not_taken_for_the_next_one():
    late = threading.Event()
    asked = []

    def answer(data: bytes) -> bytes:
        asked.append(data)
        if len(asked) == 1:
            late.wait(30)
        return wire.encode(reply(data))

    with impostor(answer) as address, Client(address, TAIL.model) as client:
        assert "within 0.3 s" in error(client, 0, deadline=0.3)
        threading.Timer(0.3, late.set).start()
        # Asked while the first is being answered: two answers come, one of them is ours.
        assert ask(client, 1) == "node"
        assert ask(client, 2) == "node"
        assert len(asked) == 3


def test_replies_in_another_order_find_their_requests():
    waiting, both = [], threading.Event()

    class Reordering(Server):
        def _serve(self):
            while (query := self._waiting.get()) is not None:
                waiting.append(query)
                if len(waiting) == 2:
                    for query in reversed(waiting):
                        self._reply(query, self.answer(query.payload.to_bytes()))
                    both.set()

    address = addresses.free_address()
    serving = Reordering(TAIL, address)
    with Client(address, TAIL.model) as one, Client(address, TAIL.model) as two:
        got = {}
        threads = [
            threading.Thread(target=lambda c=c, s=s: got.update({s: ask(c, s)}), daemon=True)
            for c, s in ((one, 0), (two, 1))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert got == {0: "node", 1: "node"} and both.is_set()
    serving.close()


def test_a_node_that_says_a_moment_late_what_it_answers(monkeypatch):
    class Late:
        def __init__(self, **settings):
            self.session = transport.open_session(**settings)

        def declare_queryable(self, *arguments, **settings):
            declare = self.session.declare_queryable
            threading.Timer(0.2, declare, arguments, settings).start()

        def close(self):
            self.session.close()

    monkeypatch.setattr("edge_course.nodes.server.open_session", Late)
    address = addresses.free_address()
    with contextlib.closing(Server(TAIL, address)), Client(address, TAIL.model) as client:
        assert ask(client, 0) == "node"


def test_an_early_exit_answers_from_what_crosses():
    # A small classifier on what crosses the cut: another answer, and marked as such.
    import onnx

    weight = ", ".join("0.1" for _ in range(24))
    early = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 18]>
    g (float[n,8] c) => (float[n,3] scores) <float[8,3] w = {{{weight}}}>
    {{ scores = MatMul(c, w) }}""").SerializeToString()
    with Client(addresses.free_address(), TAIL.model) as client:
        answer = within(Split(PARTS, client, fallback=early).run, {"x": inputs(0)})
    assert answer.by == "fallback" and "nobody answers" in answer.error
    assert np.abs(answer.outputs["scores"] - WHOLE.run(inputs(0))).max() > 1e-3
