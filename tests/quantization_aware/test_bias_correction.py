"""Corrected biases: the mean in real numbers, and more right answers without training."""

from __future__ import annotations

import pytest

from tests.support import bias_checks


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_the_mean_of_every_channel_is_that_in_real_numbers(call, norm: bool, bias: bool) -> None:
    before, after = call(bias_checks.mean_errors, norm, bias)
    assert 10 * after.max() < before.max()


def test_four_bits_win_without_training(call) -> None:
    before, after = call(bias_checks.right_with_four_bits, 2000)
    assert after > before + 0.04


def test_another_network_is_refused(call) -> None:
    with pytest.raises(ValueError, match=r"the model that the network was made of.* conv"):
        call(bias_checks.correct_for_another)
