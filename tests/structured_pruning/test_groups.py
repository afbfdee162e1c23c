"""Which channels go together, against networks known by hand; what is not known is refused."""

from __future__ import annotations

import re

import pytest

from tests.support import structured_checks


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
    "a number of features": r"node 'view' \(method view\): it turns \(2, 8, 6, 6\) into "
    r"\(2, 288\), but with another number .*torch.flatten\(x, 1\)",
    "a number of features, reshaped": r"node 'reshape' .*torch.flatten\(x, 1\)",
    "a number of pictures": r"node 'view' .*torch.flatten\(x, 1\)",
    "channels behind places": r"node 'permute' .*not understood",
    "fewer channels": r"node 'view' .*into \(2, 4, 72\): the channels \(axis 1\) have to stay",
    "shuffled": r"node 'view' .*into \(2, 2, 4, 36\): the channels \(axis 1\) have to stay",
    "squeezed": r"node 'squeeze' .*with another number of channels.*torch.flatten\(x, 1\)",
    "chunks": r"node 'chunk' \(method chunk\): it takes a tensor apart.*a layer of its own",
    "chunks by function": r"node 'chunk' \(call_function chunk\): it takes a tensor apart",
    "a part": r"node 'split' .*takes a tensor apart",
    "a slice": r"node 'getitem' .*not understood",
    "counted place by place": r"cannot be traced .*a flatten is torch.flatten\(x, 1\)",
    "a mean of all": r"node 'mean' .*mean over the axes \[\]",
    "times the number of channels": r"node 'mul' .*computes with a number of channels",
    "pooled by channels": r"node 'adaptive_avg_pool2d' .*computes with a number of channels",
    "pooled in a row": r"node 'layers_0' .*expected pictures",
    "groups across a seam": r"groups of 2 channels lie across the seams.*3 channels \+ 5 channels",
    "transposed": r"node 'layers_0' \(layer layers.0\): it is not understood.*known are",
    "norm over channels": r"node 'layers_0' .*not understood",
    "learned slope": r"node 'layers_0' .*not understood",
    "softmax": r"node 'softmax' \(call_function softmax\): it is not understood",
    "another shape": r"node 'reshape' \(method reshape\): .*with another number",
    "turned": r"node 'transpose' .*not understood",
    "a parameter": r"node 'factor' \(get_attr factor\): it is not understood",
    "mean over channels": r"node 'mean' .*mean over the axes \[1\]: expected height and width",
    "joined along the height": r"node 'cat' .*joins along axis 2",
    "broadcast": r"node 'mul' .*combines 8 channels with 1 channels",
    "joined and added": r"node 'add' .*combines 4 channels \+ 4 channels with 8 channels",
    "flattened in part": r"node 'getitem' .*not understood",
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


def test_a_group_of_a_convolution_is_cut_as_a_whole(call) -> None:
    assert call(structured_checks.units, "groups") == {
        "first": (4, ["makes first (2 entries each)", "each layers.0 (4 entries each)",
                      "reads layers.1 (4 entries each)"]),
        "layers.1": (8, ["makes layers.1", "reads last"]),
    }  # fmt: skip
    members = call(structured_checks.units, "groups of groups")
    assert members["first"][0] == 4 and members["first"][1][1:3] == [
        "each layers.0 (4 entries each)", "each layers.1 (2 entries each)",
    ]  # fmt: skip


def test_a_size_taken_from_another_tensor_ties_both(call) -> None:
    (name, (channels, members)), *more = call(
        structured_checks.units, "another tensor's size"
    ).items()
    assert (name, channels, more) == ("first", 8, [])
    assert members == ["makes first", "reads layers.0", "makes layers.0", "reads last"]
