"""Cutting channels: nothing changes that should not, and what is not understood is refused.

The reference is always the forward pass of the network that was not cut.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from edge_course.structured_pruning import choice
from edge_course.structured_pruning.cut import layer_macs
from tests.support import structured_checks

NETWORKS = 240
PART = 80


@pytest.mark.parametrize("start", range(0, NETWORKS, PART))
def test_random_networks(call, start: int) -> None:
    results = call(structured_checks.random_networks, range(start, start + PART))
    for found in results:
        assert found["importance finds them"], found
        assert found["difference"] <= 1e-5, found
        assert found["original unchanged"] and found["sizes"] and found["macs"], found
        way, changed = found["and now"]
        if way != "living channels cut":
            assert changed <= 1e-5, found
    # The networks are not trivial: channels were dead, and living ones would have been missed.
    assert np.mean([found["dead"] > 0 for found in results]) > 0.95
    missed = [f["and now"][1] > 1e-4 for f in results if f["and now"][0] == "living channels cut"]
    assert len(missed) > 20 and np.mean(missed) > 0.5
    assert np.mean([found["parameters"] < 0.7 for found in results]) > 0.7
    assert np.mean([found["ties"] for found in results]) > 0.5
    assert np.mean([found["depthwise"] for found in results]) > 0.3


def test_groups_of_the_seed_cnn(call) -> None:
    assert call(structured_checks.described, "seed_cnn") == {
        "conv": (32, ["makes conv", "reads hidden (169 entries each)"]),
        "hidden": (128, ["makes hidden", "reads scores"]),
    }


def test_residual_sums_tie_the_groups_of_the_depthwise_cnn(call) -> None:
    groups = call(structured_checks.described, "depthwise_cnn")
    assert {name: channels for name, (channels, _) in groups.items()} == {
        "stem.conv": 16, "block1.pointwise.conv": 32, "block3.pointwise.conv": 96,
    }  # fmt: skip
    assert groups["block3.pointwise.conv"][1] == [
        "makes block3.pointwise.conv", "each block3.pointwise.norm",
        "each block4.depthwise.conv", "each block4.depthwise.norm",
        "reads block4.pointwise.conv", "makes block4.pointwise.conv", "each block4.pointwise.norm",
        "reads scores",
    ]  # fmt: skip


REFUSALS = {
    "grouped": r"node 'layers_0' .*8 channels in 4 groups: only groups of one",
    "transposed": r"node 'layers_0' \(layer layers.0\): it is not understood.*known are",
    "norm over channels": r"node 'layers_0' .*not understood",
    "learned slope": r"node 'layers_0' .*not understood",
    "softmax": r"node 'softmax' \(call_function softmax\): it is not understood",
    "another shape": r"node 'reshape' \(method reshape\): it is not understood",
    "turned": r"node 'transpose' .*not understood",
    "a parameter": r"node 'factor' \(get_attr factor\): it is not understood",
    "mean over channels": r"node 'mean' .*mean over the axes \[1\]: expected height and width",
    "joined along the height": r"node 'cat' .*joins along axis 2",
    "broadcast": r"node 'mul' .*combines 8 channels with 1 channels",
    "joined and added": r"node 'add' .*combines 4 channels \+ 4 channels with 8 channels",
    "flattened in part": r"node 'flatten' .*turns \(2, 8, 6, 6\) into \(2, 8, 36\)",
    "a dense layer on pictures": r"node 'layers_0' .*dense layer.*behind a flatten",
    "shared weights": r"node 'layers_1' .*shares its weights with 'layers.0'",
    "masked weights": r"node 'layers_0' .*expected the parameters weight and bias.*weight_orig",
    "it depends": r"cannot be traced .*same whatever the numbers",
    "two inputs": r"does not take float32 inputs \(n, 4, 6, 6\)",
    "two outputs": r"node 'output' .*expected a network with one output",
    "another input": r"does not take float32 inputs \(n, 4, 6, 6\)",
    "no network": r"expected a PyTorch model \(torch.nn.Module\), got str",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_understood_is_refused_by_name(call, name: str) -> None:
    message = call(structured_checks.refusal, name)
    assert re.search(REFUSALS[name], message), message
    assert "\n" not in message


def test_every_refused_network_has_its_message() -> None:
    assert set(REFUSALS) == set(structured_checks.REFUSED)


@pytest.mark.parametrize("name", structured_checks.UNDERSTOOD)
def test_what_is_understood_can_be_reordered_and_cut(call, name: str) -> None:
    reordered, cut = call(structured_checks.understood, name)
    assert reordered <= 1e-5 and cut <= 1e-5


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


@pytest.mark.parametrize("kind", ["magnitude", "activation", "zeros", "taylor", "random"])
def test_importance_of_a_group_is_shared_out_among_its_channels(call, kind: str) -> None:
    found = call(structured_checks.importances, kind)
    assert {name: len(scores) for name, scores in found.items()} == {
        "stem.conv": 16, "block1.pointwise.conv": 32, "block3.pointwise.conv": 96,
    }  # fmt: skip
    for scores in found.values():
        assert scores.min() >= 0 and np.isclose(scores.sum(), 1)
        assert len(np.unique(scores)) > len(scores) / 2


@pytest.mark.parametrize(
    ("share", "multiple", "expected"),
    [(0.5, 1, 2), (1, 1, 5), (0.01, 1, 1), (0.7, 1, 4), (0.5, 2, 2), (0.7, 4, 4), (1, 4, 4),
     (0.9, 8, 5)],
)  # fmt: skip
def test_the_most_important_share_is_kept_in_order(share, multiple, expected) -> None:
    kept = choice.keep_share({"a": [3, 1, 5, 1, 4]}, share, multiple=multiple)["a"]
    best = [2, 4, 0, 1, 3]  # of the two ones the first
    assert kept.dtype == np.int64 and kept.tolist() == sorted(best[:expected])


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_is_above_zero_and_at_most_one(call, share: float) -> None:
    with pytest.raises(ValueError, match="share to keep above 0 and at most 1"):
        choice.keep_share({"a": [1, 2]}, share)
    with pytest.raises(ValueError, match="share to keep above 0 and at most 1"):
        call(structured_checks.kept_macs, "seed_cnn", share)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, "there are no importances"),
        ({"a": [1, np.nan]}, "a: an importance is NaN"),
        ({"a": [[1, 2]]}, r"a: expected an importance for each channel.*\(1, 2\)"),
        ({"a": []}, "a: expected an importance"),
        ({"a": ["x"]}, "a: expected an importance"),
    ],
)
def test_wrong_importances_are_refused(scores: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        choice.keep_share(scores, 0.5)


@pytest.mark.parametrize("least", [-0.1, 1.5])
def test_the_least_share_is_from_zero_to_one(call, least: float) -> None:
    with pytest.raises(ValueError, match="least share of each group from 0 to 1"):
        call(structured_checks.kept_macs, "seed_cnn", 0.5, None, least)


@pytest.mark.parametrize("least", [0, 0.5, 1])
def test_a_least_share_of_each_group_stays(call, least: float) -> None:
    scores = {"conv": np.zeros(32), "hidden": np.ones(128)}
    kept, _ = call(structured_checks.kept_macs, "seed_cnn", max(0.035, least), scores, least)
    assert len(kept["conv"]) >= max(1, 32 * least)
    if least < 1:  # the unimportant group is emptied first, as far as it is allowed
        assert len(kept["conv"]) == max(1, 32 * least) and len(kept["hidden"]) > 32


def test_a_multiple_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="multiple of at least 1, got 0"):
        choice.keep_share({"a": [1.0]}, 0.5, multiple=0)


@pytest.mark.parametrize("share", [1.0, 0.6, 0.25])
@pytest.mark.parametrize("name", ["seed_cnn", "depthwise_cnn"])
def test_a_budget_of_multiply_accumulates_is_kept_and_used(call, name: str, share: float) -> None:
    kept, left = call(structured_checks.kept_macs, name, share)
    assert left <= share
    sizes = {
        name: channels for name, (channels, _) in call(structured_checks.described, name).items()
    }
    assert all(sizes[group] / 4 <= len(kept[group]) <= sizes[group] for group in sizes)
    if share < 1:
        assert not call(structured_checks.one_more_would_do, name, share)


@pytest.mark.parametrize(
    ("scores", "share", "expected"),
    [
        (None, 1e-4, r"more than 0.0% of the multiply-accumulates remain: choose a larger share"),
        ({"conv": np.ones(31)}, 0.5, "conv has 32 channels, got 31 importances"),
        ({"scores": np.ones(10)}, 0.5, "no group 'scores' that can be cut; there is: conv, hidden"),
    ],
)
def test_an_impossible_budget_is_refused(call, scores, share, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call(structured_checks.kept_macs, "seed_cnn", share, scores)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("layer", "cannot count the layer '0', a ConvTranspose2d"),
        ("shape", r"does not take float32 inputs \(1, 3, 28, 28\)"),
        ("network", "expected a PyTorch model"),
        ("group", "no group 'scores' that can be cut"),
    ],
)
def test_what_cannot_be_counted_is_refused(call, kind: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call(structured_checks.uncountable, kind)


def test_multiply_accumulates_of_the_course_networks(call) -> None:
    from edge_course.networks import torch_models

    for name, expected in (("seed_cnn", 888_192), ("depthwise_cnn", 1_158_144)):
        model = getattr(torch_models, name)
        assert sum(call(layer_macs, call(model)).values()) == expected


def test_averages_are_measured_anew_and_weights_stay(call) -> None:
    assert call(structured_checks.refreshed) == [True] * 7


def test_averages_of_a_network_in_training_are_refused(call) -> None:
    with pytest.raises(ValueError, match="in training mode: call eval"):
        call(structured_checks.refreshed, True)
