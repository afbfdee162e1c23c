"""Division by channels: parts against the whole, costs counted, plans against all plans."""

from dataclasses import replace
from itertools import product
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_course.networks import nn
from edge_course.split_channels import cost
from edge_course.split_channels.layers import (
    DIVISIONS,
    Layer,
    compute_layer,
    converted,
    cut_layer,
    deal,
    finish_layer,
    join,
    output_shape,
    output_shapes,
    share,
)
from edge_course.split_channels.networks import (
    NETWORKS,
    first_pictures,
    seed_cnn_layers,
)
from edge_course.split_channels.plan import fastest_division, paired_division
from edge_course.split_channels.program import Exchange, together
from edge_course.split_channels.ring import Pace
from tests.support.effort import effort

WORKERS = (1, 2, 3, 4)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 40), st.integers(1, 9))
def test_shares_are_those_of_array_split(channels, workers):
    found = [list(range(*share(channels, workers, rank))) for rank in range(workers)]
    assert found == [a.tolist() for a in np.array_split(np.arange(channels), workers)]


@pytest.mark.parametrize("numbers", [(-1, 2, 0), (4, 0, 0), (4, 2, 2), (4, 2, -1)])
def test_no_such_share(numbers):
    with pytest.raises(ValueError, match="expected channels from 0"):
        share(*numbers)


