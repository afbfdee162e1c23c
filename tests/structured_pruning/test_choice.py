"""Which channels stay: importance of groups, shares and budgets, counted on the network cut."""

from __future__ import annotations

import numpy as np
import pytest

from edge_course.structured_pruning import choice
from tests.support import structured_checks


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


@pytest.mark.parametrize("kind", ["activation", "zeros", "taylor", "magnitude"])
def test_the_shape_of_an_input_is_that_of_the_pictures(call, kind: str) -> None:
    scores = call(structured_checks.importances_of_pictures, (20, 10, 12, 3), None, kind)
    assert {name: len(values) for name, values in scores.items()} == {"0": 6}
    again = call(structured_checks.importances_of_pictures, (20, 10, 12, 3), (3, 10, 12), kind)
    assert np.array_equal(scores["0"], again["0"])


@pytest.mark.parametrize(
    ("shape", "given", "expected"),
    [
        ((20, 10, 12, 3), (3, 12, 10), r"expected images \(n, 12, 10, 3\) for inputs of the shape"),
        ((20, 3, 10, 12), (3, 10, 12), r"expected images \(n, 10, 12, 3\) .*got \(20, 3, 10, 12\)"),
        ((20, 9, 12, 3), None, r"does not take float32 inputs \(n, 3, 9, 12\)"),
        ((20, 10, 12), (3, 10, 12), r"expected pictures float32 \(n, height, width, channels\)"),
    ],
)
def test_pictures_of_another_shape_are_refused(call, shape, given, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call(structured_checks.importances_of_pictures, shape, given)
