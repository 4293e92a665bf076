"""A report as text, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trous.inspection.layers import Layer
    from trous.inspection.report import Report

HEADER = ("layer", "kind", "output", "field", "jump", "seen", "parameters", "MACs", "memory")

#: Where the text of a column starts; numbers end together.
LEFT = frozenset({"layer", "kind", "output"})


def report_text(report: Report) -> str:
    """Layers as a table, with fields on the first input; sums, and warnings below."""
    rows = [HEADER, *(row(layer.on(0)) for layer in report.layers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for cells in rows:
        padded = [
            cell.ljust(width) if name in LEFT else cell.rjust(width)
            for name, cell, width in zip(HEADER, cells, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([*lines, "", *sums(report), *notes(report)])


def row(layer: Layer) -> tuple[str, ...]:
    """The cells of one line."""
    seen = [share for share in layer.seen if share is not None and share < 1]
    return (
        layer.name,
        layer.kind,
        times(layer.shape[1:]),
        field(layer),
        times([number(jump) for jump in layer.jump]),
        f"{100 * min(seen):.0f} %" if seen else "",
        f"{layer.parameters:,}" if layer.parameters else "",
        count(layer.macs) if layer.macs else "",
        size(layer.bytes) if layer.bytes else "",
    )


def field(layer: Layer) -> str:
    """The receptive field, starred where it is that of this size only; "all" where a global layer alone joins output
    and input, "+ all" where one does as well."""
    if not layer.trails:
        return ""
    if layer.everywhere and not any(trail.field or trail.vague for trail in layer.trails):
        return "all"
    star = "*" if layer.at_this_size else ""
    return times(layer.receptive_field) + star + (" + all" if layer.everywhere else "")


def sums(report: Report) -> list[str]:
    output = report.output.on(0)
    border, spared = report.nominal_macs - report.macs, ""
    if border:
        spared = f" ({100 * border / report.nominal_macs:.1f} % of {count(report.nominal_macs)} fall into padding)"
    lines = [
        f"{count(report.parameters)} parameters, {count(report.macs)} multiply-adds{spared}",
        f"activations: {size(report.activation_bytes)} in all, {size(report.peak_bytes)} at one time",
    ]
    if output.trails:
        where = f" on the first of {len(report.graph.inputs)} inputs" if len(report.graph.inputs) > 1 else ""
        lines.append(f"receptive field of the output{where}: {field(output)}")
    return lines


def notes(report: Report) -> list[str]:
    """What is global, and the warnings."""
    lines = []
    if any(layer.on(0).at_this_size for layer in report):
        lines.append("* at this size: branches of rates that do not agree, or a reshape, leave no pattern")
    everywhere = report.output.everywhere
    if everywhere:
        names = ", ".join(everywhere[:3]) + (f" and {len(everywhere) - 3} more" if len(everywhere) > 3 else "")
        lines.append(f"global: outputs depend on inputs at any distance through {names}")
    if report.warnings:
        lines += ["", "warnings:", *(f"  {text}" for text in report.warnings)]
    return lines


def times(values: Sequence[object]) -> str:
    """`3x224x224`; one number where all are alike and there are several axes of one kind."""
    return "x".join(map(str, values))


def number(value: Fraction | None) -> str:
    return "-" if value is None else str(value)


def count(value: int) -> str:
    """A number of three digits with its thousands: 12.3 M."""
    for unit, name in ((10**12, " T"), (10**9, " G"), (10**6, " M"), (10**3, " k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return str(value)


def size(value: int) -> str:
    """Bytes in units of 1024."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value} B"
