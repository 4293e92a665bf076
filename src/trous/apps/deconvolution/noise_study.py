"""How much every method recovers, by how noisy the data are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from trous.apps.deconvolution.story import MOTION, NAMES, Track, blur, deconvolved, repeated
from trous.bench.plot import FAINT, INK, MUTED
from trous.inverse.entry import METHODS
from trous.inverse.noise import noise_level
from trous.inverse.psf import disk, motion

#: Standard deviations, of a full scale of 1.
LEVELS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
RADIUS = 5
#: One colour for each, told apart by eyes that see colours otherwise too (Okabe & Ito 2008).
COLOURS = {"wiener": "#0072b2", "richardson_lucy": "#d55e00", "least_squares": "#cc79a7", "total_variation": "#009e73"}


@dataclass(frozen=True)
class Point:
    """PSNR in dB of one blur at one noise: of the data as they are, and by method; and the noise as it is estimated
    from the data."""

    blur: str
    noise: float
    blurred: float
    psnr: dict[str, float]
    estimated: float


def study(picture: np.ndarray, levels: Sequence[float] = LEVELS, track: Track = iter) -> list[Point]:
    """Every method with its defaults on the picture out of focus and moved, the noise not told."""
    blurs = {
        f"motion, {MOTION[0]} pixels at {MOTION[1]}°": motion(*MOTION),
        f"defocus, radius {RADIUS}": disk(RADIUS),
    }
    points = []
    for name, psf, level in track([(name, psf, level) for name, psf in blurs.items() for level in levels]):
        blurred = blur(picture, psf, noise=level)
        psnr = {method: deconvolved(blurred, method).psnr for method in METHODS}
        estimated = noise_level(blurred.data[None, None]).item()
        points.append(Point(name, level, repeated(blurred).psnr, psnr, estimated))
    return points


def plot(points: Sequence[Point]) -> bytes:
    """An SVG: a panel for each blur, a line for each method, and the data themselves in grey."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    blurs = list(dict.fromkeys(point.blur for point in points))
    figure = Figure(figsize=(4.4 * len(blurs), 4.2), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(blurs), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, blurs, strict=True):
        own = [point for point in points if point.blur == name]
        levels = [100 * point.noise for point in own]
        for method, colour in COLOURS.items():
            psnr = [point.psnr[method] for point in own]
            axes.plot(levels, psnr, marker="o", markersize=5, linewidth=1.6, color=colour, label=NAMES[method])
        axes.plot(levels, [p.blurred for p in own], linestyle="--", color=MUTED, label="blurred, as it is", zorder=1)
        axes.set(xscale="log", xlabel="noise, % of full scale")
        axes.set_xticks(levels, [f"{level:g}" for level in levels])
        axes.minorticks_off()
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        axes.xaxis.label.set_color(INK)
        axes.set_title(name, loc="left", fontsize=11, color=INK)
    panels[0].set_ylabel("PSNR, dB", color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, fontsize=9)
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "trous"}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return buffer.getvalue()
