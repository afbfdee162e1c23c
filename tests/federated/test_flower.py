"""Flower over function calls: what crosses, who answers, and small updates."""

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg

from edge_course.federated import averaging, flower, local, rounds, watch
from edge_course.networks import torch_training

PEOPLE = (3, 4, 7)
WEARERS = {w.person: w for w in watch.load_wearers() if w.person in PEOPLE}


def train(context, arrays, config):
    wearer = WEARERS[context.node_config["person"]]
    model = local.watch_cnn()
    model.load_state_dict(arrays.to_torch_state_dict())
    local.train_locally(model, wearer.windows, wearer.labels, seed=config["server-round"])
    return ArrayRecord(model.state_dict()), len(wearer.labels)


def start() -> ArrayRecord:
    torch.manual_seed(0)
    return ArrayRecord(local.watch_cnn().state_dict())


def grid(work=train) -> flower.InProcessGrid:
    return flower.InProcessGrid(flower.training_app(work), [{"person": p} for p in PEOPLE])


def messages(crossed: list[flower.Crossing], up: bool) -> list:
    return [c.message() for c in crossed if c.up == up]


@pytest.fixture(scope="module")
def two_rounds() -> tuple[flower.InProcessGrid, ArrayRecord]:
    network = grid()
    return network, FedAvg(fraction_evaluate=0.0).start(network, start(), num_rounds=2).arrays


def test_two_rounds_are_the_mean_by_hand_bit_for_bit(two_rounds) -> None:
    model = start()
    for number in (1, 2):
        rows, counts = [], []
        for person in PEOPLE:
            context = type("Settings", (), {"node_config": {"person": person}})
            arrays, count = train(context, model, {"server-round": number})
            rows.append(flower.flat(arrays))
            counts.append(count)
        model = flower.shaped(averaging.weighted_mean(rows, counts), model)
    assert np.array_equal(flower.flat(two_rounds[1]), flower.flat(model))


def test_only_models_and_a_count_leave_a_client(two_rounds) -> None:
    like = {name: (a.shape, a.dtype) for name, a in start().items()}
    numbers = sum(int(np.prod(shape)) for shape, _ in like.values())
    leaving = [c for c in two_rounds[0].crossed if c.up]
    assert len(leaving) == 2 * len(PEOPLE)
    for crossing, message in zip(leaving, messages(leaving, up=True), strict=True):
        assert set(message.content) == {"arrays", "metrics"}
        assert set(message.content["metrics"]) == {"num-examples"}
        arrays = message.content["arrays"]
        assert {name: (a.shape, a.dtype) for name, a in arrays.items()} == like
        # Each array has a header of 128 bytes; the rest of the message is names and numbers.
        assert len(crossing.content) < 4 * numbers + 128 * len(like) + 1500
        wearer = WEARERS[PEOPLE[crossing.node - 1]]
        for window in wearer.windows:
            assert window[25, 0].tobytes() not in crossing.content


def test_a_client_that_fails_is_left_out(two_rounds) -> None:
    def fails(context, arrays, config):
        if context.node_config["person"] == 4:
            raise OSError("battery is empty")
        return train(context, arrays, config)

    network = grid(fails)
    arrays = FedAvg(fraction_evaluate=0.0).start(network, start(), num_rounds=1).arrays
    replies = messages(network.crossed, up=True)
    assert [reply.has_error() for reply in replies] == [False, True, False]
    assert replies[1].error.reason == "OSError: battery is empty"
    others = [flower.flat(r.content["arrays"]) for r in replies if r.has_content()]
    counts = [len(WEARERS[p].labels) for p in (3, 7)]
    assert np.array_equal(flower.flat(arrays), averaging.weighted_mean(others, counts))


def small(pack, rounds: int) -> tuple[flower.InProcessGrid, np.ndarray]:
    def work(context, arrays, config):
        trained, count = train(context, arrays, config)
        return pack(flower.flat(trained) - flower.flat(arrays), context), count

    network = grid(work)
    strategy = flower.SmallUpdates(fraction_evaluate=0.0)
    return network, flower.flat(strategy.start(network, start(), num_rounds=rounds).arrays)


def sent_up(network: flower.InProcessGrid) -> int:
    return sum(len(c.content) for c in network.crossed if c.up)


def test_int8_updates_cost_a_quarter_and_change_little() -> None:
    network, whole = grid(), start()
    exact = flower.flat(FedAvg(fraction_evaluate=0.0).start(network, whole, num_rounds=1).arrays)
    smaller, about = small(flower.small_int8, 1)
    assert sent_up(smaller) < 0.35 * sent_up(network)
    learned = np.linalg.norm(exact - flower.flat(whole))
    assert np.linalg.norm(about - exact) < 0.02 * learned


@pytest.mark.parametrize("remember", [True, False])
def test_the_memory_is_kept_on_the_client(remember: bool) -> None:
    network, _ = small(flower.small_largest(0.05, remember=remember), 2)
    assert {"memory" in context.state for context in network._contexts.values()} == {remember}
    for message in messages(network.crossed, up=True):
        assert set(message.content["arrays"]) == {"positions", "values"}


def test_shaped_refuses_another_number_of_parameters() -> None:
    with pytest.raises(ValueError, match=r"expected \d+ numbers, got 3"):
        flower.shaped(np.zeros(3), start())


def test_a_federation_repeats_and_privacy_counts_each_person_as_one() -> None:
    people, unseen = list(WEARERS.values())[:2], list(WEARERS.values())[2:]
    strategy = {"fraction_evaluate": 0.0}
    first, second = (
        rounds.run_rounds(FedAvg(**strategy), people, unseen, rounds=2, seed=5, equal=True)
        for _ in range(2)
    )
    assert np.array_equal(first.accuracy, second.accuracy) and len(first.accuracy) == 3
    counts = {m.content["metrics"]["num-examples"] for m in messages(first.grid.crossed, up=True)}
    assert counts == {1}
    assert first.bytes_up() == sent_up(first.grid)
    right = torch_training.scores(first.model, unseen[0].windows).argmax(axis=1)
    assert first.accuracy[-1] == np.mean(right == unseen[0].labels)
