"""Neural Amp Modeler files: read, written, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trous.apps.audio import nam


@pytest.mark.parametrize(("size", "count"), [("standard", 13802), ("lite", 6554), ("feather", 3026), ("nano", 842)])
def test_fresh_networks_come_back_bit_for_bit(tmp_path: Path, size: str, count: int) -> None:
    network = nam.fresh(size)
    assert network.count == len(network.weights()) == count
    assert network.receptive_field == 4093
    nam.save(nam.trained(network, name="test"), tmp_path / "a.nam")
    again = nam.load(tmp_path / "a.nam")
    assert torch.equal(again.network.weights(), network.weights())
    assert again.metadata["name"] == "test"
    signal = torch.randn(2, 1, 100)
    assert torch.equal(again.network(signal), network(signal))
