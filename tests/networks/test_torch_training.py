"""The training loop: what a step does, what moving a picture keeps, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_course import fashion_mnist
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


def test_no_epoch_is_refused(pictures) -> None:
    with pytest.raises(ValueError, match="at least 1 epoch"):
        torch_training.fit(linear(), *pictures, epochs=0, rate=0.01)
