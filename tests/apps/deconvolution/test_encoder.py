"""The first layer of a shipped encoder, undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trous.apps.deconvolution.encoder import FirstLayer, ways


@pytest.fixture(scope="module")
def layer() -> FirstLayer:
    return FirstLayer()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    shade = np.add.outer(np.arange(28), np.arange(28)) / 54
    return np.where(np.hypot(*np.meshgrid(np.arange(28) - 14, np.arange(28) - 12)) < 9, shade, 0)


def test_ways(layer: FirstLayer, picture: np.ndarray) -> None:
    original, adjoint, solved, few, decoded = ways(layer, picture)
    assert {way.picture.shape for way in (original, adjoint, solved, few, decoded)} == {(28, 28)}
    assert solved.error < 1e-6 < 0.03 < min(adjoint.error, few.error, decoded.error)


def test_the_transposed_convolution_is_torch_s(layer: FirstLayer, picture: np.ndarray) -> None:
    maps = layer.maps(picture)
    wanted = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(maps)[None], torch.from_numpy(layer.weight), stride=2, padding=1
    )
    assert layer.transposed(maps, picture.shape) == pytest.approx(wanted[0, 0].numpy(), abs=1e-9)


def test_of_few_maps_the_smallest_picture_that_makes_them(layer: FirstLayer, picture: np.ndarray) -> None:
    maps = layer.maps(picture)
    found = layer.least_squares(maps[:2], picture.shape)
    assert layer.maps(found)[:2] == pytest.approx(maps[:2], abs=1e-4)
    assert np.square(found).sum() < np.square(picture).sum()
