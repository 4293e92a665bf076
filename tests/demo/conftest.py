"""A small photograph and the story of it, told once for all tests of the demo."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from trous.demo.photo import Photo
from trous.demo.story import Story, T, tell


def quietly(sequence: Iterable[T], *, description: str) -> Iterable[T]:
    return sequence


@pytest.fixture(scope="session")
def photo() -> Photo:
    rng = np.random.default_rng(7)
    return Photo("small & <odd>.png", rng.random((1, 3, 40, 52), np.float32), "reduced from 400 × 520")


@pytest.fixture(scope="session")
def story(photo: Photo) -> Story:
    return tell(photo, quietly, seconds=0)
