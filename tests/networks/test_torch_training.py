"""The training loop: what a step does, what moving a picture keeps, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_course import fashion_mnist, stripes
from edge_course.networks import torch_training


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    train = fashion_mnist.load("train")
    chosen = fashion_mnist.first_of_each_class(train.labels, 20)
    return fashion_mnist.preprocess(train.images[chosen]), train.labels[chosen]


def linear(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def test_it_learns_and_ends_ready_to_evaluate(pictures) -> None:
    model = linear()
    torch.manual_seed(1)
    losses = torch_training.fit(model, *pictures, epochs=10, rate=0.01)
    assert not model.training
    assert len(losses) == 10 * 4  # 200 pictures are four batches, the last one smaller
    assert losses[-1] < 0.5 * losses[0]


def test_one_step_is_the_one_of_adamw(pictures) -> None:
    """One batch, one epoch: exactly one step, at the one rate of the cycle."""
    images, labels = pictures[0][:64], pictures[1][:64]
    model, by_hand = linear(), linear()
    torch_training.fit(model, images, labels, epochs=1, rate=0.01)
    x, y = torch_training.as_tensor(images, by_hand), torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=1).get_last_lr()[0]
    functional.cross_entropy(by_hand(x), y).backward()
    with torch.no_grad():
        for parameter in by_hand.parameters():
            # Adam's first step: both running means, corrected, are the gradient and its square.
            step = parameter.grad / (parameter.grad.abs() + 1e-8)
            parameter.copy_(parameter * (1 - rate * 0.01) - rate * step)
    for found, expected in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_same_seed_gives_the_same_network(pictures) -> None:
    def trained(seed: int) -> torch.Tensor:
        model = linear()
        torch.manual_seed(seed)
        torch_training.fit(model, *pictures, epochs=2, rate=0.01, augment=True)
        return model[1].weight.detach()

    assert torch.equal(trained(3), trained(3))
    assert not torch.equal(trained(3), trained(4))


def test_a_loss_of_ones_own_sees_what_the_network_sees(pictures) -> None:
    seen, steps = [], []

    def loss(model: nn.Module, batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert model.training
        seen.append(len(batch))
        return torch_training.label_loss(model, batch, labels)

    torch_training.fit(linear(), *pictures, epochs=2, rate=0.01, loss=loss, after_step=steps.append)
    assert seen == [64, 64, 64, 8] * 2
    assert steps == list(range(1, 9))


def test_moved_pictures_are_the_old_ones_mirrored_and_shifted() -> None:
    torch.manual_seed(0)
    old = torch.rand(40, 1, 28, 28)
    new = torch_training.moved(old)
    padded = functional.pad(old, (1, 1, 1, 1))
    shifts = [(top, left) for top in range(3) for left in range(3)]
    kinds = []
    for i in range(len(old)):
        kinds.append(
            {
                (mirrored, top, left)
                for mirrored in (False, True)
                for top, left in shifts
                if torch.equal(
                    new[i],
                    (padded[i].flip(2) if mirrored else padded[i])[
                        :, top : top + 28, left : left + 28
                    ],
                )
            }
        )
    assert all(len(kind) == 1 for kind in kinds)
    found = set().union(*kinds)
    assert {mirrored for mirrored, _, _ in found} == {False, True}
    assert len({(top, left) for _, top, left in found}) == 1  # a batch moves as one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:, :, :, 0], y), "expected pictures"),
        (lambda x, y: (x.astype(np.float64), y), "expected pictures"),
        (lambda x, y: (x[:0], y[:0]), "expected pictures"),
        (lambda x, y: (np.where(x > 0.5, np.nan, x), y), "NaN"),
        (lambda x, y: (x, y[:-1]), "integer labels"),
        (lambda x, y: (x, y.astype(np.float32)), "integer labels"),
    ],
)
def test_bad_pictures_and_labels_are_refused(pictures, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        torch_training.fit(linear(), *change(*pictures), epochs=1, rate=0.01)


class Viewing(nn.Module):
    """Calls view where only numbers without gaps, in the usual order, can be viewed."""

    def __init__(self, channels: int = 1, side: int = 28, classes: int = 10):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(4 * (side - 2) ** 2 + channels * side**2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(x)))
        return self.out(torch.cat([y.view(len(x), -1), x.view(len(x), -1)], dim=1))


@pytest.mark.parametrize("augment", [False, True])
def test_a_network_may_view_its_pictures_and_what_a_convolution_gives(pictures, augment) -> None:
    torch.manual_seed(0)
    model = Viewing()
    torch_training.fit(model, *pictures, epochs=1, rate=0.01, augment=augment)
    found = torch_training.scores(model, pictures[0])
    with torch.no_grad():
        expected = model(torch.tensor(pictures[0].reshape(-1, 1, 28, 28)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "height", "width", "classes"), [(3, 64, 48, 7), (1, 5, 9, 2)])
def test_pictures_of_any_size_and_any_number_of_classes(channels, height, width, classes) -> None:
    """What tells the classes apart stands at the last column and in the last channel."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, 150)
    images = random.random((150, height, width, channels), np.float32) / 10
    images[np.arange(150), labels % height, -1, -1] += 3
    images[np.arange(150), labels % height, 0, -1] += 3
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * height * width, classes),
    )
    torch_training.fit(model, images, labels, epochs=6, rate=0.01, augment=False)
    answers = torch_training.scores(model, images)
    assert answers.shape == (150, classes) and answers.dtype == np.float32
    assert np.mean(answers.argmax(axis=1) == labels) > 0.9
    with torch.no_grad():
        expected = model(torch.tensor(images.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(answers, expected, atol=1e-4)
    torch_training.fit(model, images, labels, epochs=1, rate=0.01, augment=True)


def test_moving_keeps_every_column_of_a_large_picture() -> None:
    torch.manual_seed(0)
    old = torch.rand(6, 3, 64, 48)
    new = torch_training.moved(old)
    assert new.shape == old.shape and new.is_contiguous()
    for one, other in zip(new, old, strict=True):  # at most a row and a column fall off
        kept = torch.isin(other, one).float().mean().item()
        assert kept >= 63 / 64 * 47 / 48 - 1e-6


def test_moving_keeps_how_the_pictures_lie_in_memory() -> None:
    for layout in (torch.contiguous_format, torch.channels_last):
        old = torch.rand(4, 3, 9, 7).to(memory_format=layout)
        assert torch_training.moved(old).stride() == old.stride()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(28, 10), r"gives scores of shape \(n, classes\), got \(64, 1, 28, 10\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(99, 10)), r"= \(1, 28, 28\): mat1 and mat2"),
        (nn.Conv2d(3, 4, 3), r"does not take pictures .* = \(1, 28, 28\): "),
        (nn.Sequential(nn.Flatten(), nn.LSTM(784, 10)), "got tuple for 64 pictures"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (1, -1)), nn.LazyLinear(3)), "got .1, 3"),
    ],
)
def test_networks_that_do_not_fit_the_pictures_are_refused(pictures, model, message) -> None:
    with pytest.raises(ValueError, match=message):
        torch_training.scores(model.eval(), pictures[0])
    with pytest.raises(ValueError, match=message):
        torch_training.fit(model, *pictures, epochs=1, rate=0.01)
    assert not model.training


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (10, "from 0 to 9, as the network gives 10 scores, got the label 10"),
        (-1, "labels from 0 on, got -1"),
        (-100, "labels from 0 on, got -100"),  # PyTorch would leave it out of the mean
    ],
)
def test_labels_outside_the_classes_are_refused(pictures, wrong: int, message: str) -> None:
    labels = pictures[1].astype(np.int64)
    labels[-1] = wrong
    with pytest.raises(ValueError, match=message):
        torch_training.fit(linear(), pictures[0], labels, epochs=1, rate=0.01)


