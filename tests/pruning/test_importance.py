"""Importance: every score against its definition, computed another way."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_course import fashion_mnist
from edge_course.networks import torch_models, torch_training
from edge_course.pruning import importance
from tests.support.effort import effort

COUNT = 130  # more than one batch, and not a multiple of it
STEP = 1e-5  # of finite differences


class Branches(nn.Module):
    """A network with strides, padding, groups, a residual sum and a dead channel."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.act = nn.ReLU()
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = nn.BatchNorm2d(6)
        self.mix = nn.Conv2d(6, 6, (1, 3), padding=(0, 1), groups=2)
        self.sum = nn.ReLU6()
        self.pool = nn.AvgPool2d(7)
        self.out = nn.Linear(24, 10)

    def forward(self, x):
        x = self.act(self.first(x))
        y = self.mix(self.norm(self.depthwise(x)))
        return self.out(self.pool(self.sum(x + y)).flatten(1))


@pytest.fixture(scope="module")
def model() -> Branches:
    torch.manual_seed(0)
    made = Branches().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-0.5, 0.5)
        made.first.weight[2] = 0
        made.first.bias[2] = -1  # channel 2 never gets through the ReLU
    return made


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    train = fashion_mnist.load("train")
    return fashion_mnist.preprocess(train.images[:COUNT]), train.labels[:COUNT]


