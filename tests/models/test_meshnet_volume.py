"""A trained network on a real volume: published weights label an MRI as they do with torch's own layers."""

from __future__ import annotations

import copy
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import trous
from trous.bench.networks.meshnet import MeshNet

SIZE = 32


@pytest.fixture(scope="module")
def folder() -> Path:
    if not os.environ.get("TROUS_DATA"):
        pytest.skip("TROUS_DATA does not say where the MeshNet weights and the volume are")
    folder = Path(os.environ["TROUS_DATA"], "models", "brainchop")
    if not folder.is_dir():
        pytest.skip(f"no MeshNet weights and volume in {folder}")
    return folder


def centre(path: Path) -> torch.Tensor:
    """The middle of a NIfTI volume of 256^3 bytes behind a header of 352, from 0 to 1."""
    voxels = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=352).reshape(256, 256, 256)
    middle = slice(128 - SIZE // 2, 128 + SIZE // 2)
    return torch.from_numpy(voxels[middle, middle, middle] / voxels.max())[None, None]


def test_labels_of_a_brain(folder: Path) -> None:
    network = MeshNet().eval().double().requires_grad_(False)
    network.load_state_dict(torch.load(folder / "meshnet.pth", map_location="cpu", weights_only=True))
    x = centre(folder / "t1_crop.nii.gz")
    expected = network(x)
    ours = trous.accelerate(copy.deepcopy(network))
    y = ours(x)
    assert (y - expected).abs().max() <= 1e-12 * expected.abs().max()
    assert torch.equal(y.argmax(1), expected.argmax(1))
    assert len(expected.argmax(1).unique()) == 3  # all tissues are in the picture
    y = ours.float()(x.float())
    assert (y.argmax(1) == expected.argmax(1)).double().mean() > 0.9999
