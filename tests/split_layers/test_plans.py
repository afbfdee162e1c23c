"""The planners against trying every way, on thousands of random chains and branching graphs."""

import itertools
import math
import random

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course.cost_models import placement
from edge_course.split_layers import chain_plan, cut, graph_plan, max_flow
from edge_course.split_layers.chain_plan import Machine
from edge_course.split_layers.graph import read_graph
from edge_course.split_layers.graph_plan import Load
from edge_course.split_layers.max_flow import Pipe
from tests.support import split_graphs

NAN = float("nan")


def tried_chain(device, server, num_bytes, bandwidth, rtt) -> list[float]:
    """Return the seconds of every cut of a chain, each added up by itself."""
    seconds = []
    for k in range(len(device) + 1):
        link = rtt + 8 * num_bytes[k] / bandwidth if k < len(device) else 0
        seconds.append(sum(device[:k]) + link + sum(server[k:]))
    return seconds


def tried_graph(device, server, num_bytes, edges, bandwidth, rtt) -> float:
    """Return the least seconds of all sets of operators that can be on the device."""
    best = math.inf
    for head in split_graphs.closed_heads(len(device), edges):
        seconds = sum(device[n] if n in head else server[n] for n in range(len(device)))
        if len(head) < len(device):
            crossing = {w for w, r in edges if w in head and r not in head}
            seconds += rtt + sum(8 * num_bytes[w] / bandwidth for w in crossing)
        best = min(best, seconds)
    return best


def test_best_cut_of_a_thousand_random_chains():
    rng = random.Random(0)
    for _ in range(1000):
        device, server, num_bytes = split_graphs.random_chain(rng, rng.randint(1, 12))
        bandwidth, rtt = rng.choice([2, 8, 64]), rng.choice([0, 1, 4])
        seconds = tried_chain(device, server, num_bytes, bandwidth, rtt)
        found = chain_plan.best_cut(device, server, num_bytes, bandwidth, rtt)
        assert found == seconds.index(min(seconds))


def test_minimum_cut_of_a_thousand_random_graphs():
    rng = random.Random(1)
    uses = set()
    for _ in range(1000):
        count = rng.randint(1, 8)
        edges = split_graphs.random_edges(rng, count, share=rng.choice([0.1, 0.4, 0.9]))
        device, server, num_bytes = split_graphs.random_chain(rng, count)
        server[0] = math.inf  # the camera
        case = (device, server, num_bytes, edges, rng.choice([2, 8, 64]), rng.choice([0, 1, 4]))
        least = graph_plan.least_seconds(*case)
        assert least == pytest.approx(tried_graph(*case), abs=1e-9)
        uses.add(least == sum(device))
    assert uses == {True, False}


def test_the_plan_costs_what_it_says():
    rng = random.Random(2)
    for _ in range(300):
        count = rng.randint(2, 20)
        edges = split_graphs.random_edges(rng, count, share=0.2)
        device, server, num_bytes = split_graphs.random_chain(rng, count)
        loads = [Load(None, {0}, 5)]
        loads += [Load(w, {r for v, r in edges if v == w}, num_bytes[w]) for w in range(count)]
        plan = graph_plan.best_plan(device, server, loads, 8, 1)
        assert all(w in plan.head or r not in plan.head for w, r in edges)
        seconds = sum(device[n] if n in plan.head else server[n] for n in range(count))
        if len(plan.head) < count:
            seconds += 1 + graph_plan.bytes_across(num_bytes, edges, plan.head)
            seconds += 5 * (0 not in plan.head)
        assert plan.seconds == pytest.approx(seconds)


def test_a_chain_is_a_graph_too():
    rng = random.Random(3)
    for _ in range(300):
        device, server, num_bytes = split_graphs.random_chain(rng, rng.randint(1, 9))
        loads = [Load(None, {0}, num_bytes[0])]
        loads += [Load(n - 1, {n}, num_bytes[n]) for n in range(1, len(device))]
        plan = graph_plan.best_plan(device, server, loads, 8, 2)
        best = min(tried_chain(device, server, num_bytes, 8, 2))
        assert plan.seconds == pytest.approx(best)


def test_a_tensor_is_sent_once_however_many_read_it():
    loads = [Load(0, {1, 2, 3}, 10)]
    plan = graph_plan.best_plan([1, 9, 9, 9], [math.inf, 0, 0, 0], loads, 8, 0)
    assert plan.head == {0} and plan.seconds == 11


