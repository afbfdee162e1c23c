"""Where to compute: closed forms against simulations, root searches and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_course.cost_models import placement, radio

SECONDS = st.floats(0, 100)
POSITIVE = st.floats(1e-6, 1e6)
NAN = float("nan")


def test_transfer_time_in_bits_and_there_and_back():
    # 125,000 bytes are a million bits: one second at 1 Mbit/s.
    assert placement.transfer_time(125_000, 1e6, 0.25) == pytest.approx(1.25)
    assert placement.transfer_time(125_000, math.inf, 0.25) == 0.25
    assert placement.transfer_time(0, 1e6, 0.25) == 0.25


def test_transfer_time_of_many_bandwidths_at_once():
    bandwidths = np.array([1e3, 1e6])
    expected = [placement.transfer_time(1000, bandwidth, 0.1) for bandwidth in bandwidths]
    np.testing.assert_allclose(placement.transfer_time(1000, bandwidths, 0.1), expected)


@given(st.integers(1, 10**9), POSITIVE, SECONDS)
def test_twice_the_bandwidth_saves_half_of_the_sending(num_bytes, bandwidth, rtt):
    slow = placement.transfer_time(num_bytes, bandwidth, rtt) - rtt
    fast = placement.transfer_time(num_bytes, 2 * bandwidth, rtt) - rtt
    assert fast == pytest.approx(slow / 2, rel=1e-6, abs=1e-9)


def test_light_needs_about_ten_milliseconds_for_a_thousand_kilometres_and_back():
    assert placement.light_rtt(1e6) == pytest.approx(9.79e-3, rel=1e-3)
    assert placement.light_rtt(2e6) == 2 * placement.light_rtt(1e6)


def _root(function, low, high):
    """Return where a function changes its sign, by bisection on a logarithmic scale."""
    assert function(low) > 0 > function(high)
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return middle


@given(
    st.integers(1, 10**7), st.floats(0.1, 10), st.floats(0, 0.04), st.floats(0, 0.04)
)  # fmt: skip
def test_break_even_is_where_the_two_latencies_cross(num_bytes, local, remote, rtt):
    found = placement.break_even_bandwidth(num_bytes, local, remote, rtt)

    def difference(bandwidth):
        return placement.transfer_time(num_bytes, bandwidth, rtt) + remote - local

    assert found == pytest.approx(_root(difference, 1e-3, 1e15), rel=1e-9)


@given(st.integers(1, 10**7), SECONDS, SECONDS, SECONDS)
def test_below_break_even_stay_here_and_above_send_away(num_bytes, local, remote, rtt):
    threshold = placement.break_even_bandwidth(num_bytes, local, remote, rtt)

    def sending_wins(bandwidth):
        return placement.transfer_time(num_bytes, bandwidth, rtt) + remote < local

    if math.isinf(threshold):
        assert not sending_wins(1e18)
    elif 1e-3 < threshold < 1e12:  # beyond, the sums round the difference away
        assert sending_wins(threshold * 1.01)
        assert not sending_wins(threshold * 0.99)


def test_break_even_when_nothing_is_left_and_when_nothing_is_sent():
    assert placement.break_even_bandwidth(1000, 0.5, 0.25, 0.25) == math.inf
    assert placement.break_even_bandwidth(1000, 0.1, 0.0, 0.2) == math.inf
    assert placement.break_even_bandwidth(0, 0.5, 0.0, 0.25) == 0


def test_queue_wait_of_a_simulated_queue():
    rng = np.random.default_rng(4)
    service, count = 0.01, 400_000
    for busy in (0.3, 0.6, 0.8):
        gaps = rng.exponential(service / busy, count)
        simulated = placement.waits(gaps, rng.exponential(service, count)).mean()
        assert placement.queue_wait(busy / service, service) == pytest.approx(simulated, rel=0.05)


def test_queue_wait_at_its_ends():
    assert placement.queue_wait(0, 0.1) == 0
    assert placement.queue_wait(5, 0.1) == pytest.approx(0.1)  # half busy: one service time
    assert placement.queue_wait(8, 0.125) == math.inf
    assert placement.queue_wait(20, 0.1) == math.inf


@given(st.floats(0.01, 0.98), st.floats(1e-4, 10), st.floats(1.001, 1.01))
def test_busier_means_a_longer_wait(busy, service, more):
    assert placement.queue_wait(busy / service, service) < placement.queue_wait(
        more * busy / service, service
    )


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=20))
def test_waits_of_a_machine_watched_request_by_request(requests):
    gaps, services = np.array(requests).T
    now = free = 0.0
    expected = []
    for i, (gap, service) in enumerate(requests):
        now = now + gap if i else 0.0
        begins = max(now, free)
        free = begins + service
        expected.append(begins - now)
    np.testing.assert_allclose(placement.waits(gaps, services), expected, atol=1e-9)


def test_waits_of_requests_that_all_come_at_once():
    np.testing.assert_array_equal(placement.waits(np.zeros(4), np.ones(4)), [0, 1, 2, 3])


def test_latency_is_made_of_compute_transfer_and_queue():
    place = placement.Place("node", macs_per_second=1e6, bandwidth=8e6, rtt=0.5, busy=0.75)
    compute, transfer, queue = parts = placement.modelled_latency(
        place, macs=2e6, num_bytes=1_000_000
    )
    assert (compute, transfer, queue) == (2, 1.5, 6)
    assert parts.total == 9.5
    # The same wait as of the queue that keeps the machine so busy.
    assert queue == pytest.approx(placement.queue_wait(0.75 / compute, compute))


def test_a_place_that_has_the_data_only_computes():
    here = placement.Place("device", macs_per_second=1e6)
    assert placement.modelled_latency(here, 1e6, 10**9) == (1, 0, 0)


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            placement.Place, st.just("p"), st.floats(1e5, 1e12), st.floats(1e3, 1e9),
            st.floats(0, 1), st.floats(0, 0.9),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 10**9),
    st.integers(0, 10**7),
)  # fmt: skip
def test_no_place_is_faster_than_the_fastest(places, macs, num_bytes):
    best = placement.fastest(places, macs, num_bytes)
    totals = [placement.modelled_latency(place, macs, num_bytes).total for place in places]
    assert totals[best] == min(totals)
    assert best == totals.index(min(totals))


def test_fastest_over_a_grid():
    bandwidths = np.array([1e3, 1e9])
    places = [placement.Place("here", 1e6), placement.Place("there", 1e9, bandwidths, rtt=0.01)]
    found = placement.fastest(places, np.array([[1e3], [1e6]]), num_bytes=1000)
    np.testing.assert_array_equal(found, [[0, 0], [0, 1]])


SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(SHARES)
def test_a_chain_is_no_better_than_its_weakest_link(shares):
    assert 0 <= placement.chain_availability(shares) <= min(shares)


@given(SHARES, SHARES)
def test_two_chains_in_a_row(first, second):
    both = placement.chain_availability(first) * placement.chain_availability(second)
    assert placement.chain_availability(first + second) == pytest.approx(both, abs=1e-12)


def test_chain_availability_against_counting():
    rng = np.random.default_rng(1)
    shares = [0.9, 0.8, 0.95]
    up = rng.random((200_000, 3)) < shares
    assert placement.chain_availability(shares) == pytest.approx(up.all(axis=1).mean(), abs=0.005)


def test_lora_bit_rate_is_the_one_in_its_tables():
    assert radio.LORA.bit_rate == pytest.approx(5469, abs=1)


@pytest.mark.parametrize("each", radio.RADIOS, ids=lambda each: each.name)
def test_radio_energy_is_power_times_time(each):
    # Bytes that take one second to send, then three seconds of listening.
    joules = each.energy(each.bit_rate / 8, 3.0)
    assert joules == pytest.approx(each.send_watts + 3 * each.listen_watts)
    assert each.energy(0) == 0
    assert each.source


@pytest.mark.parametrize(
    "call",
    [
        lambda: placement.transfer_time(-1, 1e6, 0),
        lambda: placement.transfer_time(1, 0, 0),
        lambda: placement.transfer_time(1, np.array([1e6, 0.0]), 0),
        lambda: placement.transfer_time(1, 1e6, NAN),
        lambda: placement.light_rtt(-1),
        lambda: placement.break_even_bandwidth(1, NAN, 0, 0),
        lambda: placement.break_even_bandwidth(1, 1, 0, -0.1),
        lambda: placement.queue_wait(-1, 0.1),
        lambda: placement.queue_wait(1, NAN),
        lambda: placement.waits(np.array([]), np.array([])),
        lambda: placement.waits(np.ones(2), np.ones(3)),
        lambda: placement.waits(np.ones(2), np.array([1, NAN])),
        lambda: placement.Place("p", 0),
        lambda: placement.Place("p", 1, bandwidth=0),
        lambda: placement.Place("p", 1, busy=1.0),
        lambda: placement.Place("p", 1, rtt=NAN),
        lambda: placement.modelled_latency(placement.Place("p", 1), -1, 0),
        lambda: placement.fastest([], 1, 1),
        lambda: placement.chain_availability([]),
        lambda: placement.chain_availability([0.5, 1.1]),
        lambda: placement.chain_availability([NAN]),
        lambda: radio.LORA.energy(-1),
        lambda: radio.LORA.energy(1, NAN),
    ],
)
def test_bad_numbers_are_named(call):
    with pytest.raises(ValueError, match=r"expected .* got"):
        call()
