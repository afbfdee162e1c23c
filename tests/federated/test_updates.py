"""Updates in fewer bytes, under masks, with noise: each against a law or a closed form."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from torch.nn import functional

from edge_course.federated import leak, local, masks, privacy, updates, watch


def test_int8_is_within_half_a_step() -> None:
    update = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    codes, scales = updates.to_int8(update)
    assert codes.dtype == np.int8 and scales.dtype == np.float32 and len(scales) == 4
    step = np.repeat(scales, updates.BLOCK)[:1000]
    back = updates.from_int8(codes, scales)
    assert back.dtype == np.float32
    assert (np.abs(back - update) <= 0.5001 * step).all()
    with pytest.raises(ValueError, match="a scale for every 256"):
        updates.from_int8(codes, scales[:3])


def test_what_was_sent_and_the_memory_are_all_that_was_learned() -> None:
    random = np.random.default_rng(1)
    learned, memory, sent = np.zeros(60), np.zeros(60), np.zeros(60)
    for _ in range(30):
        update = random.integers(-99, 100, 60).astype(float)  # whole numbers: sums are exact
        learned += update
        positions, values, memory = updates.send_largest(update, memory, 3)
        assert len(positions) == 3 and (np.diff(positions) > 0).all()
        sent[positions] += values
        assert np.array_equal(sent + memory, learned)
        assert np.abs(values).min() >= np.abs(memory).max()


@pytest.mark.parametrize("count", [0, 4])
def test_send_largest_refuses(count: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 3 numbers"):
        updates.send_largest(np.zeros(3), np.zeros(3), count)


def seeds_of(people: int) -> list[dict[int, int]]:
    keys = [X25519PrivateKey.generate() for _ in range(people)]
    return [
        {
            j: masks.pair_seed(own, other.public_key())
            for j, other in enumerate(keys)
            if other is not own
        }
        for own in keys
    ]


@pytest.mark.parametrize("people", [2, 3, 8])
def test_masks_of_all_cancel_exactly(people: int) -> None:
    seeds = seeds_of(people)
    assert all(seeds[i][j] == seeds[j][i] for i in range(people) for j in seeds[i])
    nothing = np.zeros(1000, np.uint32)
    hidden = [masks.hide(nothing, i, seeds[i]) for i in range(people)]
    assert not np.sum(hidden, axis=0, dtype=np.uint32).any()
    # One alone looks like any numbers: its mean is that of all numbers, to five standard errors.
    assert abs(hidden[0].mean() / 2**32 - 0.5) < 5 * math.sqrt(1 / 12 / 1000)


def test_sum_under_masks_is_the_sum_of_the_fixed_point_numbers() -> None:
    random, seeds = np.random.default_rng(2), seeds_of(5)
    values = random.normal(size=(5, 300))
    hidden = [masks.hide(masks.to_fixed_point(v), i, seeds[i]) for i, v in enumerate(values)]
    total = masks.from_fixed_point(np.sum(hidden, axis=0, dtype=np.uint32))
    exact = sum(np.round(v * 2**16) for v in values) / 2**16
    assert np.array_equal(total, exact)
    lost = masks.from_fixed_point(np.sum(hidden[1:], axis=0, dtype=np.uint32))
    assert np.abs(lost - values[1:].sum(axis=0)).mean() > 1000, "without one, nothing is left"
    with pytest.raises(ValueError, match="between"):
        masks.to_fixed_point(np.array([4e4]))
    with pytest.raises(ValueError, match="no pair with itself"):
        masks.hide(np.zeros(1, np.uint32), 0, {0: 1})


def exact_delta(epsilon: float, mu: float) -> float:
    """δ of Gaussian differential privacy: Dong, Roth and Su (2022), corollary 2.13."""
    phi = NormalDist().cdf
    return phi(-epsilon / mu + mu / 2) - math.exp(epsilon) * phi(-epsilon / mu - mu / 2)


@pytest.mark.parametrize("rounds", [1, 15])
@pytest.mark.parametrize("noise", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("delta", [0.01, 1e-4])
def test_epsilon_is_a_bound_and_a_close_one(rounds: int, noise: float, delta: float) -> None:
    mu, bound = math.sqrt(rounds) / noise, privacy.epsilon(rounds, noise, delta)
    assert exact_delta(bound, mu) <= delta
    assert exact_delta(0.4 * bound, mu) > delta


@pytest.mark.parametrize(("rounds", "noise", "delta"), [(0, 1, 0.1), (1, 0, 0.1), (1, 1, 1.0)])
def test_epsilon_refuses(rounds: int, noise: float, delta: float) -> None:
    with pytest.raises(ValueError, match="at least one round"):
        privacy.epsilon(rounds, noise, delta)


def test_one_step_tells_the_labels() -> None:
    """PyTorch's own step of a network that is trained a little, on 64 windows of any labels."""
    wearer = watch.load_wearers()[0]
    x = torch.from_numpy(wearer.windows[:64].transpose(0, 3, 1, 2).copy())
    y = torch.from_numpy(wearer.labels[:64])
    torch.manual_seed(0)
    model = local.watch_cnn()
    before = model[-1].bias.detach().clone()
    predicted = functional.softmax(model(x), dim=1).mean(dim=0).detach().numpy()
    functional.cross_entropy(model(x), y).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    change = (model[-1].bias.detach() - before).numpy()
    shares = np.bincount(wearer.labels[:64], minlength=7) / 64
    assert np.allclose(leak.label_shares(change, 0.1, predicted), shares, atol=1e-5)
    with pytest.raises(ValueError, match="positive rate"):
        leak.label_shares(change, 0, predicted)
