"""The comparison as tables and a picture: `trous bench upsampling`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO

from trous.apps.upsampling.comparison import SETS, Outcome
from trous.bench.plot import INK, MUTED
from trous.bench.record import Record

EXPLANATION = (
    "Ways to enlarge at equal multiplications for an output pixel, trained alike; see docs/upsampling.md. PSNR in dB "
    "and SSIM on 8-bit BT.601 luma, as many pixels left out along the border as the scale. Flat: root mean square "
    "pattern on flat pictures, in levels of 255, before and after training. Spectrum: by how many dB the errors on "
    "Set14 stand out at the multiples of 1/scale. Times: median milliseconds for a picture of 256 x 256, in turns."
)
#: One colour for each method, told apart by eyes that see colours otherwise too (Okabe & Ito 2008).
COLOURS = ("#8a8781", "#c9c7c2", "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7")


def record(outcomes: Sequence[Outcome], epochs: int, threads: int) -> Record:
    qualities = [f"{each} {what}" for each in SETS for what in ("PSNR", "SSIM")]
    header = ["method", "scale", "mult./pixel", "parameters", *qualities, "flat before", "flat", "spectrum", "ms"]
    rows = []
    for o in outcomes:
        quality = [text for each in SETS for text in (f"{o.psnr[each]:.2f}", f"{o.ssim[each]:.4f}")]
        board = (f"{o.flat_before:.3f}", f"{o.flat:.3f}", f"{o.spectrum:.2f}", f"{o.milliseconds:.2f}")
        rows.append((o.method, f"x{o.scale}", f"{o.multiplications:,.0f}", f"{o.parameters:,}", *quality, *board))
    facts = [f"trained for {epochs:,} epochs of 1,000 steps; times on {threads} threads"]
    document = {"epochs": epochs, "threads": threads, "outcomes": [asdict(o) for o in outcomes]}
    title = "Ways to enlarge at equal multiplications"
    return Record("upsampling", title, EXPLANATION, [(header, rows)], facts, document, picture=picture(outcomes, title))


def picture(outcomes: Sequence[Outcome], title: str) -> bytes:
    """A PNG: for every scale, quality to the right of and checkerboard above the method's dot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scales = sorted({o.scale for o in outcomes})
    figure = Figure(figsize=(4.4 * len(scales), 4.8), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(scales), squeeze=False)[0]
    for axes, scale in zip(panels, scales, strict=True):
        for colour, o in zip(COLOURS, [o for o in outcomes if o.scale == scale], strict=True):
            axes.plot(
                o.psnr[SETS[-1]], o.spectrum, marker="o", markersize=9, linestyle="none", color=colour, label=o.method
            )
        axes.set_title(f"×{scale}", color=INK, loc="left")
        axes.set_xlabel("PSNR on Set14, dB", color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        axes.axhline(0, color=MUTED, linewidth=0.8, zorder=0)
    panels[0].set_ylabel("checkerboard in the spectrum, dB", color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK, weight="bold")
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
