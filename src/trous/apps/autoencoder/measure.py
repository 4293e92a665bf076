"""The measures of docs/models/autoencoder.md, on Fashion-MNIST: the error against that of principal components, what
noise is removed, and how well the error tells a class that training left out.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trous.apps.autoencoder.batches import noisy
from trous.apps.autoencoder.files import Model
from trous.apps.autoencoder.images import read_idx
from trous.apps.autoencoder.scores import Components, auroc, principal_components, squared_errors
from trous.errors import TrousError

#: Below TROUS_DATA.
FOLDER = "images/fashion_mnist"
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
#: Of the noise that is removed: the same for every model.
NOISE_SEED = 2026
#: Images that go through a network together.
TOGETHER = 500


@dataclass
class FashionMnist:
    """The archives in a folder: images `(n, height, width)` of uint8, labels `(n,)`.

    Raises TrousError where they are not there.
    """

    folder: Path
    training: np.ndarray = field(init=False)
    training_labels: np.ndarray = field(init=False)
    test: np.ndarray = field(init=False)
    test_labels: np.ndarray = field(init=False)
    _components: dict[tuple[int, ...], Components] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.folder / "t10k-images-idx3-ubyte.gz").is_file():
            rule = "must be the folder of Fashion-MNIST's four archives, or TROUS_DATA name the one above images/"
            raise TrousError("data", rule, str(self.folder))
        for part, name in ("training", "train"), ("test", "t10k"):
            setattr(self, part, read_idx(self.folder / f"{name}-images-idx3-ubyte.gz"))
            setattr(self, f"{part}_labels", read_idx(self.folder / f"{name}-labels-idx1-ubyte.gz"))

    def components(self, count: int, without: tuple[int, ...] = ()) -> Components:
        """The principal components of the training images, pixels from 0 to 1, or of those without some classes."""
        if without not in self._components:
            kept = self.training[~np.isin(self.training_labels, without)]
            pixels = kept.reshape(len(kept), -1) / np.float32(255)
            self._components[without] = principal_components(pixels, pixels.shape[1])
        every = self._components[without]
        return Components(every.mean, every.directions[:count])


def fashion_mnist(folder: Path | None = None) -> FashionMnist:
    """The archives in a folder, by default in images/fashion_mnist below TROUS_DATA."""
    return FashionMnist(folder or Path(os.environ.get("TROUS_DATA", ".")) / FOLDER)


def measure(model: Model, data: FashionMnist) -> dict[str, Any]:
    """Mean squared errors on the test images, pixels from 0 to 1, of a model with a code of the whole image and of the
    principal components with as many values; `ratio` is the first over the second.

    Of a model that was trained with noise also the same for noisy test images, with the noise it was trained with: the
    error of the noisy images themselves, clipped to 0..1, of the reconstructions, and of the projections on as many
    principal components. Of a model that was trained without a class the AUROC of its errors and of those of the
    components, which are fitted without it too; "strange" is the class among all test images.

    Raises TrousError for a model that is not for these images.
    """
    clean = torch.from_numpy(data.test.copy())[:, None].float() / 255
    flat = clean.reshape(len(clean), -1).numpy()
    components = data.components(code_values(model))
    errors = squared_errors(_through(model, clean), clean)
    projected = components.reconstruct(flat)
    found: dict[str, Any] = {
        "model": model.name,
        "code": code_values(model),
        "mse": float(errors.mean()),
        "mse_pca": float(squared_errors(projected, flat).mean()),
    }
    found["ratio"] = found["mse"] / found["mse_pca"]
    if noise := model.recipe.get("noise"):
        seen = noisy(clean, noise, NOISE_SEED)
        projected = components.reconstruct(seen.reshape(len(seen), -1).numpy()).clip(0, 1)
        found["noise"] = noise
        for name, images in (
            ("noisy", seen.clamp(0, 1)),
            ("denoised", _through(model, seen)),
            ("denoised_pca", projected.reshape(clean.shape)),
        ):
            error = float(squared_errors(images, clean).mean())
            found[f"mse_{name}"], found[f"psnr_{name}"] = error, -10 * math.log10(error)
    if without := model.recipe.get("without"):
        strange = np.isin(data.test_labels, without)
        linear = data.components(code_values(model), tuple(without)).reconstruct(flat)
        found["without"] = ", ".join(CLASSES[label] for label in without)
        found["auroc"] = auroc(errors, strange)
        found["auroc_pca"] = auroc(squared_errors(linear, flat), strange)
    return found


def code_values(model: Model) -> int:
    """The values of a code for the whole image. Raises TrousError for a model whose code is a map."""
    architecture = model.network.architecture
    if architecture.size is None:
        raise TrousError("model", "must have one code for the whole image", model.name)
    return architecture.code


def _through(model: Model, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([model.network.reconstruct(part) for part in images.split(TOGETHER)])
