"""The roofline plot: every layer under the machine's limits, and its share of them by name."""

from __future__ import annotations

from io import BytesIO
from math import atan, degrees
from typing import TYPE_CHECKING, Any

from trous.bench.peers import OURS
from trous.bench.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUR_COLOUR, THEIR_COLOUR = "#0b6e99", "#d9730d"
INK, MUTED, FAINT = "#37352f", "#8a8781", "#c9c7c2"

#: Working sets whose bandwidth is drawn: within the cache of a core, within the last cache, beyond.
DRAWN = (1 << 20, 1 << 24, 1 << 29)


def picture(report: Report, title: str) -> bytes:
    """A PNG. Left: arithmetic intensity against speed; right: the share of each layer's own limit, by name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = len(report.results)
    figure = Figure(figsize=(13, max(5.0, 1.6 + 0.21 * rows)), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _roofs(left, report)
    _points(left, report)
    _shares(right, report)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK, weight="bold")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _roofs(axes: Axes, report: Report) -> None:
    """The peak, and a slope for each of a few working sets; what lies under a slope may be moved from there."""
    roofline = report.roofline
    intensities = [r.flops / r.bytes for r in report.results]
    low, high = min(intensities) / 2, max([*intensities, 4 * roofline.peak / roofline.bandwidth(DRAWN[0])]) * 2
    peak = roofline.peak / 1e9
    for size in DRAWN:
        rate = roofline.bandwidth(size) / 1e9
        ridge = peak / rate
        axes.plot([low, ridge], [low * rate, peak], color=FAINT, linewidth=1.2, zorder=1)
        style: dict[str, Any] = {
            "fontsize": 8,
            "color": MUTED,
            "rotation_mode": "anchor",
            "transform_rotates_text": True,
        }
        text, place = f"{rate:.0f} GB/s over {size >> 20} MB", (1.15 * low, 1.15 * low * rate * 1.1)
        axes.text(*place, text, rotation=degrees(atan(rate)), **style)  # rotation is that in linear axes
    axes.plot([peak / (roofline.bandwidth(DRAWN[0]) / 1e9), high], [peak, peak], color=FAINT, linewidth=1.2, zorder=1)
    axes.annotate(
        f"{peak:.0f} GFLOP/s: {roofline.unit}, {roofline.threads} threads",
        (high, peak),
        (0, 4),
        ha="right",
        textcoords="offset points",
        color=MUTED,
        fontsize=8,
    )
    axes.set(xscale="log", yscale="log", xlim=(low, high), xlabel="arithmetic intensity, FLOP / byte", ylabel="GFLOP/s")
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
        axis.set_major_formatter("{x:g}")


def _points(axes: Axes, report: Report) -> None:
    """Each layer: the quicker layout of trous, the quickest peer, and a stroke between the two."""
    lowest = report.roofline.peak / 1e9
    for number, result in enumerate(report.results):
        x, speeds = result.flops / result.bytes, _gflops(result)
        lowest = min(lowest, *speeds)
        style: dict[str, Any] = {"linestyle": "none", "zorder": 3}
        if len(speeds) > 1:
            colour = OUR_COLOUR if speeds[0] >= speeds[1] else THEIR_COLOUR
            axes.plot([x, x], speeds, color=colour, linewidth=1, alpha=0.6, zorder=2)
            axes.plot(
                x,
                speeds[1],
                marker="o",
                markersize=5,
                markerfacecolor="white",
                markeredgecolor=THEIR_COLOUR,
                label="" if number else "the quickest peer, best layout",
                **style,
            )
        axes.plot(
            x,
            speeds[0],
            marker="o",
            markersize=5.5,
            color=OUR_COLOUR,
            label="" if number else "trous, best layout",
            **style,
        )
    axes.set_ylim(lowest / 1.6, report.roofline.peak / 1e9 * 1.7)


def _shares(axes: Axes, report: Report) -> None:
    """One line for each layer, the best on top: shares of its own limit, by both layouts of trous and by the peer."""
    from matplotlib.ticker import PercentFormatter

    limit = {id(r): report.roofline.seconds(r.flops, r.bytes) for r in report.results}
    ordered = sorted(
        report.results, key=lambda r: limit[id(r)] / min(r.seconds[OURS.contender(last)] for last in OURS.layouts)
    )
    for place, result in enumerate(ordered):
        axes.axhline(place, color="#efeeeb", linewidth=0.8, zorder=0)
        ours = [limit[id(result)] / result.seconds[OURS.contender(last)] for last in OURS.layouts]
        axes.plot(ours, [place] * len(ours), color=OUR_COLOUR, linewidth=1.2, alpha=0.5, zorder=2)
        for share, marker in zip(ours, ("o", "s"), strict=True):
            axes.plot(share, place, marker=marker, markersize=5, color=OUR_COLOUR, zorder=3)
        if (name := result.best_peer()) is not None:
            axes.plot(
                limit[id(result)] / result.seconds[name],
                place,
                marker="o",
                markersize=5,
                markerfacecolor="white",
                markeredgecolor=THEIR_COLOUR,
                zorder=4,
            )
    axes.set_yticks(range(len(ordered)), [r.case.id for r in ordered])
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xlim(0, max(1.0, axes.get_xlim()[1]))
    axes.axvline(1, color=FAINT, linewidth=1.2, zorder=1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the layer's own limit (dot: channels-first, square: channels-last)", color=INK)
    axes.tick_params(axis="y", length=0)


def _gflops(result: Any) -> list[float]:
    """Of trous in its quicker layout, and of the quickest peer if there is one."""
    seconds = [min(result.seconds[OURS.contender(last)] for last in OURS.layouts)]
    if (name := result.best_peer()) is not None:
        seconds.append(result.seconds[name])
    return [result.flops / s / 1e9 for s in seconds]
