"""The measurements as a picture: how many times real time, by the size of a block."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from trous.apps.audio.latency.measure import NATIVE, PLAIN, PUSH, Latency
from trous.bench.plot import FAINT, INK, MUTED, OUR_COLOUR, THEIR_COLOUR
from trous.errors import TrousError
from trous.files import replace_file

SUFFIXES = (".svg", ".png")

_COLOURS = {NATIVE: OUR_COLOUR, PUSH: THEIR_COLOUR, PLAIN: MUTED}
_WORDS = {NATIVE: "fused, called from native code", PUSH: "fused, by .push in Python", PLAIN: "not fused, by .push"}


def check(path: Path) -> None:
    """Raises TrousError for a suffix that there is no picture for, and a folder that is not there."""
    if path.suffix.lower() not in SUFFIXES:
        raise TrousError("output", f"must end in {' or '.join(SUFFIXES)}", str(path))
    if not path.parent.is_dir():
        raise TrousError("output", "must be in a folder that is there", str(path))


def save(latency: Latency, path: Path) -> None:
    """Write the picture in one step, as what the name ends in."""
    check(path)
    try:
        replace_file(path, picture(latency, path.suffix.lower()))
    except OSError as error:
        raise TrousError("output", f"must be where a file can be written ({error.strerror})", str(path)) from None


def picture(latency: Latency, suffix: str = ".png") -> bytes:
    """An engine is a line through its medians; a bar goes down from there to its worst block, a mark is the 99.9th
    percentile. Below 1 a block takes longer than it lasts."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained", facecolor="white")
    axes = figure.subplots()
    engines = list(dict.fromkeys(timing.engine for timing in latency.timings))
    blocks = sorted({timing.block for timing in latency.timings})
    for number, engine in enumerate(engines):
        own = sorted((t for t in latency.timings if t.engine == engine), key=lambda t: t.block)
        # Engines stand beside each other, so that no bar hides another.
        x = [t.block * 1.06 ** (number - (len(engines) - 1) / 2) for t in own]
        lasts = [t.block / latency.rate for t in own]
        medians, high, worst = (
            [length / value for length, value in zip(lasts, values, strict=True)]
            for values in ([t.median for t in own], [t.high for t in own], [t.worst for t in own])
        )
        colour = _COLOURS[engine]
        axes.vlines(x, worst, medians, color=colour, linewidth=4, alpha=0.25, zorder=2)
        axes.plot(x, high, linestyle="none", marker="_", markersize=9, color=colour, zorder=3)
        axes.plot(x, medians, marker="o", markersize=5, color=colour, linewidth=1.6, label=_WORDS[engine], zorder=4)
    axes.set(xscale="log", yscale="log", xlabel="samples of a block", ylabel="times real time")
    axes.axhline(1, color=INK, linewidth=1, zorder=1)
    axes.annotate("real time", (1, 1), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="right", color=INK, fontsize=8)  # fmt: skip
    axes.set_xticks(blocks, [str(block) for block in blocks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
    axes.set_title(f"{latency.name} at {latency.rate:,} Hz", loc="left", fontsize=12, color=INK, weight="bold")
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    figure.text(0.99, 0.02, "line: median; mark: 99.9th percentile; bar: to the worst", ha="right", color=MUTED,
                fontsize=8)  # fmt: skip
    buffer = BytesIO()
    if suffix == ".svg":
        with rc_context({"svg.hashsalt": "trous"}):
            FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    else:
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
