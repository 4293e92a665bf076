"""Pairs to learn from: patches of pictures, small as MATLAB's bicubic makes them and as they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from trous.apps.quality import luma
from trous.apps.resize import imresize
from trous.errors import TrousError


class Pair(NamedTuple):
    """Luma from 0 to 255, in steps of 1/256: `small` is `large` reduced by the scale."""

    small: np.ndarray
    large: np.ndarray


def read_luma(path: Path) -> np.ndarray:
    """Luma of the picture, as `trous.apps.quality.luma` has it; float64."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return luma(np.asarray(image.convert("RGB")))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise TrousError("picture", f"must be one that can be read ({error})", str(path)) from None


def pair(large: np.ndarray, scale: int) -> Pair:
    """The picture cut to multiples of the scale, and reduced."""
    height, width = (n // scale for n in large.shape)
    large = large[: height * scale, : width * scale]
    return Pair(_kept(imresize(large, (height, width))), _kept(large))


def _kept(values: np.ndarray) -> np.ndarray:
    return np.floor(values.clip(0, 255) * 256 + 0.5).astype(np.uint16)


class Patches(torch.utils.data.Dataset):
    """`count` patches, each decided by `seed` and its number alone: turned, mirrored, from anywhere in the pairs.

    Items are asked for by the list, and come as one batch of `(small, large)` between 0 and 1:
    `(batch, 1, size, size)` and `(batch, 1, scale*size, scale*size)`, float32.
    """

    def __init__(self, pairs: Sequence[Pair], size: int, count: int, seed: Sequence[int]):
        self.pairs = [pair for pair in pairs if min(pair.small.shape) >= size]
        if not self.pairs:
            raise TrousError("patch", "must fit into a picture at the reduced size", size)
        self.size, self.count, self.seed = size, count, tuple(seed)
        places = [np.prod([n - size + 1 for n in pair.small.shape]) for pair in self.pairs]
        self._until = np.cumsum(places)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((*self.seed, index))
        place = int(rng.integers(self._until[-1]))
        number = int(np.searchsorted(self._until, place, side="right"))
        chosen = self.pairs[number]
        row, column = divmod(int(self._until[number]) - 1 - place, chosen.small.shape[1] - self.size + 1)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        scale = chosen.large.shape[0] // chosen.small.shape[0]
        cut = []
        for values, factor in ((chosen.small, 1), (chosen.large, scale)):
            rows, columns = (slice(n * factor, (n + self.size) * factor) for n in (row, column))
            patch = np.rot90(values[rows, columns], turns)
            cut.append(patch[:, ::-1] if mirrored else patch)
        return cut[0], cut[1]

    def __getitems__(self, indices: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self[index] for index in indices]


def batch(items: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, ...]:
    """The items as two tensors between 0 and 1."""
    return tuple(
        torch.from_numpy(np.stack(values).astype(np.float32)[:, None] / np.float32(255 * 256))
        for values in zip(*items, strict=True)
    )


def pairs(paths: Sequence[Path], scale: int, sizes: Sequence[float], done: Callable[[], None]) -> list[Pair]:
    """Pairs of every picture at each of the `sizes`, 1 as it is; `done` is called after each picture."""
    found = []
    for path in paths:
        large = read_luma(path)
        for size in sizes:
            height, width = (round(n * size) for n in large.shape)
            if min(height, width) >= scale:
                found.append(pair(large if size == 1 else imresize(large, (height, width)), scale))
        done()
    return found
