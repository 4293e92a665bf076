"""What the tests of autoencoders share: a folder of pictures of several sizes, and a small model for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from trous.apps.autoencoder.files import Model
from trous.apps.autoencoder.model import Architecture, Autoencoder

SIZES = (20, 33), (40, 41), (9, 16), (40, 41)


def write_pictures(folder: Path, rng: np.random.Generator, sizes: tuple[tuple[int, int], ...] = SIZES) -> Path:
    """Blurred noise in RGB, 0.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, (height, width) in enumerate(sizes):
        noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        noise.filter(ImageFilter.GaussianBlur(1)).save(folder / f"{n}.png")
    return folder


def small_model(channels: int = 3, size: tuple[int, int] | None = None, seed: int = 0) -> Model:
    """Weights as a file would give them: those that float16 holds."""
    torch.manual_seed(seed)
    network = Autoencoder(Architecture(channels, 4, size, (4, 6, 6)))
    network.load_state_dict({name: tensor.half().float() for name, tensor in network.state_dict().items()})
    return Model("small", network.eval())
