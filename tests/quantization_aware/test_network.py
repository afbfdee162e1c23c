"""Networks of all kinds: traced, trained with rounding, exported, and run by LiteRT."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edge_course.runtimes import litert, tflite_file
from tests.support import qat_networks, qat_refusals
from tests.support.effort import effort


@pytest.fixture(scope="module")
def made(call) -> qat_networks.Everything:
    """12 random networks by default, and three that have names."""
    return call(qat_networks.everything, effort(12, 300))


def difference(made: qat_networks.Made) -> tuple[np.ndarray, float]:
    """Return by how many codes the runtime's outputs differ, and how many answers are the same."""
    outputs = litert.Runner(made.file, require_int8=True).run(made.inputs)
    assert outputs.shape == made.trained.shape
    same = np.mean(outputs.argmax(axis=-1) == made.trained.argmax(axis=-1))
    return np.abs(outputs - made.trained) / made.scale, same


def test_random_networks_compute_in_the_runtime_what_was_trained(made) -> None:
    """To the code, but for sums in float32 that lie at a half.

    Hardswish is the exception: the runtime computes it in 16 bits, one code apart now and then.
    """
    answers = []
    for seed, network in enumerate(made.random):
        codes, same = difference(network)
        names = {o.name for o in tflite_file.read_tflite(network.file).operators}
        least = 0.85 if "HARD_SWISH" in names else 0.99
        assert np.mean(codes < 0.5) > least, f"seed {seed}: {np.mean(codes < 0.5):.1%} the same"
        assert codes.max() < 4, f"seed {seed}: {codes.max():.0f} codes apart"
        answers.append(same)
    assert np.mean(answers) > 0.99


def test_rounding_afterwards_stays_close_to_the_network(made) -> None:
    """Eight bits cost little: a wrong fold, order or window would cost everything."""
    for seed, network in enumerate(made.random):
        error = np.sqrt(np.mean((network.rounded - network.real) ** 2))
        assert error < 0.05 * np.std(network.real), f"seed {seed}"


@pytest.mark.parametrize(("name", "classes"), [("colour", 7), ("dense", 4), ("seed_like", 10)])
def test_networks_of_other_shapes_and_classes(made, name: str, classes: int) -> None:
    network = made.named[name]
    codes, same = difference(network)
    assert network.trained.shape == (1000, classes)
    assert np.mean(codes < 0.5) > 0.95 and codes.max() < 4 and same > 0.99


def test_sensitivity_takes_the_template_of_another_network(made) -> None:
    assert list(made.losses) == ["0", "4", "6"]
    assert made.losses["0"][0] == pytest.approx(made.expected, rel=1e-3)
    # It has 8 bits: with those nothing changes. What 2 bits do to an untrained network has no sign.
    assert len({eight for _, eight in made.losses.values()}) == 1
    assert all(two != eight for two, eight in made.losses.values())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gelu", r"node 'act' \(layer act\): no operator is known .* known are Conv2d"),
        ("dilated", r"node 'conv' .*dilation \(2, 2\)"),
        ("reflected", r"node 'conv' .*padding_mode 'reflect'"),
        ("norm first", r"node 'norm' .*directly before it .* before it is 'x'"),
        ("norm of a shared layer", r"node 'norm' .*nothing else reads; before it is 'conv'"),
        ("norm without averages", "node 'norm' .*averages"),
        ("twice", "node 'conv_1' .*computed twice"),
        ("masked", "node 'conv' .*weight_orig.*prune.remove"),
        ("in place", "node 'relu' .*changes 'conv' in place, which others read"),
        ("constant", "node 'add' .*sum of two tensors"),
        ("broadcast", r"node 'add' .*expected one shape"),
        ("product", r"node 'mul' .*no operator"),
        ("ceil", "node 'max_pool2d' .*ceil_mode"),
        ("border left out", "node 'avg_pool2d' .*count_include_pad=True"),
        ("pool to 2", "node 'adaptive_avg_pool2d' .*pools to 2"),
        ("mean of channels", r"node 'mean' .*axes \[1\]"),
        ("dense on pictures", "node 'linear' .*flatten before it"),
        ("cut in two", r"node 'view' .*expected \(n, everything\)"),
        ("joined rows", "node 'cat' .*joins along axis 2"),
        ("two inputs", "does not take float32 inputs|one input"),
        ("two outputs", "node 'output' .*one output"),
        ("nothing", "node 'output' .*computes one output"),
        ("branches", "cannot be traced"),
        ("other shape", r"does not take float32 inputs \(n, 2, 6, 6\)"),
        ("sequence", "placeholder .*1 or 3 sizes"),
        ("own weights", "node 'conv_weight' .*only layers may have weights"),
        ("no network", "expected a PyTorch model"),
        ("other inputs", r"expected inputs \(n, 3, 6, 6\), got \(4, 3, 6, 5\)"),
    ],
)
def test_what_is_outside_is_refused_by_name(call, name: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call(qat_refusals.refused, name)


@pytest.fixture(scope="module")
def messages(call) -> dict[str, str]:
    return call(qat_refusals.with_other_templates)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("another network", "expected .*got .*litert_file makes one"),
        ("other branches", "expected CONV_2D as operator 1, got the input"),
        ("other stride", r"ADD returns \(1, 3, 3, 3\), expected 108 numbers"),
        ("other padding", r"CONV_2D has the padding .*expected"),
        ("other activation", "fusedActivationFunction = 3, expected 1"),
        ("other channels", "expected the shape|returns"),
        ("float32", "no int8 file"),
    ],
)
def test_templates_of_other_networks_are_refused(messages, name: str, expected: str) -> None:
    assert re.search(expected, messages[name])


def test_names_are_those_of_the_model(call) -> None:
    assert call(qat_networks.names) == {
        "depthwise": ["stem", *(f"block{i}.{p}" for i in (1, 2, 3, 4)
                                for p in ("depthwise", "pointwise")), "scores"],
        "seed": ["conv", "hidden", "scores"],
        "plain": ["0.0", "0.2", "2"],
    }  # fmt: skip


def test_bits_of_a_layer_can_be_chosen_in_any_network(call) -> None:
    most = call(qat_networks.largest_codes, {"conv": 3})
    assert most == {"conv": 3, "hidden": 127, "scores": 127}


def test_what_is_joined_has_one_range(call) -> None:
    assert call(qat_networks.joined_ranges) == ((-2.0, 8.0), (-2.0, 8.0))
