"""What the networks that ship are worth, and how fast: `trous bench upscale`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trous.apps.upscale.network import Network, load, shipped
from trous.apps.upscale.rivals import callers
from trous.apps.upscale.scores import Score, bicubic, mean, score
from trous.bench.record import Record, Track
from trous.bench.timing import interleaved

#: Test sets, by the folder of images in TROUS_DATA; learnt from are none of them.
SETS = ("set5", "set14", "kodak", "set12")
#: Pixels to a side of the picture that is timed.
TIMED = 256

EXPLANATION = (
    "Luma of every picture is reduced by MATLAB's bicubic interpolation and enlarged again; PSNR in dB and SSIM on "
    "8-bit BT.601 luma, as many pixels left out along the border as the scale. Least gain: that over bicubic of the "
    "picture that gains least. Times: median milliseconds of one call in its process, contenders in turns."
)

Named = tuple[str, int]  #: model and scale


def measure(root: Path, threads: int, seconds: float, track: Track[Any]) -> Record:
    """Scores on every set in `root`, and times."""
    paths = {name: sorted((root / "images" / name).glob("*.png")) for name in SETS}
    work = [(name, each) for name in shipped() for each in SETS if paths[each]]
    scores: dict[tuple[Named, str], list[tuple[Score, Score]]] = {}
    for (model, scale), each in track(work, lambda item: f"{item[0][0]} x{item[0][1]} {item[1]}"):
        networks: list[Callable[[np.ndarray], np.ndarray]] = [load(scale, model), bicubic(scale)]
        ours, theirs = (list(score(enlarge, paths[each], scale)) for enlarge in networks)
        scores[(model, scale), each] = list(zip(ours, theirs, strict=True))
    times = {
        name: _times(load(name[1], name[0]), threads, seconds)
        for name in track(shipped(), lambda name: f"{name[0]} x{name[1]} ms")
    }
    return _record(scores, times, threads)


def _times(network: Network, threads: int, seconds: float) -> dict[str, float]:
    luma = np.random.default_rng(0).random((TIMED, TIMED), np.float32)
    calls = callers(network, luma, threads)
    expected = calls["trous"]()
    for name, call in calls.items():
        if (off := float(abs(call() - expected).max())) > 1e-5:
            raise ArithmeticError(f"{name} differs by {off:.1e}")
    return interleaved(calls, seconds)


def _record(
    scores: dict[tuple[Named, str], list[tuple[Score, Score]]], times: dict[Named, dict[str, float]], threads: int
) -> Record:
    rows, documents = [], []
    for ((model, scale), each), found in scores.items():
        ours, theirs = (mean(column, each) for column in zip(*found, strict=True))
        least = min(mine.psnr - plain.psnr for mine, plain in found)
        numbers = (f"{ours.psnr:.2f}", f"{ours.ssim:.4f}", f"{theirs.psnr:.2f}", f"{theirs.ssim:.4f}", f"{least:.2f}")
        rows.append((f"{model} x{scale}", each, *numbers))
        pictures = [{"network": asdict(mine), "bicubic": asdict(plain)} for mine, plain in found]
        documents.append({"model": model, "scale": scale, "set": each, "least_gain": least, "pictures": pictures})
    header = ("network", "set", "PSNR", "SSIM", "bicubic PSNR", "bicubic SSIM", "least gain")
    names = list(next(iter(times.values())))
    timed = [(f"{m} x{s}", *(f"{1e3 * each[name]:.1f}" for name in names)) for (m, s), each in times.items()]
    document = {
        "scores": documents,
        "seconds": [{"model": m, "scale": s, "seconds": each} for (m, s), each in times.items()],
        "threads": threads,
    }
    tables: Sequence[Any] = [(header, rows), (("ms", *names), timed)]
    facts = [f"times: a picture of {TIMED} x {TIMED}, {threads} threads"]
    return Record("upscale", "Enlarging by the networks that ship", EXPLANATION, tables, facts, document)
