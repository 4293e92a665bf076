"""A run as tables and a picture: `trous bench wavenet`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO

from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.scores import Epoch, Likeness
from trous.bench.plot import INK, MUTED, OUR_COLOUR, THEIR_COLOUR
from trous.bench.record import Record, Table

EXPLANATION = (
    "A WaveNet trained by trous train wavenet; see docs/wavenet.md. Bits: what a sample costs, the mean negative "
    "logarithm to base 2 of the probability that the network gives it; held out: on files that it has not learnt from. "
    "Mel distance: mean absolute difference of mel spectrograms in dB."
)


def record(
    name: str, architecture: Architecture, epochs: Sequence[Epoch], likeness: Likeness | None, parameters: int
) -> Record:
    shown = sorted({round(n * (len(epochs) - 1) / 9) for n in range(10)})
    rows = [(f"{e.number}", f"{e.bits:.3f}", f"{e.held_out:.3f}") for e in (epochs[n] for n in shown)]
    tables: list[Table] = [(("epochs", "bits", "held out"), rows)]
    if likeness is not None:
        kinds = (("generated", likeness.generated), ("rounded", likeness.rounded), ("white noise", likeness.noise))
        header = ("sound", f"mel distance, dB, over {likeness.seconds:.2f} s")
        tables.append((header, [(kind, f"{value:.2f}") for kind, value in kinds]))
    facts = [
        f"{architecture.layers} layers of {architecture.channels} channels, {parameters:,} parameters, "
        f"{architecture.field:,} samples of context at {architecture.sample_rate:,} Hz"
    ]
    document = {
        "architecture": architecture.to_dict(),
        "parameters": parameters,
        "epochs": [asdict(epoch) for epoch in epochs],
        "likeness": None if likeness is None else asdict(likeness),
    }
    title = f"WaveNet {name}"
    return Record(f"wavenet-{name}", title, EXPLANATION, tables, facts, document, picture=picture(epochs, title))


def picture(epochs: Sequence[Epoch], title: str) -> bytes:
    """A PNG: bits by epochs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained", facecolor="white")
    axes = figure.subplots()
    numbers = [epoch.number for epoch in epochs]
    for label, colour, values in (
        ("learnt from", THEIR_COLOUR, [epoch.bits for epoch in epochs]),
        ("held out, averaged weights", OUR_COLOUR, [epoch.held_out for epoch in epochs]),
    ):
        axes.plot(numbers, values, color=colour, linewidth=1.8, label=label)
    axes.set_xlabel("epochs", color=INK)
    axes.set_ylabel("bits for a sample", color=INK)
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(title, loc="left", color=INK, weight="bold")
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
