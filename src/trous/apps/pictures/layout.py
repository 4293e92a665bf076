"""What the rows of a picture are like."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Layout:
    """Pixels `(height, width, bands)` of uint8 or uint16; bands: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""

    height: int
    width: int
    bands: int
    dtype: np.dtype

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def alpha(self) -> bool:
        return self.bands % 2 == 0

    @property
    def deep(self) -> bool:
        """Whether a sample has 16 bits."""
        return self.dtype.itemsize > 1

    @property
    def row_bytes(self) -> int:
        return self.width * self.bands * self.dtype.itemsize

    def times(self, scale: int) -> Layout:
        """That of the picture at `scale` times the size."""
        return replace(self, height=scale * self.height, width=scale * self.width)

    def __str__(self) -> str:
        return f"{self.width} × {self.height}"
