"""The comparison: every method trained alike, at every scale, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trous.apps.fitting import fit
from trous.apps.quality import eight_bit
from trous.apps.upsampling import checkerboard, methods
from trous.apps.upscale.model import enlarge_by
from trous.apps.upscale.recipe import Recipe
from trous.apps.upscale.scores import Enlarge, bicubic, enlarged_and_true, mean, score
from trous.apps.upscale.training import Pictures, Training, prepared
from trous.bench.timing import interleaved
from trous.functional import conv_transpose
from trous.interpolation import INTERPOLANTS, interpolation_kernel, interpolation_spec
from trous.nn import accelerate

SCALES = (2, 3, 4)
SETS = ("set5", "set14")
INTERPOLATIONS = ("bicubic", "lanczos")
#: What all are trained on, and how long.
FOLDERS = ("images/t91", "images/general100", "images/bsds500")
EPOCHS = 4
#: Pixels to a side of the picture that is timed, and for how long each method is.
TIMED, SECONDS = 256, 2.0

Track = Callable[[Iterable[Any], Callable[[Any], str]], Iterable[Any]]


@dataclass(frozen=True)
class Outcome:
    """What one method does at one scale.

    `flat` and `spectrum` are those of `trous.apps.upsampling.checkerboard`, `flat_before` is that of the network before
    training; PSNR and SSIM are means over a set.
    """

    method: str
    scale: int
    multiplications: float
    parameters: int
    psnr: dict[str, float]
    ssim: dict[str, float]
    flat_before: float
    flat: float
    spectrum: float
    milliseconds: float


def recipe(scale: int, epochs: int = EPOCHS) -> Recipe:
    return Recipe(scale, FOLDERS, epochs)


def compare(root: Path, folder: Path, scales: Sequence[int], epochs: int, track: Track) -> Iterator[Outcome]:
    """Train what has not been trained yet, runs kept in `folder`, and measure; `root` holds the pictures."""
    for scale in scales:
        pictures: Pictures | None = None
        calls: dict[str, Callable[[], Any]] = {}
        found = {}
        for name in INTERPOLATIONS:
            enlarge = bicubic(scale) if name == "bicubic" else partial(_interpolated, name, scale)
            taps = INTERPOLANTS[name].support ** 2
            found[name] = _measured(name, scale, enlarge, root, taps, 0, 0.0)
            calls[name] = partial(_interpolated, name, scale, _timed_picture())
        for name in track(methods.METHODS, partial("x{} {}".format, scale)):
            asked = recipe(scale, epochs)
            torch.manual_seed(asked.seed)
            network = methods.network(name, scale)
            before = checkerboard.on_flat_pictures(partial(enlarge_by, network), scale)
            pictures = pictures or prepared(asked)
            run = folder / f"{name.replace(', ', '-').replace(' ', '-')}-x{scale}"
            fit(Training(asked, network), pictures, run, epochs=epochs, seed=asked.seed, quiet=True)
            network = methods.plain(network)
            count = sum(p.numel() for p in network.parameters())
            cost = methods.multiplications(network, scale)
            found[name] = _measured(name, scale, partial(enlarge_by, network), root, cost, count, before)
            calls[name] = partial(enlarge_by, accelerate(network, frozen=True), _timed_picture())
        for call in calls.values():
            call()
        seconds = interleaved(calls, SECONDS * len(calls))
        for name, outcome in found.items():
            yield Outcome(**{**asdict(outcome), "milliseconds": 1e3 * seconds[name]})


def _measured(
    name: str, scale: int, enlarge: Enlarge, root: Path, cost: float, parameters: int, before: float
) -> Outcome:
    """All but the time."""
    psnr, ssim = {}, {}
    paths = {each: sorted((root / "images" / each).glob("*.png")) for each in SETS}
    for each in SETS:
        average = mean(score(enlarge, paths[each], scale), each)
        psnr[each], ssim[each] = average.psnr, average.ssim
    flat = checkerboard.on_flat_pictures(enlarge, scale)
    errors = (_error(enlarge, path, scale) for path in paths[SETS[-1]])
    spectrum = checkerboard.in_the_spectrum(errors, scale)
    return Outcome(name, scale, cost, parameters, psnr, ssim, before, flat, spectrum, 0.0)


def _error(enlarge: Enlarge, path: Path, scale: int) -> np.ndarray:
    enlarged, large = enlarged_and_true(enlarge, path, scale)
    return eight_bit(enlarged) - large


def _interpolated(name: str, scale: int, luma: np.ndarray) -> np.ndarray:
    spec, pad = interpolation_spec(name, scale), INTERPOLANTS[name].support
    x = np.pad(luma.astype(np.float32), pad, mode="edge")[None, None]
    large = conv_transpose(x, _kernel(name, scale), stride=spec.stride, padding=spec.padding)
    return large[0, 0, pad * scale : -pad * scale, pad * scale : -pad * scale]


@cache
def _kernel(name: str, scale: int) -> np.ndarray:
    return interpolation_kernel(name, scale)


def _timed_picture() -> np.ndarray:
    return np.random.default_rng(0).random((TIMED, TIMED), np.float32)
