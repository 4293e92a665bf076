"""`trous audio info`: what a model of an amplifier is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trous.apps.audio.nam import Amp

_UNITS = {"loudness": " dB", "input_level_dbu": " dBu", "output_level_dbu": " dBu"}


def info(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .nam file.", show_default=False)],
    size: Annotated[
        float, typer.Option("--size", min=0.0, max=1.0, help="Of a file with networks of several sizes, which; 0 to 1.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print a Neural Amp Modeler file's network, rate, receptive field, and what its maker says.

    \b
    Examples:
      trous audio info amp.nam
      trous audio info a2.nam --size 0 --json
    """
    from trous.apps.audio import nam

    amp = nam.load(model, size=size)
    if as_json:
        typer.echo(json.dumps(_facts(amp) | {"metadata": amp.metadata}, indent=2))
    else:
        _show(model, amp)


def _facts(amp: Amp) -> dict[str, Any]:
    network = amp.network
    field = network.receptive_field
    return {
        "architecture": network.architecture,
        "version": amp.version,
        "weights": network.count,
        "layers": _layers(network.config),
        "sample_rate": amp.rate,
        "receptive_field": field,
        "receptive_field_ms": None if field is None else round(1000 * field / amp.rate, 3),
        "sizes": list(amp.choices),
        "loudness": amp.loudness,
    }


def _layers(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The arrays of a WaveNet, in short."""
    arrays = config.get("layers") or []
    return [{"channels": array["channels"], "dilations": array["dilations"]} for array in arrays]


def _show(model: Path, amp: Amp) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (*_lines(amp), *_metadata(amp.metadata)):
        table.add_row(name, value)
    console = Console(highlight=False, markup=False)
    console.print(model.name)
    console.print(table)


def _lines(amp: Amp) -> list[tuple[str, str]]:
    found = _facts(amp)
    field = found["receptive_field"]
    lines = [
        ("architecture", f"{found['architecture']}, file version {found['version']}"),
        ("weights", f"{found['weights']:,}"),
        *((f"{each['channels']} channels", f"dilations {_run(each['dilations'])}") for each in found["layers"]),
        ("sample rate", f"{amp.rate} Hz"),
        ("receptive field", "all that came before" if field is None else _field(field, found["receptive_field_ms"])),
    ]
    if amp.choices:
        bounds = ", ".join(f"{bound:g}" for bound in amp.choices)
        lines.append(("networks", f"{len(amp.choices)}, for --size below {bounds}"))
    return lines


def _field(samples: int, milliseconds: float) -> str:
    return f"{samples:,} samples, {milliseconds:.1f} ms"


def _run(dilations: list[int]) -> str:
    return " ".join(map(str, dilations))


def _metadata(said: dict[str, Any]) -> list[tuple[str, str]]:
    """What the maker says: a line for each value, but for those of how it was trained, which --json has."""
    lines = []
    for key, value in said.items():
        if key == "training" and isinstance(value, dict):
            key, value = "error to signal", value.get("validation_esr")
        if isinstance(value, dict):
            value = _date(value) if value.keys() >= {"year", "month", "day"} else None
        if value not in (None, ""):
            text = f"{value:.4g}" if isinstance(value, float) else _printable(str(value))
            name = _printable(key.removesuffix("_dbu").replace("_", " "))
            lines.append((name, text + _UNITS.get(key, "")))
    return lines


def _printable(text: str) -> str:
    """Without what steers a terminal: files come from strangers."""
    return "".join(each if each.isprintable() else " " for each in text)


def _date(said: dict[str, Any]) -> str:
    """The date and time of the trainer's `date`."""

    def joined(mark: str, *keys: str) -> str:
        return mark.join(f"{said[key]:02}" for key in keys if isinstance(said.get(key), int))

    return f"{joined('-', 'year', 'month', 'day')} {joined(':', 'hour', 'minute', 'second')}".strip()