@pytest.fixture(scope="module")
def seen(model, pictures) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name of a module → all its inputs and outputs, computed at once."""
    found, handles = {}, []
    for name, module in model.named_children():

        def note(module, inputs, output, name=name):
            found[name] = (inputs[0].numpy(), output.numpy())

        handles.append(module.register_forward_hook(note))
    with torch.no_grad():
        model(torch_training.as_tensor(pictures[0], model))
    for handle in handles:
        handle.remove()
    return found


def multiplied(layer: nn.Module, x: np.ndarray):
    """Yield the place of each weight, and all the numbers that it multiplies."""
    if isinstance(layer, nn.Linear):
        for place in np.ndindex(*layer.weight.shape):
            yield place, x[:, place[1]]
        return
    (top, left), (down, right) = layer.padding, layer.stride
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    height, width = layer.kernel_size
    rows, columns = x.shape[2] - height + 1, x.shape[3] - width + 1
    per_group = layer.out_channels // layer.groups
    for place in np.ndindex(*layer.weight.shape):
        o, i, ky, kx = place
        channel = o // per_group * (layer.in_channels // layer.groups) + i
        yield place, x[:, channel, ky : ky + rows : down, kx : kx + columns : right]


BEHIND = {"first": "act", "depthwise": "depthwise", "mix": "sum", "out": "out"}


@pytest.mark.parametrize("layer", BEHIND)
def test_weights_by_what_they_multiply(model, pictures, seen, layer) -> None:
    found = {
        kind: importance.of_weights(model, kind, pictures[0])[layer]
        for kind in ("activation", "wanda")
    }
    module, weight = getattr(model, layer), getattr(model, layer).weight.detach().numpy()
    y = seen[BEHIND[layer]][1].swapaxes(0, 1).reshape(len(weight), -1)
    for place, x in multiplied(module, seen[layer][0]):
        x = x.astype(np.float64)
        expected = {
            "activation": np.abs(x).mean() * np.abs(y[place[0]]).mean(),
            "wanda": abs(weight[place]) * np.sqrt(np.mean(x**2)),
        }
        for kind, value in expected.items():
            assert found[kind][place] == pytest.approx(value, rel=1e-4, abs=1e-7)


def test_the_magnitude_is_that_of_the_weights(model) -> None:
    scores = importance.of_weights(model, "magnitude")
    assert list(scores) == list(importance.layers(model)) == list(BEHIND)
    for name, score in scores.items():
        assert np.array_equal(score, np.abs(getattr(model, name).weight.detach().numpy()))


def losses_of_pictures(model, pictures) -> np.ndarray:
    """In double precision: differences of it are divided by something tiny."""
    x, y = (
        torch_training.as_tensor(pictures[0], model),
        torch_training.as_labels(pictures[1], COUNT),
    )
    with torch.no_grad():
        return functional.cross_entropy(model(x.double()), y, reduction="none").numpy()


def test_taylor_of_a_weight_is_what_its_removal_would_cost_on_a_straight_line(
    model, pictures
) -> None:
    """Finite differences: the weight a little larger and a little smaller."""
    scores = importance.of_weights(model, "taylor", *pictures)
    double = copy.deepcopy(model).double()
    for name in ("first", "mix", "out"):
        weight, score = getattr(double, name).weight, scores[name]
        for place in itertools.islice(
            np.ndindex(*score.shape), 0, None, 1 + score.size // effort(3, 8)
        ):
            with torch.no_grad():
                value, losses = weight[place].item(), []
                for factor in (1 + STEP, 1 - STEP):
                    weight[place] = factor * value
                    losses.append(losses_of_pictures(double, pictures))
                weight[place] = value
            slopes = (losses[0] - losses[1]) / (2 * STEP)  # of each picture
            parts = np.split(slopes, [importance.AT_A_TIME])
            expected = sum(abs(p.mean()) * len(p) / COUNT for p in parts)
            assert score[place] == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_taylor_of_a_channel_is_the_cost_of_each_picture(model, pictures) -> None:
    scores = importance.of_channels(model, "first", "taylor", *pictures)
    double = copy.deepcopy(model).double()
    for channel, score in enumerate(scores):
        losses = []
        for factor in (1 + STEP, 1 - STEP):

            def scale(module, inputs, output, factor=factor, channel=channel):
                factors = torch.ones(6, 1, 1).double()
                factors[channel] = factor
                return output * factors

            with double.act.register_forward_hook(scale):
                losses.append(losses_of_pictures(double, pictures))
        expected = np.abs((losses[0] - losses[1]) / (2 * STEP)).mean()
        assert score == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("layer", BEHIND)
def test_channels_by_their_outputs(model, pictures, seen, layer) -> None:
    y = seen[BEHIND[layer]][1].swapaxes(0, 1).astype(np.float64)
    y = y.reshape(len(y), -1)
    weight = getattr(model, layer).weight.detach().numpy().astype(np.float64)
    expected = {
        "magnitude": np.abs(weight.reshape(len(weight), -1)).sum(axis=1),
        "activation": np.abs(y).mean(axis=1),
        "zeros": 1 - np.mean(y == 0, axis=1),  # 1 − APoZ
    }
    for kind, values in expected.items():
        found = importance.of_channels(model, layer, kind, *pictures)
        assert (found.dtype, found.shape) == (np.float64, values.shape)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-9)


def test_a_dead_channel_has_no_importance(model, pictures) -> None:
    for kind in ("activation", "zeros", "taylor"):
        scores = importance.of_channels(model, "first", kind, *pictures)
        assert scores[2] == 0 and np.all(np.delete(scores, 2) > 0)
    for kind in ("activation", "wanda", "taylor"):
        weights = importance.of_weights(model, kind, *pictures)
        assert not weights["first"][2].any() and weights["first"][1].any()


class Blocks(nn.Module):
    """Two convolutions, written with activations of another kind: pictures of any size."""

    def __init__(self, activation, again=None):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.out = nn.Linear(4, 10)
        self.first, self.second = activation, again or activation

    def forward(self, x):
        y = self.b(self.first(self.a(x)))
        return self.out(self.second(y).mean((2, 3)))


def in_place(x: torch.Tensor) -> torch.Tensor:
    functional.relu_(x)
    return x


ONE_RELU = {
    "one module twice": lambda: nn.ReLU(), "a module in place": lambda: nn.ReLU(inplace=True),
    "a function": lambda: functional.relu, "PyTorch's own": lambda: torch.relu,
    "a method": lambda: torch.Tensor.relu, "a function in place": lambda: in_place,
}  # fmt: skip


@pytest.mark.parametrize("activation", ONE_RELU)
def test_calls_are_told_apart_however_an_activation_is_written(pictures, activation) -> None:
    one, two = Blocks(ONE_RELU[activation]()).eval(), Blocks(nn.ReLU(), nn.ReLU()).eval()
    images, labels = pictures[0][:10], pictures[1][:10]
    for kind in ("activation", "wanda", "taylor"):
        expected = importance.of_weights(two, kind, images, labels)
        for name, score in importance.of_weights(one, kind, images, labels).items():
            np.testing.assert_array_equal(score, expected[name])
    for layer, kind in itertools.product("ab", ("activation", "zeros", "taylor")):
        expected = importance.of_channels(two, layer, kind, images, labels)
        assert expected.max() > 0 and (kind != "zeros" or expected.max() <= 1)
        found = importance.of_channels(one, layer, kind, images, labels)
        np.testing.assert_array_equal(found, expected)


class Twice(nn.Module):
    """One layer called twice, and one never."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.again = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.out, self.never = nn.Linear(4, 5), nn.Linear(4, 5)

    def forward(self, x):
        self.x = self.first(x)
        self.y = self.again(self.x).relu()
        self.z = self.again(self.y).relu()
        return self.out(self.z.mean((2, 3)))


