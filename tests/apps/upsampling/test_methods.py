"""All methods cost the same, keep sizes, and what should be alike is."""

from __future__ import annotations

import pytest
import torch

from trous.apps.upsampling.methods import METHODS, multiplications, network, plain


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_multiplications_are_equal(scale: int) -> None:
    costs = {name: multiplications(network(name, scale), scale) for name in METHODS}
    expected = costs["transposed"]
    assert costs["sub-pixel"] == costs["resize-convolution"] == expected
    for name, cost in costs.items():
        assert 0.92 * expected < cost < 1.08 * expected, (name, cost, expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sizes_and_what_runs(method: str, scale: int) -> None:
    torch.manual_seed(0)
    module = network(method, scale)
    x = torch.rand(1, 1, 9, 7)
    with torch.no_grad():
        expected = module(x)
        assert expected.shape == (1, 1, 9 * scale, 7 * scale)
        torch.testing.assert_close(plain(module)(x), expected)
    assert not any("parametrizations" in name for name, _ in module.named_parameters())
    assert not module.skip.weight.requires_grad