def test_minimum_cut_of_real_graphs_is_the_best_of_all_cuts():
    rng = np.random.default_rng(4)
    network = read_graph(split_graphs.inception())
    for _ in range(100):
        device, server = rng.integers(0, 9, (2, len(network.operators)))
        loads = graph_plan.loads(network, "int8", as_stored=2)
        plan = graph_plan.best_plan(device, server, loads, 16, 1)
        heads = cut.possible_cuts(network)
        seconds = chain_plan.cut_seconds(
            [sum(device[list(h)]) for h in heads],
            [sum(server) - sum(server[list(h)]) for h in heads],
            [cut.crossing_bytes(network, h, "int8", as_stored=2) for h in heads],
            16,
            1,
        )
        assert plan.seconds == pytest.approx(seconds.min())
        assert seconds[heads.index(plan.head)] == pytest.approx(seconds.min())


def test_several_machines_against_every_way():
    rng = random.Random(5)
    for _ in range(1000):
        count, many = rng.randint(1, 6), rng.randint(1, 4)
        num_bytes = [rng.randrange(9) for _ in range(count + 1)]
        machines = [Machine([rng.randrange(9) for _ in range(count)])]
        for _ in range(many - 1):
            seconds = [rng.randrange(5) for _ in range(count)]
            machines.append(Machine(seconds, rng.choice([4, 8, 64]), rng.choice([0, 1, 3])))

        def cost(ends, machines=machines, num_bytes=num_bytes, count=count):
            total = begin = 0
            for m, end in enumerate(ends):
                if m and begin < count:
                    total += machines[m].rtt + 8 * num_bytes[begin] / machines[m].bandwidth
                total += sum(machines[m].seconds[begin:end])
                begin = end
            return total

        ways = itertools.combinations_with_replacement(range(count + 1), many - 1)
        best = min(cost((*way, count)) for way in ways)
        found = chain_plan.best_chain(machines, num_bytes)
        assert found.seconds == pytest.approx(best) == pytest.approx(cost(found.ends))
        assert found.steps == many * (count + 1)


def test_two_machines_are_a_cut():
    rng = random.Random(6)
    for _ in range(300):
        device, server, num_bytes = split_graphs.random_chain(rng, rng.randint(1, 9))
        found = chain_plan.best_chain([Machine(device), Machine(server, 8, 2)], num_bytes)
        seconds = tried_chain(device, server, num_bytes, 8, 2)
        assert found.seconds == pytest.approx(min(seconds))
        assert seconds[found.ends[0]] == pytest.approx(min(seconds))


@given(st.data())
def test_cut_seconds_by_its_formula(data):
    seconds = st.floats(0, 10)
    here, there, rtt = data.draw(seconds), data.draw(seconds), data.draw(seconds)
    size, bandwidth = data.draw(st.integers(1, 10**6)), data.draw(st.floats(1, 1e9))
    total = chain_plan.cut_seconds(here, there, size, bandwidth, rtt, speed=2)
    expected = here + placement.transfer_time(size, bandwidth, rtt) + there / 2
    assert total == pytest.approx(expected)
    assert chain_plan.cut_seconds(here, 0, 0, bandwidth, rtt) == here


def test_cut_seconds_of_many_links_at_once():
    bandwidths = np.array([[1e3], [1e6]])
    total = chain_plan.cut_seconds([0, 1, 2], [2, 1, 0], [100, 10, 0], bandwidths, 0.5)
    assert total.shape == (2, 3)
    for row, bandwidth in zip(total, bandwidths[:, 0], strict=True):
        expected = chain_plan.cut_seconds([0, 1, 2], [2, 1, 0], [100, 10, 0], bandwidth, 0.5)
        np.testing.assert_allclose(row, expected)


# The largest flow


@st.composite
def pipes(draw):
    places = draw(st.integers(2, 7))
    place = st.integers(0, places - 1)
    pipe = st.builds(Pipe, place, place, st.integers(0, 9) | st.floats(0, 9))
    return places, draw(st.lists(pipe, max_size=25))


@given(pipes())
def test_minimum_cut_equals_networkx(case):
    places, given_pipes = case
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(places))
    for start, end, capacity in given_pipes:
        before = graph.get_edge_data(start, end, {"capacity": 0})["capacity"]
        graph.add_edge(start, end, capacity=before + capacity)
    expected = networkx.minimum_cut_value(graph, 0, 1)
    found = max_flow.minimum_cut(places, given_pipes, 0, 1)
    assert found.value == pytest.approx(expected, abs=1e-9)
    across = sum(c for s, e, c in given_pipes if s in found.side and e not in found.side)
    assert across == pytest.approx(found.value, abs=1e-9)
    assert 0 in found.side and 1 not in found.side