def test_a_layer_called_twice_is_measured_at_both_calls() -> None:
    model = Twice().eval()
    images = np.random.default_rng(0).random((30, 9, 7, 3), np.float32)
    labels = np.arange(30) % 5
    scores = {
        kind: importance.of_channels(model, "again", kind, images, labels)
        for kind in ("activation", "zeros", "taylor")
    }
    answers = model(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    loss = functional.cross_entropy(answers, torch.from_numpy(labels), reduction="sum")
    slopes = torch.autograd.grad(loss, [model.y, model.z])
    both = torch.stack([model.y, model.z]).detach()  # (calls, pictures, channels, height, width)
    cost = (both * torch.stack(slopes)).sum((0, 3, 4)).abs().mean(0)
    np.testing.assert_allclose(scores["activation"], both.mean((0, 1, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(scores["zeros"], (both > 0).float().mean((0, 1, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(scores["taylor"], cost, rtol=1e-4)
    with pytest.raises(ValueError, match="the layer 'never' is never called"):
        importance.of_channels(model, "never", "activation", images)
    with pytest.raises(ValueError, match="the layer 'never' is never called"):
        importance.of_weights(model, "wanda", images)
    assert not importance.of_weights(model, "taylor", images, labels)["never"].any()


def test_an_activation_of_another_number_of_channels_is_not_the_layers_own(pictures) -> None:
    torch.manual_seed(0)
    flat = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.ReLU(), nn.Linear(3 * 26 * 26, 10))
    scores = importance.of_channels(flat.eval(), "0", "activation", pictures[0])
    with torch.no_grad():
        y = flat[0](torch_training.as_tensor(pictures[0], flat))
    np.testing.assert_allclose(scores, y.abs().mean((0, 2, 3)), rtol=1e-5)


def test_what_changes_an_output_in_place_does_not_change_its_importance(pictures) -> None:
    class Doubled(nn.Module):
        def forward(self, x):
            x *= 2
            return x

    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 26 * 26, 10)
    plain, changed = nn.Sequential(*layers).eval(), nn.Sequential(layers[0], Doubled(), *layers[1:])
    expected = importance.of_channels(plain, "0", "activation", pictures[0])
    found = importance.of_channels(changed, "0", "activation", pictures[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    expected = importance.of_channels(changed, "0", "taylor", *pictures)
    with torch.no_grad():  # twice the outputs: as if the next layer had twice the weights
        layers[2].weight *= 2
    found = importance.of_channels(plain, "0", "taylor", *pictures)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_channels_of_a_dense_layer_over_places_are_its_last_axis() -> None:
    torch.manual_seed(0)
    rows = nn.Sequential(nn.Flatten(2), nn.Linear(35, 6), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4))
    images = np.random.default_rng(0).random((9, 7, 5, 2), np.float32)
    scores = importance.of_channels(rows.eval(), "1", "activation", images)
    with torch.no_grad():
        y = rows[:3](torch.from_numpy(images.transpose(0, 3, 1, 2)))  # (9, 2, 6)
    np.testing.assert_allclose(scores, y.abs().mean((0, 1)), rtol=1e-5)


def test_a_frozen_network_matters_as_much(model, pictures) -> None:
    frozen = copy.deepcopy(model).requires_grad_(False)
    for kind in importance.WEIGHT_KINDS:
        expected = importance.of_weights(model, kind, *pictures)
        for name, score in importance.of_weights(frozen, kind, *pictures).items():
            assert np.array_equal(score, expected[name])
    for kind in importance.CHANNEL_KINDS:
        expected = importance.of_channels(model, "mix", kind, *pictures)
        assert np.array_equal(importance.of_channels(frozen, "mix", kind, *pictures), expected)
    assert not any(p.requires_grad or p.grad is not None for p in frozen.parameters())


def test_layers_that_share_a_weight_matter_alike(pictures) -> None:
    shared = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.ReLU(), nn.Linear(784, 10)).eval()
    shared[3] = nn.Sequential(nn.Linear(10, 784), nn.Linear(784, 10))
    shared[3][1].weight = shared[1].weight
    scores = importance.of_weights(shared, "taylor", *pictures)
    assert np.array_equal(scores["1"], scores["3.1"]) and scores["1"].any()


def test_random_scores_are_uniform_and_repeat_with_their_seed(model) -> None:
    scores = importance.of_weights(torch_models.seed_cnn().eval(), "random", seed=3)["hidden"]
    assert scores.shape == (128, 5408) and scores.min() >= 0 and scores.max() < 1
    assert np.histogram(scores, 10, (0, 1))[0].std() < 0.02 * scores.size / 10
    for function in (
        lambda seed: importance.of_weights(model, "random", seed=seed)["first"],
        lambda seed: importance.of_channels(model, "first", "random", seed=seed),
    ):
        assert np.array_equal(function(1), function(1))
        assert not np.array_equal(function(1), function(2))


def test_the_network_stays_as_it_is(model, pictures) -> None:
    before = {n: t.clone() for n, t in model.state_dict().items()}
    for kind in importance.WEIGHT_KINDS:
        importance.of_weights(model, kind, *pictures)
    for kind in importance.CHANNEL_KINDS:
        importance.of_channels(model, "mix", kind, *pictures)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    training = copy.deepcopy(model).train()
    for kind in ("activation", "taylor"):  # measured in evaluation mode, whatever the mode is
        for first, second in zip(
            importance.of_weights(training, kind, *pictures).values(),
            importance.of_weights(model, kind, *pictures).values(), strict=True,
        ):  # fmt: skip
            assert np.array_equal(first, second)
    assert training.training and training.norm.training and not model.training
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_bad_input_is_refused(model, pictures) -> None:
    images, labels = pictures
    for function, problem in (
        (lambda: importance.of_weights(model, "size"), "expected one of the kinds magnitude"),
        (lambda: importance.of_channels(model, "first", "wanda"), "expected one of the kinds"),
        (lambda: importance.of_weights(model, "wanda"), "measured on pictures: give some"),
        (lambda: importance.of_weights(model, "taylor", images), "on a loss: give the labels"),
        (lambda: importance.of_weights(model, "taylor", images, labels[:5]), "integer labels"),
        (lambda: importance.of_weights(model, "wanda", images[0]), "expected pictures float32"),
        (lambda: importance.of_channels(model, "norm", "magnitude"), "no layer 'norm' to prune"),
        (lambda: importance.of_weights(nn.Flatten().eval(), "magnitude"), "no convolution"),
        (lambda: importance.of_weights("model", "magnitude"), "expected a PyTorch network"),
        (lambda: importance.of_weights(model, "wanda", images[:, :9]), "does not take pictures"),
        (lambda: importance.of_weights(model, "taylor", images, labels + 9), "labels from 0 to 9"),
    ):
        with pytest.raises(ValueError, match=problem):
            function()
