"""The link's arithmetic against a queue simulated byte by byte; its bytes against what was sent."""

import hashlib
import math
import random
import socket
import threading
import time

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_course.cost_models import placement
from edge_course.nodes import addresses
from edge_course.nodes.link import PACKET, Link, Profile, Shaper

# The arithmetic: no clock, no socket ---------------------------------------------------------

PACKETS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=25)


def deliveries(profile, arrivals, sizes, seed=0):
    """Return when packets come out of a link."""
    shaper = Shaper(profile, seed)
    return np.array([shaper.delivery(*packet) for packet in zip(arrivals, sizes, strict=True)])


def by_brute_force(arrivals: list[int], sizes: list[int]) -> list[int]:
    """Simulate a queue tick by tick; one byte leaves in each tick: a bandwidth of 8 bits a tick."""
    waiting, done, tick = [], {}, 0
    while len(done) < len(sizes):
        waiting += [[i, sizes[i]] for i, arrival in enumerate(arrivals) if arrival == tick]
        tick += 1
        if waiting:
            waiting[0][1] -= 1
            if not waiting[0][1]:
                done[waiting.pop(0)[0]] = tick
    return [done[i] for i in range(len(sizes))]


@settings(max_examples=300)
@given(PACKETS, st.integers(0, 50))
def test_deliveries_are_those_of_a_queue(packets, half):
    arrivals = sorted(arrival for arrival, _ in packets)
    sizes = [size for _, size in packets]
    found = deliveries(Profile(bandwidth=8.0, rtt=2.0 * half), arrivals, sizes)
    np.testing.assert_array_equal(found, np.array(by_brute_force(arrivals, sizes)) + half)


@given(st.integers(1, 10**7), st.floats(1e3, 1e10), st.floats(0, 10))
def test_there_and_back_is_the_formula_of_notebook_01(num_bytes, bandwidth, rtt):
    profile = Profile(bandwidth, rtt)
    pieces = [min(PACKET, num_bytes - i) for i in range(0, min(num_bytes, 10**6), PACKET)]
    there = deliveries(profile, [0.0] * len(pieces), pieces)[-1]
    back = Shaper(profile).delivery(there, 0)
    expected = placement.transfer_time(sum(pieces), bandwidth, rtt)
    assert back == pytest.approx(expected, rel=1e-9)


@given(PACKETS, st.integers(0, 5))
def test_jitter_delays_by_at_most_itself_and_keeps_the_order(packets, seed):
    arrivals = sorted(arrival for arrival, _ in packets)
    sizes = [size for _, size in packets]
    without = deliveries(Profile(8.0, 2.0), arrivals, sizes)
    found = deliveries(Profile(8.0, 2.0, jitter=5.0), arrivals, sizes, seed)
    assert np.all(np.diff(found) >= 0)
    assert np.all((without <= found) & (found <= without + 5))
    np.testing.assert_array_equal(
        found, deliveries(Profile(8.0, 2.0, jitter=5.0), arrivals, sizes, seed)
    )


def test_losses_cost_what_sending_again_costs():
    profile = Profile(loss=0.1, resend=1.0)
    # Packets far apart, so that none waits for another: 1 s, 2 s more, 4 s more, …
    arrivals = np.arange(20_000) * 1e6
    delays = deliveries(profile, arrivals, [PACKET] * len(arrivals)) - arrivals
    times = np.log2(delays + 1)
    np.testing.assert_array_equal(times, np.rint(times))
    for lost in range(3):
        assert np.mean(times >= lost + 1) == pytest.approx(0.1 ** (lost + 1), rel=0.25)


def test_packets_behind_a_lost_one_wait_for_it():
    profile = Profile(bandwidth=8.0, loss=0.5, resend=100.0)
    found = deliveries(profile, [0.0] * 50, [1] * 50)
    assert np.all(np.diff(found) >= 0)
    assert found[-1] >= 100 > 50


def test_a_perfect_link_takes_no_time():
    np.testing.assert_array_equal(deliveries(Profile(), [1.0, 2.0], [10**9, 1]), [1.0, 2.0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"bandwidth": 0}, "positive bandwidth"),
        ({"bandwidth": math.nan}, "positive bandwidth"),
        ({"rtt": -1}, "rtt in seconds from 0"),
        ({"rtt": math.inf}, "rtt in seconds from 0"),
        ({"jitter": math.nan}, "jitter in seconds"),
        ({"resend": -1}, "resend in seconds"),
        ({"loss": 1}, "loss to be a share"),
        ({"loss": math.nan}, "loss to be a share"),
    ],
)
def test_no_such_link(wrong, words):
    with pytest.raises(ValueError, match=words):
        Profile(**wrong)


# Addresses -----------------------------------------------------------------------------------


