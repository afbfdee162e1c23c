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
        for place in itertools.islice(np.ndindex(*score.shape), 0, None, 1 + score.size // 8):
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


def test_what_follows_a_layer() -> None:
    seed, depthwise = torch_models.seed_cnn().eval(), torch_models.depthwise_cnn().eval()
    assert {n: importance.following(seed, n) for n in importance.layers(seed)} == {
        "conv": "conv_relu", "hidden": "hidden_relu", "scores": "scores",
    }  # fmt: skip
    assert importance.following(depthwise, "stem.conv") == "stem.activation"
    assert importance.following(depthwise, "block2.pointwise.conv") == "block2.activation"
    assert importance.following(depthwise, "scores") == "scores"


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
    ):
        with pytest.raises(ValueError, match=problem):
            function()
