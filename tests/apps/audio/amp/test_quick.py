"""Few matrix products give what the network's own layers give, gradients too."""

from __future__ import annotations

import pytest
import torch

from trous.apps.audio.amp.quick import check, quick
from trous.apps.audio.nam import SIZES, WaveNet, fresh
from trous.apps.audio.nam.sizes import config
from trous.errors import TrousError


@pytest.mark.parametrize("size", SIZES)
def test_outputs_and_gradients_are_the_networks(size: str) -> None:
    torch.manual_seed(0)
    network = fresh(size).double()
    assert network.reach is not None
    signal = torch.randn(network.reach + 70, dtype=torch.float64)
    expected = network(signal[None, None])[0, 0, network.reach :]
    got = quick(network, signal)
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-14)
    weights = torch.randn_like(expected)
    inputs = list(network.parameters())
    wanted = torch.autograd.grad((expected * weights).sum(), inputs, materialize_grads=True, allow_unused=True)
    found = torch.autograd.grad((got * weights).sum(), inputs, materialize_grads=True, allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-13)


def test_other_networks_are_refused() -> None:
    check(fresh("nano"))
    for change in ({"gated": True}, {"activation": "ReLU"}, {"bottleneck": 2, "head_size": 2}):
        said = config("nano")
        said["layers"][0] |= change
        with pytest.raises(TrousError, match="network must be of one of the usual sizes"):
            check(WaveNet(said))