def test_addresses_are_read():
    assert addresses.host_and_port("tcp/192.168.1.20:7447") == ("192.168.1.20", 7447)
    assert addresses.host_and_port("tcp/[::1]:7447") == ("::1", 7447)
    assert addresses.is_loopback("tcp/127.0.0.1:1") and addresses.is_loopback("tcp/[::1]:1")
    assert not addresses.is_loopback("tcp/0.0.0.0:1")
    assert addresses.is_loopback(addresses.free_address())


@pytest.mark.parametrize(
    "wrong", ["", "tcp/", "192.168.1.20:7447", "tcp/:7447", "tcp/a", "tcp/a:b", "tcp/a:99999", 7447]
)
def test_no_address(wrong):
    with pytest.raises(ValueError, match="expected an address such as"):
        addresses.host_and_port(wrong)


def test_the_address_list_is_empty_unless_given(monkeypatch):
    monkeypatch.delenv(addresses.VARIABLE, raising=False)
    assert addresses.addresses() == []
    monkeypatch.setenv(addresses.VARIABLE, "tcp/a:1, tcp/b:2,")
    assert addresses.addresses() == ["tcp/a:1", "tcp/b:2"]
    monkeypatch.setenv(addresses.VARIABLE, "a:1")
    with pytest.raises(ValueError, match="expected an address"):
        addresses.addresses()


# The bytes: real sockets, no time asserted ---------------------------------------------------


class Echo:
    """A server that sends back what it gets."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp/127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection):
        with connection:
            while True:
                try:
                    data = connection.recv(65_536)
                    if not data:
                        return
                    connection.sendall(data)
                except OSError:
                    return

    def close(self):
        self._listener.close()


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


def connect(link: Link) -> socket.socket:
    client = socket.create_connection(addresses.host_and_port(link.address), timeout=20)
    client.settimeout(20)
    return client


def read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += (piece := client.recv(size - len(data)))
        assert piece, f"closed after {len(data)} bytes"
    return data


PROFILES = [
    Profile(),
    Profile(bandwidth=20e6, rtt=0.01),
    Profile(bandwidth=50e6, rtt=0.004, jitter=0.01, loss=0.02, resend=0.01),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_all_bytes_arrive_in_order_and_are_counted(echo, profile):
    sent = random.Random(0).randbytes(300_000)
    with Link(echo.address, profile) as link, connect(link) as client:
        sender = threading.Thread(target=client.sendall, args=(sent,))
        sender.start()
        got = read(client, len(sent))
        sender.join(timeout=20)
        assert (link.bytes_up, link.bytes_down) == (len(sent), len(sent))
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()


def test_nothing_passes_while_it_is_cut_and_nothing_is_missing_after(echo):
    with Link(echo.address, Profile(bandwidth=1e6, rtt=0.01)) as link, connect(link) as client:
        client.sendall(b"before")
        assert read(client, 6) == b"before"
        link.cut()
        client.sendall(b"during " * 1000)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        link.restore()
        client.settimeout(20)
        assert read(client, 7000) == b"during " * 1000


def test_a_profile_can_change_while_in_use(echo):
    with Link(echo.address) as link, connect(link) as client:
        for bandwidth in (1e6, 1e8, math.inf):
            link.profile = Profile(bandwidth, 0.001)
            client.sendall(b"x" * 2000)
            assert read(client, 2000) == b"x" * 2000
        assert link.profile == Profile(math.inf, 0.001)


def test_disconnecting_closes_and_new_connections_pass(echo):
    with Link(echo.address) as link:
        with connect(link) as client:
            client.sendall(b"x")
            read(client, 1)
            link.disconnect()
            assert client.recv(1) == b""
        with connect(link) as client:
            client.sendall(b"y")
            assert read(client, 1) == b"y"


def test_two_clients_do_not_get_each_others_bytes(echo):
    with Link(echo.address) as link, connect(link) as one, connect(link) as two:
        one.sendall(b"1" * 5000)
        two.sendall(b"2" * 5000)
        assert read(two, 5000) == b"2" * 5000
        assert read(one, 5000) == b"1" * 5000


def test_nobody_behind_the_link_closes_the_connection():
    with Link(addresses.free_address()) as link, connect(link) as client:
        assert not _received(client)


def _received(client: socket.socket) -> bytes:
    try:
        return client.recv(1)
    except ConnectionError:  # reset, as Windows does
        return b""


def test_it_listens_on_this_machine_only_and_leaves_nothing(echo):
    link = Link(echo.address, Profile(bandwidth=1e3, rtt=60.0))
    assert addresses.is_loopback(link.address)
    port = addresses.host_and_port(link.address)[1]
    listening = [c.laddr.ip for c in psutil.Process().net_connections() if c.laddr.port == port]
    assert set(listening) == {"127.0.0.1"}
    with connect(link) as client:
        client.sendall(b"x" * 10_000)  # 80 s on this link: it is closed in the middle
        while not link.bytes_up:
            time.sleep(0.01)
        link.cut()
        link.close()
        link.close()  # twice is no error
    assert not any(thread.is_alive() for thread in link._threads)
    with pytest.raises(OSError):
        connect(link)