def test_convolution_without_padding_is_that_of_notebook_02():
    layer = Layer("conv", "conv", normal(5, 3, 3, 2), normal(5))
    x = normal(2, 3, 8, 7)
    expected = nn.conv2d(x.transpose(0, 2, 3, 1), layer.weight.transpose(2, 3, 1, 0), layer.bias)
    np.testing.assert_allclose(
        finish_layer(layer, compute_layer(layer, x)), expected.transpose(0, 3, 1, 2)
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_padded_and_depthwise_convolutions_by_loops(stride):
    x, full, each = normal(2, 3, 6, 5), normal(4, 3, 3, 3), normal(3, 3, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    found = compute_layer(Layer("a", "conv", full, stride=stride, padding=1), x)
    own = compute_layer(Layer("b", "depthwise", each, stride=stride, padding=1), x)
    assert found.shape[2:] == own.shape[2:] == (-(-6 // stride), -(-5 // stride))
    for row, column in np.ndindex(found.shape[2:]):
        window = padded[
            :, :, row * stride : row * stride + 3, column * stride : column * stride + 3
        ]
        for o in range(4):
            np.testing.assert_allclose(
                found[:, o, row, column], (window * full[o]).sum(axis=(1, 2, 3)), atol=1e-12
            )
        np.testing.assert_allclose(
            own[:, :, row, column], (window * each).sum(axis=(2, 3)), atol=1e-12
        )


def test_pools():
    x = normal(2, 3, 5, 4)
    pooled = nn.max_pool2d(x.transpose(0, 2, 3, 1), 2).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(compute_layer(Layer("p", "max_pool"), x), pooled)
    np.testing.assert_allclose(compute_layer(Layer("m", "mean"), x), x.reshape(2, 3, -1).mean(2))


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (Layer("conv", "conv", normal(7, 5, 3, 3), normal(7), 2, 1, "relu"), normal(2, 5, 6, 6)),
        (Layer("dense", "dense", normal(10, 5), normal(10)), normal(3, 5)),
        (Layer("flat", "dense", normal(4, 5, 2, 3), normal(4), activation="relu6"),
         normal(2, 5, 2, 3)),
    ],
    ids=["conv", "dense", "dense behind a convolution"],
)  # fmt: skip
def test_both_divisions_by_hand_are_the_whole_layer(layer, x, workers):
    whole = finish_layer(layer, compute_layer(layer, x))
    outputs = [cut_layer(layer, "output", workers, rank) for rank in range(workers)]
    found = join("gather", [finish_layer(part, compute_layer(part, x)) for part in outputs])
    np.testing.assert_allclose(found, whole, atol=1e-12)
    inputs = [cut_layer(layer, "input", workers, rank) for rank in range(workers)]
    parts = [
        compute_layer(part, x[:, slice(*share(x.shape[1], workers, rank))])
        for rank, part in enumerate(inputs)
    ]
    np.testing.assert_allclose(finish_layer(layer, join("sum", parts)), whole, atol=1e-12)


def test_parts_hold_every_weight_once():
    layer = Layer("conv", "conv", normal(7, 5, 3, 3), normal(7))
    for division, axis in (("output", 0), ("input", 1)):
        parts = [cut_layer(layer, division, 3, rank).weight for rank in range(3)]
        np.testing.assert_array_equal(np.concatenate(parts, axis), layer.weight)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_trained_networks_are_the_same_in_parts(name, workers):
    layers = converted(NETWORKS[name](), "float64")
    x = first_pictures(effort(1, 4))[0].astype(float)
    whole = together(layers, ["whole"] * len(layers), 1, x)
    assert not whole.exchanges
    found = together(layers, paired_division(layers), workers, x)
    np.testing.assert_allclose(found.output, whole.output, rtol=0, atol=1e-12)
    assert len(found.exchanges) == {"seed_cnn": 1, "depthwise_cnn": 3}[name]
    assert (
        sum(map(sum, whole.macs)) / len(x)
        == {"seed_cnn": 888_192, "depthwise_cnn": 1_158_144}[name]
    )


@st.composite
def networks(draw):
    """A small network of layers that fit each other, with a picture for it."""
    seed = draw(st.integers(0, 99))
    channels, layers, adds = draw(st.integers(1, 5)), [], {}
    x = normal(1, channels, 6, 6, seed=seed)
    shape = x.shape[1:]
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "depthwise", "max_pool", "conv"]))
        if kind == "max_pool" and shape[1] < 2:
            kind = "conv"
        name, weight = f"{kind}{i}", None
        if kind == "conv":
            channels = draw(st.integers(1, 5))
            weight = normal(channels, shape[0], 3, 3, seed=seed + i)
        elif kind == "depthwise":
            weight = normal(channels, 3, 3, seed=seed + i)
        shape = (channels, *(n // 2 if kind == "max_pool" else n for n in shape[1:]))
        added = draw(st.sampled_from([""] + [n for n, s in adds.items() if s == shape]))
        bias = None if weight is None else normal(channels, seed=seed + i + 1)
        layers.append(Layer(name, kind, weight, bias, 1, 1, "relu", added))
        adds[name] = shape
    if draw(st.booleans()):
        layers.append(Layer("dense", "dense", normal(3, *shape, seed=seed), normal(3)))
    return layers, x


def plans(layers):
    return product(*([d for d, kinds in DIVISIONS.items() if la.kind in kinds] for la in layers))


@settings(max_examples=effort(15, 60))
@given(networks())
def test_shapes_are_those_of_the_arrays(network):
    layers, x = network
    shapes = output_shapes(layers, x.shape)
    assert shapes.pop("input") == x.shape
    for layer in layers:
        x = compute_layer(layer, x)
        assert shapes.pop(layer.name) == x.shape
    assert not shapes


@settings(max_examples=effort(20, 80))
@given(networks(), st.integers(1, 4), st.data())
def test_any_plan_of_any_network_gives_the_whole_result(network, workers, data):
    layers, x = network
    plan = data.draw(st.sampled_from(list(plans(layers))))
    whole = together(layers, ["whole"] * len(layers), 1, x).output
    found = together(layers, plan, workers, x).output
    np.testing.assert_allclose(found, whole, atol=1e-9 * max(1, np.abs(whole).max()))


@settings(max_examples=effort(15, 80))
@given(
    networks(), st.integers(1, 4), st.sampled_from([1e3, 1e5, 1e7]),
    st.sampled_from([1e4, 1e6, inf]), st.sampled_from([0.0, 1e-3]),
)  # fmt: skip
def test_the_fastest_division_is_that_of_brute_force(network, workers, macs, bandwidth, latency):
    layers, x = network
    if all(la.weight is None for la in layers):
        layers = [*layers, Layer("last", "conv", normal(2, x.shape[1], 1, 1))]
    pace, shape = Pace(macs, bandwidth, latency), x.shape[1:]
    found = fastest_division(layers, workers, shape, pace)
    costs = [cost.division_cost(layers, p, workers, shape).seconds(pace) for p in plans(layers)]
    assert found.seconds == pytest.approx(min(costs))
    itself = cost.division_cost(layers, found.divisions, workers, shape).seconds(pace)
    assert itself == pytest.approx(found.seconds)


def test_a_slow_device_is_divided_and_a_slow_link_is_not():
    layers = seed_cnn_layers()
    for pace, divisions in (
        (Pace(1e6, 1e7, 0), ("output", "own", "input", "input")),
        (Pace(1e9, 1e4, 1), ("whole",) * 4),
    ):
        found = fastest_division(layers, 3, (1, 28, 28), pace).divisions
        assert found[:3] == divisions[:3]


@pytest.mark.parametrize(
    ("divisions", "expected"),
    [
        (("output",), ("gather",)),
        (("input",), ("sum",)),
        (("output", "input"), ("nothing", "sum")),
        (("output", "output", "input", "output"), ("gather", "nothing", "sum", "gather")),
        ((), ()),
    ],
)
def test_exchanges_behind_a_chain(divisions, expected):
    assert cost.exchanges(divisions) == expected
    assert cost.exchanges(list(divisions)) == expected


@given(st.lists(st.sampled_from(["output", "input"]), min_size=1, max_size=6))
def test_exchanges_are_those_of_the_program(divisions):
    layers = [Layer(f"d{i}", "dense", normal(4, 4, seed=i)) for i in range(len(divisions))]
    ran = together(layers, divisions, 2, normal(1, 4))
    assert [e[0].kind for e in ran.exchanges] == [
        e for e in cost.exchanges(divisions) if e != "nothing"
    ]


@pytest.mark.parametrize("workers", WORKERS)
def test_ring_bytes_are_the_mean_of_the_exact_ones(workers):
    layers = [
        Layer("a", "conv", normal(7, 2, 3, 3), normal(7), activation="relu"),
        Layer("b", "conv", normal(5, 7, 3, 3), normal(5)),
    ]
    for divisions, size in ((("output", "output"), (7 * 36, 5 * 16)), (("output", "input"), (80,))):
        found = cost.division_cost(layers, divisions, workers, (2, 8, 8), pictures=3)
        for sent, numbers in zip(found.sent, size, strict=True):
            expected = cost.ring_bytes(sent.kind, 3 * 8 * numbers, workers)
            assert np.mean(sent.bytes) == pytest.approx(expected)
    assert cost.ring_bytes("nothing", 100, workers) == 0


def test_more_workers_never_send_more_than_the_array_twice():
    sent = [cost.ring_bytes("sum", 1000, n) for n in range(1, 100)]
    assert sent[0] == 0 and sent == sorted(sent) and sent[-1] < 2000


@given(st.floats(0, 9), st.floats(0.1, 9), st.integers(1, 50))
def test_speed_up_is_at_most_amdahls(serial, divided, workers):
    found = cost.speed_up(serial, divided, 0, workers)
    assert found + 1e-9 >= 1 and found <= workers + 1e-9
    if serial:
        assert found <= (serial + divided) / serial + 1e-9
    assert cost.speed_up(serial, divided, 0.5, workers) <= found
    assert cost.speed_up(serial, divided, 0.5, 1) == pytest.approx(1)


NAN = float("nan")
CONV = Layer("conv", "conv", normal(4, 3, 3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cut_layer(CONV, "own", 2, 0),
            "conv: a conv layer can be divided as whole, output",
        ),
        (lambda: cut_layer(Layer("p", "max_pool"), "output", 2, 0), "divided as whole, own"),
        (lambda: cut_layer(CONV, "output", 2, 2), "rank from 0"),
        (lambda: deal([CONV], ["whole", "own"], 2, 0), "one division for each of 1 layers"),
        (lambda: deal([], [], 2, 0), "one division for each of 0 layers"),
        (lambda: compute_layer(CONV, normal(1, 4, 5, 5)), "does not fit a weight"),
        (lambda: compute_layer(CONV, normal(1, 3, 2, 5)), "does not fit a weight"),
        (lambda: compute_layer(CONV, normal(1, 3)), r"shape \(1, 3\) does not fit a weight"),
        (lambda: output_shape(Layer("p", "max_pool"), (1, 3)), "does not fit a max_pool layer"),
        (lambda: output_shape(Layer("m", "mean"), (1, 3, 4, 5, 6)), "does not fit a mean layer"),
        (lambda: output_shapes([Layer("m", "mean", add="n")], (1, 3, 4, 4)), "'n' cannot be added"),
        (lambda: output_shapes([replace(CONV, add="input")], (1, 3, 4, 4)), "cannot be added"),
        (lambda: join("mean", [normal(1, 2)]), '"gather" or "sum"'),
        (lambda: Layer("a", "lstm"), "expected one of the kinds"),
        (lambda: Layer("a", "conv", normal(1, 1, 1, 1), activation="tanh"), "'tanh'"),
        (lambda: Layer("a", "conv", normal(2, 2)), "weight with 4 dimensions"),
        (lambda: Layer("a", "conv", normal(2, 2, 1, 1), normal(3)), r"\(3,\)"),
        (lambda: Layer("a", "max_pool", normal(2)), "weight with 0 dimensions"),
        (lambda: cost.exchanges(["whole"]), '"output" or "input"'),
        (lambda: cost.ring_bytes("send", 1, 1), "got 'send'"),
        (lambda: cost.ring_bytes("sum", NAN, 1), "bytes from 0"),
        (lambda: cost.ring_bytes("sum", 1, 0), "workers from 1"),
        (lambda: cost.speed_up(0, 0, 1, 1), "something to compute"),
        (lambda: cost.speed_up(NAN, 1, 1, 1), "seconds from 0"),
        (lambda: cost.speed_up(1, 1, 1, 0), "at least 1 worker"),
        (lambda: cost.division_cost([CONV], ["output"], 2, (3, 5, 5), 0), "at least 1 picture"),
        (lambda: fastest_division([], 2, (3, 5, 5), Pace()), "at least one layer"),
        (lambda: Pace(macs_per_second=0), "got 0 MACs per second"),
        (lambda: Pace(bandwidth=NAN), "nan bit/s"),
        (lambda: Pace(latency=-1), "latency from 0"),
        (lambda: first_pictures(0), "expected 1 to"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_exchange_says_what_it_is_of():
    ran = together([CONV], ["output"], 3, normal(2, 3, 5, 5))
    [[first, *_]] = ran.exchanges
    assert isinstance(first, Exchange) and first[:2] == ("gather", "conv")
    assert first.array.shape == (2, 2, 3, 3) and first.channels == 4
