"""The network that is made to be cut: what its files promise, and how it is trained."""

import numpy as np
import pytest

from edge_course import data, fashion_mnist, measure
from edge_course.nodes import wire
from edge_course.runtimes import ort
from edge_course.split_layers import bottleneck_training, cut, graph, profile

ACCURACY = 0.88  # of the whole network; the recipe gives more
HALF_A_POINT = 0.005


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return fashion_mnist.preprocess(fashion_mnist.load("test").images).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return fashion_mnist.load("test").labels


@pytest.fixture(scope="module")
def parts() -> cut.Parts:
    model = data.read(bottleneck_training.NETWORK_FILE)
    network = graph.read_graph(model)
    return cut.cut_model(model, range(network.writer(bottleneck_training.CODES_TENSOR) + 1))


@pytest.fixture(scope="module")
def codes(parts, pictures) -> np.ndarray:
    return ort.Runner(parts.head).scores(pictures)


def through_wire(codes: np.ndarray, dtype: str) -> tuple[np.ndarray, int]:
    """Return codes as they arrive, each picture in a message of its own, and one's bytes."""
    arrived, model = [], "0" * 32
    for code in codes:
        message = wire.Message("request", model, "codes", 0, {"codes": code[np.newaxis]}, dtype)
        raw = wire.encode(message)
        arrived.append(wire.decode(raw).tensors["codes"])
    return np.concatenate(arrived), len(raw)


def test_int8_on_the_wire_costs_less_than_half_a_point(parts, codes, labels):
    tail = ort.Runner(parts.tail)
    exact = measure.accuracy(tail.predict(codes), labels).value
    arrived, _ = through_wire(codes, "int8")
    rounded = measure.accuracy(tail.predict(arrived), labels).value
    assert exact > ACCURACY and abs(rounded - exact) < HALF_A_POINT
    np.testing.assert_array_less(np.abs(arrived - codes), 6 / 255)


def test_early_exit_takes_the_codes_and_is_a_little_worse(codes, labels):
    rough = ort.Runner(data.read(bottleneck_training.EXIT_FILE))
    assert rough.input_shape == codes.shape[1:]
    share = measure.accuracy(rough.predict(codes), labels).value
    assert 0.8 < share < ACCURACY


def test_few_numbers_cross_at_the_codes_and_never_fewer_before(parts):
    model = data.read(bottleneck_training.NETWORK_FILE)
    network = graph.read_graph(model)
    sizes = [cut.crossing_bytes(network, range(n), "int8") for n in range(6)]
    assert parts.crossing == ("codes",)
    assert cut.crossing_bytes(network, range(6), "int8") == 196 == 784 // 4 < min(sizes[:4])


def test_times_of_parts_that_contain_each_other_are_in_order():
    model = data.read(bottleneck_training.NETWORK_FILE)
    heads = [(), range(3), range(6), range(20), range(26)]
    inputs = {"image": np.zeros((1, 1, 28, 28), np.float32)}
    heads, tails = profile.part_times(model, heads, inputs, seconds=0.2)
    assert heads[0] == tails[-1] == 0 < min(heads[1], tails[-2])
    assert (np.diff(heads) >= 0).all() and (np.diff(tails) <= 0).all()
    assert heads[-1] == tails[0] == (heads + tails).min()


def test_a_short_training_learns_and_names_the_cut(call, pictures, labels):
    made = call(bottleneck_training.train_bottleneck, 2000, 3)
    assert set(made) == {bottleneck_training.NETWORK_FILE, bottleneck_training.EXIT_FILE}
    network = graph.read_graph(made[bottleneck_training.NETWORK_FILE])
    assert network.tensors["codes"].shape == (1, 4, 7, 7)
    predicted = ort.Runner(made[bottleneck_training.NETWORK_FILE]).predict(pictures[:2000])
    assert measure.accuracy(predicted, labels[:2000]).value > 0.4


def test_noise_stands_for_rounding_in_training_only(call):
    assert call(_noise) == (True, True, True)


def _noise() -> tuple[bool, bool, bool]:
    import torch

    from edge_course.split_layers import bottleneck

    layer, x = bottleneck.Rounding(), torch.rand(100) * 6
    noisy = layer.train()(x) - x
    half = bottleneck.LARGEST / 255 / 2
    within = bool(noisy.abs().max() <= half + 1e-6) and bool(noisy.abs().max() > half / 2)
    same = bool(torch.equal(layer.eval()(x), x))
    scores = bottleneck.BottleneckCnn().eval()(torch.zeros(2, 1, 28, 28))
    return within, same, tuple(scores.shape) == (2, 10)
