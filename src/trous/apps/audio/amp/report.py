"""What a run came to, as a picture: a moment of the held-out clip, its spectrum, and how the error fell."""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from trous.apps.fitting import LOGS
from trous.bench.plot import FAINT, INK, MUTED

#: The amplifier, the network and the difference; told apart by eyes that see colours otherwise too (Okabe & Ito 2008).
_AMP, _NETWORK, _ERROR = "#0072b2", "#d55e00", "#8a8781"
#: Seconds of the waveform that is drawn.
_MOMENT = 0.02
#: Samples of a segment of the spectrum.
_SEGMENT = 4096


def curve(folder: Path) -> list[tuple[float, float]]:
    """Of a run's folder: minutes and the error-to-signal ratio, after every epoch."""
    found = {}
    for path in sorted((folder / LOGS).glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:])):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if row.get("esr"):
                    found[int(row["epoch"])] = float(row["minutes"]), float(row["esr"])
    return [found[epoch] for epoch in sorted(found)]


def picture(target: np.ndarray, played: np.ndarray, rate: int, errors: list[tuple[float, float]], title: str) -> bytes:
    """A PNG for the held-out clip, as the amplifier and as the network play it, both `(samples,)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained", facecolor="white")
    panels = figure.subplot_mosaic([["wave", "wave"], ["spectrum", "errors"]])
    _wave(panels["wave"], target, played, rate)
    _spectrum(panels["spectrum"], target, played, rate)
    _errors(panels["errors"], errors)
    for axes in panels.values():
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set_color(INK)
        axes.title.set_color(INK)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK, weight="bold")
    handles, labels = panels["wave"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _wave(axes: Any, target: np.ndarray, played: np.ndarray, rate: int) -> None:
    """Where the amplifier is loudest."""
    count = min(len(target), round(_MOMENT * rate))
    power = np.convolve(target.astype(np.float64) ** 2, np.ones(count), "valid") if len(target) > count else [0.0]
    start = int(np.argmax(power))
    moment = slice(start, start + count)
    seconds = np.arange(start, start + count) / rate
    axes.plot(seconds, target[moment], color=_AMP, linewidth=2.2, alpha=0.6, label="amplifier")
    axes.plot(seconds, played[moment], color=_NETWORK, linewidth=1.0, label="network")
    axes.plot(seconds, played[moment] - target[moment], color=_ERROR, linewidth=0.9, label="difference")
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set(xlabel="seconds of the held-out clip", xlim=(seconds[0], seconds[-1]))
    axes.set_title("Where it is loudest", loc="left", fontsize=11)


def _spectrum(axes: Any, target: np.ndarray, played: np.ndarray, rate: int) -> None:
    shown = (target, _AMP, 2.2), (played, _NETWORK, 1.0), (played - target, _ERROR, 0.9)
    for samples, colour, width in shown:
        hertz, decibels = spectrum(samples, rate)
        axes.plot(hertz[1:], decibels[1:], color=colour, linewidth=width, alpha=0.6 if width > 2 else 1)
    axes.set(xscale="log", xlim=(30, rate / 2), xlabel="Hz", ylabel="dB of full scale in a band")
    axes.xaxis.set_major_formatter("{x:g}")
    highest = float(spectrum(target, rate)[1].max())
    axes.set_ylim(highest - 100, highest + 6)
    axes.set_title("Spectrum", loc="left", fontsize=11)


def spectrum(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Hertz and dB: the mean power of segments that overlap by half (Welch 1967)."""
    window = np.hanning(_SEGMENT)
    padded = np.pad(samples.astype(np.float64), (0, max(0, _SEGMENT - len(samples))))
    segments = np.lib.stride_tricks.sliding_window_view(padded, _SEGMENT)[:: _SEGMENT // 2]
    power = np.zeros(_SEGMENT // 2 + 1)
    for segment in segments:
        power += np.abs(np.fft.rfft(segment * window)) ** 2
    power *= 2 / len(segments) / window.sum() ** 2
    return np.fft.rfftfreq(_SEGMENT, 1 / rate), 10 * np.log10(power + 1e-15)


def _errors(axes: Any, errors: list[tuple[float, float]]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    minutes, ratios = zip(*errors, strict=True) if errors else ((), ())
    axes.plot(minutes, ratios, color=INK, linewidth=1.4, marker="." if len(errors) < 30 else "")
    axes.set(yscale="log", xlabel="minutes of training", ylabel="error-to-signal ratio, held out")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    if errors:
        best = min(ratios)
        axes.annotate(
            f"{best:.4f}",
            (minutes[ratios.index(best)], best),
            (0, 8),
            textcoords="offset points",
            ha="right",
            color=MUTED,
        )
    axes.set_title("How the error fell", loc="left", fontsize=11)
