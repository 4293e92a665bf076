"""The quality of every method as tables and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from statistics import fmean
from typing import Any

from trous.apps.deconvolution.cases import NOISE, Case
from trous.apps.deconvolution.rivals import TAPERED
from trous.bench.plot import INK, MUTED, OUR_COLOUR, THEIR_COLOUR
from trous.bench.record import Record

EXPLANATION = (
    "Kodak's photographs blurred by the eight kernels of Levin et al. 2009 from true surroundings, Gaussian noise of "
    "1 % of full scale; grey is luma of BT.601, 0 to 1. PSNR in dB for a peak of 1 over all of the blurred picture's "
    "size, borders included, neither rounded nor clipped. trous knows the picture and the kernel alone: no noise "
    "level, no weight, no number of iterations. Of scikit-image's methods each is given the parameter that suits that "
    "picture best, by the truth. Tapered: the picture is continued, faded to its mean, before, and cropped after. "
    "Counts are for Richardson-Lucy: below zero nothing is given to it."
)

Found = Mapping[str, Sequence[Mapping[str, Any]]]  #: by contender: its runs, in the order of the cases


def gains(found: Found) -> dict[str, dict[str, float]]:
    """By method of ours: dB above whichever of the others is best in each case, on average, and at the least.

    The average of differences in dB is the geometric mean of the ratios of errors. Once over the others `as_they_are`,
    and once over those that are given faded edges too.
    """
    theirs = {name: [run["psnr"] for run in runs] for name, runs in found.items() if not name.startswith("trous")}
    plain = [values for name, values in theirs.items() if not name.endswith(TAPERED)]
    bests = [[max(column) for column in zip(*values, strict=True)] for values in (plain, list(theirs.values()))]
    gained = {}
    for name, runs in found.items():
        if name.startswith("trous"):
            plain_over, over = ([r["psnr"] - best for r, best in zip(runs, each, strict=True)] for each in bests)
            gained[name] = {
                **{"as_they_are": fmean(plain_over), "as_they_are_least": min(plain_over)},
                **{"tapered": fmean(over), "tapered_least": min(over)},
            }
    return gained


def record(found: Found, cases: Sequence[Case]) -> Record:
    numbers = sorted({case.number for case in cases})
    header = ["contender", "PSNR", *(f"kernel {n}" for n in numbers), "s"]
    rows = []
    for name, runs in found.items():
        means = [fmean(r["psnr"] for r, c in zip(runs, cases, strict=True) if c.number == n) for n in numbers]
        values = (f"{value:.2f}" for value in (fmean(r["psnr"] for r in runs), *means))
        rows.append((name, *values, f"{fmean(r['seconds'] for r in runs):.1f}"))
    gained = gains(found)
    above = ("dB above scikit-image's best in each case", "as it is", "least", "tapered too", "least")
    lines = [(name, *(f"{value:.2f}" for value in g.values())) for name, g in gained.items()]
    commits = sorted({r["commit"] for name, runs in found.items() if name.startswith("trous") for r in runs})
    pictures = len({case.picture for case in cases})
    facts = [
        f"{len(cases)} cases: {len(numbers)} kernels, {pictures} pictures, noise {NOISE:g}",
        "s: mean seconds of a case, all parameters tried, beside other work on the machine: no measure of speed",
        f"trous at commits {', '.join(commits)}",
    ]
    document = {
        "cases": [case.name for case in cases],
        "runs": {name: [dict(r) for r in runs] for name, runs in found.items()},
        "gains": gained,
    }
    title = "Photographs sharpened, beside scikit-image at its best"
    drawn = picture(found, cases, title)
    return Record(
        "deconvolution-quality", title, EXPLANATION, [(header, rows), (above, lines)], facts, document, picture=drawn
    )


def picture(found: Found, cases: Sequence[Case], title: str) -> bytes:
    """A PNG: a row for each contender, a dot for each case, the mean in ink."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.42 * len(found)), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for row, (name, runs) in enumerate(found.items()):
        colour = OUR_COLOUR if name.startswith("trous") else THEIR_COLOUR
        values = [r["psnr"] for r in runs]
        axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.25, markersize=5, markeredgewidth=0)
        axes.plot(fmean(values), row, "|", color=INK, markersize=18, markeredgewidth=2)
        axes.annotate(
            f"{fmean(values):.2f}", (1.0, row), xycoords=("axes fraction", "data"), va="center", color=INK, fontsize=9
        )
    axes.set_yticks(range(len(found)), list(found), fontsize=9, color=INK)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel("PSNR, dB; the stroke and the number are the mean", color=INK)
    axes.grid(axis="x", color=MUTED, alpha=0.3, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9, left=False)
    figure.suptitle(f"{title}, {len(cases)} cases", x=0.01, ha="left", fontsize=13, color=INK, weight="bold")
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
