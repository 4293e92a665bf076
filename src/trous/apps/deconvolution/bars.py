"""Hollow bars in three dimensions, as flowdec's own validation scores them: `trous bench deconvolution bars`.

The synthetic volume of Sage et al. 2017 (DeconvolutionLab2) at a quarter of its size, in the way of flowdec's published
notebook (`python/validation/deconvolution`, the dataset `bars-samp`): truth, data and kernel stretched to 16 bits, the
result clipped to them, then SSIM with a window of 31, NRMSE and PSNR. The notebook's scale of the data is not that of
the truth; the error that remains at the best scale is therefore measured beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trous.bench.record import Record, Track
from trous.errors import TrousError

FOLDER = "deconvolution/flowdec/bars-25pct"
#: The notebook's number of iterations, and others.
ITERATIONS = (10, 25, 50, 100)
LARGEST = float(np.iinfo(np.uint16).max)
#: Of flowdec: the settings that the notebook calls default, without padding, and with padding by zeros.
SETTINGS: dict[str, dict[str, Any]] = {
    "flowdec, default": {"least": 1},
    "flowdec, without padding": {"padded": False, "start": "input"},
    "flowdec, zeros around": {"least": 1, "fill": "constant", "start": "input"},
}
BOUNDARIES = ("unknown", "reflect", "periodic", "zero")

EXPLANATION = (
    "The hollow bars of flowdec's examples, 32 x 64 x 64, scored as its validation notebook does: truth, data and "
    "kernel stretched to 16 bits, the result clipped to them; NRMSE, PSNR in dB and SSIM with a window of 31. RMSE at "
    "scale: root mean square error at the best scale of the result, as a share of the truth's. flowdec's algorithm is "
    "restated in NumPy from its description and gives the figures that the notebook prints."
)


@dataclass(frozen=True)
class Scores:
    nrmse: float
    psnr: float
    ssim: float
    scaled: float


def read(root: Path) -> dict[str, np.ndarray]:
    """`actual`, `data` and `kernel`, each stretched to 0 to 65535 and cut to whole numbers; uint16."""
    import tifffile

    found = {}
    for name in ("actual", "data", "kernel"):
        path = root / FOLDER / f"{name}.tif"
        if not path.is_file():
            raise TrousError("bars", "must be files that are there", str(path))
        values = tifffile.imread(path).astype(np.float32)
        low, high = values.min(), values.max()
        found[name] = ((values - low) / (high - low) * LARGEST).astype(np.uint16)
    return found


def flowdec(
    data: np.ndarray,
    kernel: np.ndarray,
    iterations: int,
    *,
    padded: bool = True,
    least: int = 0,
    fill: str = "reflect",
    start: str = "constant",
) -> np.ndarray:
    """flowdec's Richardson-Lucy: periodic, on a grid of powers of two that the data fills from the middle.

    `least` pixels at least are added to each axis, by `fill`, one of NumPy's modes; `start` is one half everywhere, or
    the input.
    """
    size = [n + least for n in data.shape]
    if padded:
        size = [1 << (n - 1).bit_length() for n in size]
    x, inside = _centred(data.astype(np.float64), size, fill)
    axes = tuple(range(data.ndim))
    transfer = np.fft.rfftn(np.fft.ifftshift(_centred(kernel / kernel.sum(), size, "constant")[0]))

    def by(values: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        return np.fft.irfftn(np.fft.rfftn(values) * spectrum, size, axes)

    estimate = np.full(size, 0.5) if start == "constant" else x
    for _ in range(iterations):
        seen = by(estimate, transfer)
        ratio = np.divide(x, seen, out=np.zeros_like(x), where=seen >= 1e-6)
        estimate = np.maximum(estimate * by(ratio, transfer.conj()), 0)
    return estimate[inside]


def _centred(values: np.ndarray, size: list[int], fill: Any) -> tuple[np.ndarray, tuple[slice, ...]]:
    before = [(large - n + 1) // 2 for n, large in zip(values.shape, size, strict=True)]
    around = [(b, large - n - b) for b, n, large in zip(before, values.shape, size, strict=True)]
    return np.pad(values, around, mode=fill), tuple(slice(b, b + n) for b, n in zip(before, values.shape, strict=True))


def scores(estimate: np.ndarray, actual: np.ndarray) -> Scores:
    """Of an estimate in the data's scale. The best scale is that of least squares."""
    from skimage import metrics

    given = np.asarray(estimate, np.float64)
    true = actual.astype(np.float64)
    whole = given.clip(0, LARGEST).astype(np.uint16)
    rest = true - given * (given * true).sum() / np.square(given).sum()
    return Scores(
        metrics.normalized_root_mse(actual, whole),
        metrics.peak_signal_noise_ratio(actual, whole, data_range=LARGEST),
        metrics.structural_similarity(actual, whole, win_size=31, data_range=LARGEST),
        float(np.sqrt(np.square(rest).mean() / np.square(true).mean())),
    )


def ours(data: np.ndarray, kernel: np.ndarray, iterations: int, boundary: Any) -> np.ndarray:
    from trous import deconvolve

    seen, psf = data.astype(np.float64), kernel / kernel.sum()
    return np.asarray(deconvolve(seen, psf, method="richardson_lucy", boundary=boundary, iterations=iterations))


def measure(root: Path, track: Track[Any]) -> Record:
    volume = read(root)
    contenders: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
        **{name: partial(flowdec, **settings) for name, settings in SETTINGS.items()},
        **{f"trous, {boundary}": partial(ours, boundary=boundary) for boundary in BOUNDARIES},
    }
    work = [(count, name) for count in ITERATIONS for name in contenders]
    found = [
        (count, name, scores(contenders[name](volume["data"], volume["kernel"], count), volume["actual"]))
        for count, name in track(work, lambda item: f"{item[1]}, {item[0]}")
    ]
    header = ("iterations", "contender", "NRMSE", "PSNR", "SSIM", "RMSE at scale")
    rows = [
        (str(count), name, f"{s.nrmse:.4f}", f"{s.psnr:.3f}", f"{s.ssim:.5f}", f"{s.scaled:.4f}")
        for count, name, s in found
    ]
    document = {"scores": [{"iterations": count, "contender": name, **vars(s)} for count, name, s in found]}
    title = "Bars in three dimensions, beside flowdec"
    return Record("deconvolution-bars", title, EXPLANATION, [(header, rows)], [], document)
