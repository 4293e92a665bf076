"""The running average of weights."""

from __future__ import annotations

import torch

from trous.apps.fitting import AVERAGE, averaged


def test_the_first_weights_are_forgotten() -> None:
    share = torch.tensor(1.0, dtype=torch.float64)
    left = []
    for count in range(1, 9_500):
        share = averaged(share, torch.zeros(()), torch.tensor(count))
        left.append(float(share))
    assert left == sorted(left, reverse=True)
    assert left[100] < 1e-6  # 0.9 with the last average alone
    assert abs(left[-1] / left[-2] - AVERAGE) < 1e-9


def test_what_does_not_change_is_its_own_average() -> None:
    weights = torch.randn(5)
    assert torch.equal(averaged(weights, weights, torch.tensor(7)), weights)
    assert torch.equal(averaged(torch.tensor(0.0), torch.tensor(1.0), torch.tensor(8)), torch.tensor(0.5))
