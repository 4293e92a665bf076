"""Strips of rows give the picture that the whole gives; colours, depths and transparency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from apps.upscale.test_network import network
from trous import TrousError
from trous.apps.quality import luma
from trous.apps.upscale import rows as rows_module
from trous.apps.upscale.network import Network
from trous.apps.upscale.rows import enlarge, enlarge_rows

NET = network(2, channels=8, layers=2)


def interpolating(scale: int) -> Network:
    """A network that adds nothing to bicubic interpolation."""
    net = network(scale, channels=4, layers=1)
    net.up[:] = 0
    return net


class Rows:
    """A picture that gives every row once, from the top to the bottom."""

    def __init__(self, picture: np.ndarray):
        self.picture, self.given = picture, 0

    def __call__(self, start: int, stop: int) -> np.ndarray:
        assert start == self.given
        self.given = stop
        return self.picture[start:stop]


@pytest.mark.parametrize("size", [(301, 233), (61, 7), (180, 40), (1, 90), (59, 3)])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("bands", [3, 4])
def test_strips_make_the_whole(size: tuple[int, int], scale: int, bands: int, rng: np.random.Generator) -> None:
    net = network(scale)
    picture = rng.integers(0, 256, (*size, bands), np.uint8)
    rows = Rows(picture)
    strips = list(enlarge_rows(rows, size, net, strip=1))
    assert rows.given == size[0]
    assert [len(s) for s in strips[:-1]] == [60 * scale] * (len(strips) - 1)
    (whole,) = enlarge_rows(Rows(picture), size, net, strip=size[0])
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    np.testing.assert_array_equal(whole, enlarge(picture, net))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_blocks_of_columns_make_the_whole(
    scale: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(scale)
    picture = rng.integers(0, 256, (70, 1001, 3), np.uint8)
    blocks = enlarge(picture, net)
    monkeypatch.setattr(rows_module, "COLUMNS", 5000)
    np.testing.assert_array_equal(enlarge(picture, net), blocks)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_every_kind_keeps_shape_and_type(dtype: Any, bands: int, rng: np.random.Generator) -> None:
    picture = rng.integers(0, np.iinfo(dtype).max, (9, 7, bands), dtype)
    large = enlarge(picture, NET)
    assert large.shape == (18, 14, bands)
    assert large.dtype == dtype
    np.testing.assert_array_equal(large[..., 0], enlarge(picture, NET)[..., 0])


def test_a_picture_of_one_pixel_and_without_bands() -> None:
    assert enlarge(np.full((1, 1), 77, np.uint8), interpolating(3)).tolist() == [[77] * 3] * 3


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_the_network_it_is_bicubic(scale: int, rng: np.random.Generator) -> None:
    import torch

    picture = rng.integers(0, 256, (12, 10, 3), np.uint8)
    plain = torch.nn.functional.interpolate(
        torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()).double(), scale_factor=scale, mode="bicubic"
    )[0].permute(1, 2, 0)
    expected = plain.clamp(0, 255).round().numpy()
    assert abs(enlarge(picture, interpolating(scale)) - expected).max() <= 1


def test_luma_is_what_the_network_makes_of_luma(rng: np.random.Generator) -> None:
    smooth = Image.fromarray(rng.integers(60, 190, (4, 5, 3), np.uint8)).resize((30, 24))
    picture = np.asarray(smooth)  # far from 0 and 255, where nothing is clipped
    expected = NET((luma(picture) / 255).astype(np.float32)) * 255
    assert abs(luma(enlarge(picture, NET)) - expected).max() < 0.6


def test_grey_as_colour_and_16_bit_as_8() -> None:
    grey = np.asarray(Image.linear_gradient("L").resize((16, 16)))
    large = enlarge(grey, NET)
    colour = enlarge(np.stack([grey] * 3, -1), NET)
    assert abs(colour.astype(int) - large[..., None]).max() <= 1
    deep = enlarge(grey.astype(np.uint16) * 257, NET)
    assert abs(deep / 257 - large).max() <= 0.51


def test_what_is_invisible_leaves_no_fringe() -> None:
    picture = np.zeros((12, 12, 4), np.uint8)  # black and invisible
    picture[:, 6:] = 200, 100, 50, 255
    large = enlarge(picture, interpolating(2))
    half = large[large[..., 3] > 8]
    assert abs(half[:, :3].astype(int) - (200, 100, 50)).max() <= 6


def test_opaque_is_as_without_alpha(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (9, 9, 3), np.uint8)
    opaque = np.concatenate([picture, np.full((9, 9, 1), 255, np.uint8)], -1)
    large = enlarge(opaque, NET)
    assert (large[..., 3] == 255).all()
    assert abs(large[..., :3].astype(int) - enlarge(picture, NET)).max() <= 1


@pytest.mark.parametrize("image", [np.zeros((0, 4), np.uint8), np.zeros((2, 2, 5), np.uint8), np.zeros(4, np.uint8)])
def test_shapes_that_are_no_picture(image: np.ndarray) -> None:
    with pytest.raises(TrousError, match="image must have shape"):
        enlarge(image, NET)


def test_types_that_are_no_picture() -> None:
    with pytest.raises(TrousError, match="image must be of uint8 or uint16"):
        enlarge(np.zeros((2, 2)), NET)
