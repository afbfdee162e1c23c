"""The network that is made to be cut: what its files promise, and how it is trained."""

import io

import numpy as np
import pytest

from edge_course import data, fashion_mnist, measure
from edge_course.nodes import wire
from edge_course.runtimes import ort
from edge_course.split_layers import bottleneck_training, cut, graph

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


def test_a_short_training_learns_and_names_the_cut(call, pictures, labels):
    made = call(bottleneck_training.train_bottleneck, 2000, 3)
    assert set(made) == {bottleneck_training.NETWORK_FILE, bottleneck_training.EXIT_FILE}
    network = graph.read_graph(made[bottleneck_training.NETWORK_FILE])
    assert network.tensors["codes"].shape == (1, 4, 7, 7)
    predicted = ort.Runner(made[bottleneck_training.NETWORK_FILE]).predict(pictures[:2000])
    assert measure.accuracy(predicted, labels[:2000]).value > 0.4


def test_the_kept_answers_are_of_the_networks_that_they_say(pictures, labels):
    with np.load(io.BytesIO(data.read(bottleneck_training.RATES_FILE))) as file:
        rates = dict(file)
    assert rates["bits"].tolist() == [8, 4, 2, 4, 2]
    assert rates["knowing"].tolist() == [False, False, False, True, True]
    for name in ("codes", "picture"):
        shares = np.unpackbits(rates[name], axis=-1).mean(axis=-1)
        assert shares.shape == (3, 5) and (shares[:, 0] > 0.85).all()
        assert (shares[:, 4] > shares[:, 2]).all()  # who knows of the rounding bears it better
    shipped = ort.Runner(data.read(bottleneck_training.NETWORK_FILE))  # of the first seed
    share = measure.accuracy(shipped.predict(pictures), labels).value
    of_codes = np.unpackbits(rates["codes"], axis=-1).mean(axis=-1)
    assert abs(of_codes[0, 0] - share) < HALF_A_POINT


def test_a_small_picture_crosses_and_its_pixels_are_means(call):
    assert call(_small) == (True, (2, 10), (2, 10))


def _small() -> tuple[bool, tuple[int, ...], tuple[int, ...]]:
    import torch

    from edge_course.split_layers import bottleneck

    x = torch.rand(2, 1, 28, 28)
    half, quarter = (bottleneck.SmallPictureCnn(factor).eval() for factor in (2, 4))
    means = x.reshape(2, 1, 14, 2, 14, 2).mean(dim=(3, 5))
    same = torch.allclose(half.head(x), means) and quarter.head(x).shape == (2, 1, 7, 7)
    return same, tuple(half(x).shape), tuple(quarter(x).shape)


def test_straight_rounding_rounds_and_keeps_the_slope(call):
    assert call(_straight) == ([0.0, 2.0, 2.0, 6.0], [1.0] * 4)


def _straight() -> tuple[list[float], list[float]]:
    import torch

    from edge_course.split_layers import bottleneck

    x = torch.tensor([0.9, 1.1, 2.9, 5.5], requires_grad=True)
    rounded = bottleneck.StraightRounding(bits=2, largest=6.0)(x)  # levels 0, 2, 4, 6
    rounded.sum().backward()
    return rounded.tolist(), x.grad.tolist()


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
