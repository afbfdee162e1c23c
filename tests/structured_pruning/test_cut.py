"""Cutting channels: nothing changes that should not.

The reference is always the forward pass of the network that was not cut.
"""

from __future__ import annotations

import numpy as np
import pytest

from edge_course.structured_pruning.cut import layer_macs
from tests.support import structured_checks
from tests.support.effort import effort

NETWORKS = effort(40, 400)


def test_random_networks(call) -> None:
    results = call(structured_checks.random_networks, range(NETWORKS))
    assert [result for result in results if not structured_checks.right(result)] == []
    # The networks are not trivial: channels were dead, and living ones would have been missed.
    assert np.mean([result["dead"] > 0 for result in results]) > 0.95
    ways = [result["and now"] for result in results]
    missed = [changed > 1e-4 for way, changed in ways if way == "living channels cut"]
    assert len(missed) >= NETWORKS // 3 and np.mean(missed) > 0.5
    assert np.mean([result["parameters"] < 0.7 for result in results]) > 0.7
    assert np.mean([result["ties"] for result in results]) > 0.5
    assert np.mean([result["depthwise"] for result in results]) > 0.3
    assert np.mean([result["grouped"] for result in results]) > 0.3


@pytest.mark.parametrize("fault", structured_checks.FAULTS)
def test_few_random_networks_find_a_fault(call, fault: str) -> None:
    assert call(structured_checks.first_seed_that_finds, fault, range(40)) is not None


def test_a_network_that_asks_for_the_sizes_of_its_layers_is_refused(call) -> None:
    call(structured_checks.cut_what_asks_for_sizes, {"first": range(8)})
    with pytest.raises(ValueError, match="computes other steps: its forward asks for the sizes"):
        call(structured_checks.cut_what_asks_for_sizes, {"first": [0, 2]})


def test_columns_behind_a_flatten_go_in_blocks(call) -> None:
    kept = [5, 0, 31]
    before, after = call(structured_checks.by_hand, kept)
    assert np.array_equal(after["conv.weight"], before["conv.weight"][kept])
    assert np.array_equal(after["conv.bias"], before["conv.bias"][kept])
    blocks = before["hidden.weight"].reshape(128, 32, 13, 13)[:, kept]
    assert np.array_equal(after["hidden.weight"], blocks.reshape(128, -1))
    for name in ("hidden.bias", "scores.weight", "scores.bias"):
        assert np.array_equal(after[name], before[name])


def test_shapes_of_a_cut_network(call) -> None:
    kept = {"conv": np.arange(7), "hidden": range(100, 105)}
    assert call(structured_checks.cut_seed_cnn, kept) == {
        "conv.weight": (7, 1, 3, 3), "conv.bias": (7,), "hidden.weight": (5, 7 * 169),
        "hidden.bias": (5,), "scores.weight": (10, 5), "scores.bias": (10,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"scores": [1]}, r"no group of channels 'scores' that can be cut; there is: conv, hidden"),
        ({"conv.weight": [1]}, "no group of channels 'conv.weight'"),
        ({"input": [0]}, "no group of channels 'input'"),
        ({"conv": []}, "conv: "),
        ({"conv": np.zeros(0, int)}, "conv: at least one of its 32 channels has to stay"),
        ({"conv": [0, 32]}, r"conv: has the channels 0 to 31, got \[0, 32\]"),
        ({"conv": [-1]}, "conv: has the channels 0 to 31"),
        ({"hidden": [4, 4]}, "hidden: a channel stands twice"),
        ({"hidden": [0.0, 1.0]}, r"hidden: expected the channels to keep as integers \(k,\)"),
        ({"hidden": np.ones(128, bool)}, "got bool .*flatnonzero turns a mask into indices"),
        ({"hidden": 3}, r"hidden: expected .* got int64 \(\)"),
    ],
)
def test_wrong_channels_are_refused(call, kept: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call(structured_checks.cut_seed_cnn, kept)


def test_a_copy_keeps_mode_class_and_what_is_frozen(call) -> None:
    assert call(structured_checks.modes) == [True] * 5


def test_one_channel_in_each_group_is_still_a_network(call) -> None:
    sizes = call(structured_checks.cut_down_to_one_and_again)
    assert sizes[:2] == [2, 10] and set(sizes[2:]) == {1}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("layer", "cannot count the layer '0', a ConvTranspose2d"),
        ("shape", r"does not take float32 inputs \(1, 3, 28, 28\)"),
        ("network", "expected a PyTorch model"),
        ("group", "no group 'scores' that can be cut"),
        ("no shape", "give the shape of one input"),
    ],
)
def test_what_cannot_be_counted_is_refused(call, kind: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call(structured_checks.uncountable, kind)


def test_multiply_accumulates_of_the_course_networks(call) -> None:
    from edge_course.networks import torch_models

    for name, expected in (("seed_cnn", 888_192), ("depthwise_cnn", 1_158_144)):
        model = getattr(torch_models, name)
        assert sum(call(layer_macs, call(model), shape=(1, 28, 28)).values()) == expected


def test_averages_are_measured_anew_and_weights_stay(call) -> None:
    assert call(structured_checks.refreshed) == [True] * 7


def test_averages_of_a_network_in_training_are_refused(call) -> None:
    with pytest.raises(ValueError, match="in training mode: call eval"):
        call(structured_checks.refreshed, True)