def test_flow_must_be_sent_back():
    # The first shortest path takes the middle pipe; the largest flow needs it empty again.
    capacities = {(0, 2): 1, (0, 3): 1, (2, 3): 1, (2, 4): 1, (3, 1): 1, (4, 5): 1, (5, 1): 1}
    found = max_flow.minimum_cut(6, [Pipe(*ends, c) for ends, c in capacities.items()], 0, 1)
    assert found.value == 2


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_work_is_within_the_bound_of_the_algorithm(count):
    rng = random.Random(count)
    edges = split_graphs.random_edges(rng, count, share=2 / count)
    device, server, num_bytes = split_graphs.random_chain(rng, count)
    server[0] = math.inf
    loads = [Load(w, {r for v, r in edges if v == w}, num_bytes[w]) for w in range(count)]
    work = graph_plan.best_plan(device, server, loads, 8, 0).work
    places = count + 2 + len(loads)
    pipe_count = 2 * count + len(loads) + 2 * len(edges)
    both_ways = 2 * pipe_count
    assert work.phases <= places
    assert work.augmentations <= work.phases * both_ways
    # A phase looks at each pipe once to find distances, once more where it is no way on, and
    # again for each path through it.
    assert work.scans <= 2 * work.phases * both_ways + work.augmentations * places
    assert work.scans <= 4 * places**2 * pipe_count


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ((2, [], 0, 0), "two different places"),
        ((2, [], 0, 2), "two different places"),
        ((2, [Pipe(0, 2, 1)], 0, 1), "expected places from 0 to 1, got 0 to 2"),
        ((2, [Pipe(0, 1, -1)], 0, 1), "capacities from 0, got -1"),
        ((2, [Pipe(0, 1, NAN)], 0, 1), "capacities from 0, got nan"),
        ((2, [Pipe(0, 1, math.inf)], 0, 1), "expected a finite cut"),
    ],
)
def test_what_is_no_network_of_pipes_is_refused(case, problem):
    with pytest.raises(ValueError, match=problem):
        max_flow.minimum_cut(*case)


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (([1], [1, 2], [1, 1], 8, 0), "n operators and n \\+ 1"),
        (([1], [1], [1], 8, 0), "n operators and n \\+ 1"),
        (([], [], [1], 8, 0), "at least one operator"),
        (([NAN], [1], [1, 1], 8, 0), "expected seconds from 0"),
        (([1], [-1], [1, 1], 8, 0), "expected seconds from 0"),
        (([1], [1], [-1, 1], 8, 0), "expected bytes from 0"),
        (([1], [1], [1, 1], 0, 0), "expected bandwidth"),
        (([1], [1], [1, 1], 8, -1), "expected rtt"),
    ],
)
def test_what_is_no_chain_is_refused(case, problem):
    with pytest.raises(ValueError, match=problem):
        chain_plan.best_cut(*case)


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (([1], [1, 2], [], 8, 0), "as many operators"),
        (([], [], [], 8, 0), "as many operators"),
        (([1], [NAN], [], 8, 0), "expected seconds from 0"),
        (([1], [1], [Load(0, {1}, 1)], 8, 0), "expected operators from 0 to 0, got 1"),
        (([1], [1], [Load(3, {0}, 1)], 8, 0), "expected operators from 0 to 0, got 3"),
        (([1], [1], [Load(None, {0}, -1)], 8, 0), "expected bytes from 0"),
        (([1], [1], [], 0, 0), "expected bandwidth"),
        (([1], [1], [], 8, NAN), "expected rtt"),
    ],
)
def test_what_is_no_graph_is_refused(case, problem):
    with pytest.raises(ValueError, match=problem):
        graph_plan.best_plan(*case)


def test_other_numbers_are_refused():
    with pytest.raises(ValueError, match="expected a positive speed, got 0"):
        chain_plan.cut_seconds(1, 1, 1, 8, 0, speed=0)
    with pytest.raises(ValueError, match="expected seconds from 0"):
        chain_plan.cut_seconds(-1, 1, 1, 8, 0)
    with pytest.raises(ValueError, match="at least one machine"):
        chain_plan.best_chain([], [1, 1])
    with pytest.raises(ValueError, match="n operators and n \\+ 1"):
        chain_plan.best_chain([Machine([1, 1])], [1, 1])