def test_a_frozen_network_is_refused_and_a_partly_frozen_one_is_not(pictures) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.Linear(20, 10))
    before = model[1].requires_grad_(False).weight.clone()
    torch_training.fit(model, *pictures, epochs=1, rate=0.01)
    assert torch.equal(model[1].weight, before)
    for nothing in (model.requires_grad_(False), nn.Flatten()):
        with pytest.raises(ValueError, match=r"nothing to train: no parameter .* requires_grad"):
            torch_training.fit(nothing, *pictures, epochs=1, rate=0.01)


def test_a_training_that_breaks_off_leaves_a_network_ready_to_evaluate(pictures) -> None:
    def stop(step: int) -> None:
        raise KeyboardInterrupt

    model = linear()
    with pytest.raises(KeyboardInterrupt):
        torch_training.fit(model, *pictures, epochs=1, rate=0.01, after_step=stop)
    assert not model.training


def test_no_epoch_is_refused(pictures) -> None:
    with pytest.raises(ValueError, match="at least 1 epoch"):
        torch_training.fit(linear(), *pictures, epochs=0, rate=0.01)


@pytest.mark.parametrize(("features", "classes"), [(3, 2), (17, 5)])
def test_rows_of_features_train_a_dense_network(features: int, classes: int) -> None:
    """The class is the largest of the first features: what the network gets is compared too."""
    rows = np.random.default_rng(0).normal(size=(400, features)).astype(np.float32)
    labels = rows[:, :classes].argmax(axis=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(features, 32), nn.ReLU(), nn.Linear(32, classes))
    torch_training.fit(model, rows, labels, epochs=30, rate=0.02)
    found = torch_training.scores(model, rows)
    assert found.shape == (400, classes)
    with torch.no_grad():
        np.testing.assert_allclose(found, model(torch.from_numpy(rows)), atol=1e-5)
    assert np.mean(found.argmax(axis=1) == labels) > 0.9
    with pytest.raises(ValueError, match=r"does not take rows \(features\) = \(1\)"):
        torch_training.scores(model, rows[:, :1])
    with pytest.raises(ValueError, match="have no sides"):
        torch_training.fit(model, rows, labels, epochs=1, rate=0.01, augment=True)


def test_colour_pictures_that_are_not_square_and_four_classes() -> None:
    images, labels = stripes.pictures(200, (12, 20, 3), 4, seed=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 10 * 18, 4))
    losses = torch_training.fit(model, images, labels, epochs=12, rate=0.01, augment=False)
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    assert torch_training.scores(model, images).shape == (200, 4)
