"""Solutions as text: what tells the first of them apart, or what would come nearest where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from trous.plan import AxisPlan
from trous.plan.reach import unread
from trous.plan.sizes import unevenness
from trous.plan.table import columns, count, size_rule
from trous.solving.advice import advice
from trous.solving.wanted import Wanted
from trous.spec import ConvTranspose, Spec

if TYPE_CHECKING:
    from trous.solving.solutions import Solutions

SHOWN = 12

_EVENNESS = ("even", "uneven", "gaps")


def solutions_text(solutions: Solutions) -> str:
    """The first dozen as a table.

    >>> print(solve(7, 4, kernel=3, dilation=1, kind="conv"))
    7 -> 4: 1 spec
      layer  kernel  stride  padding  dilation  taps  output =        overlap  border
      Conv        3       2        1         1     3  (input + 1)//2  even     -
    """
    rows = table(solutions, SHOWN)
    advised = [f"  {line}" for line in advice(solutions)]
    if not rows:
        return "\n".join([heading(solutions), *advised])
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    for place in (0, -3, -2):  # words to the left, as numbers are to the right
        width = max(len(line[place]) for line in cells)
        for line in cells:
            line[place] = line[place].ljust(width)
    lines = [heading(solutions), *columns(cells, left=3)]
    if len(solutions) > len(rows):
        lines.append(f"  and {len(solutions) - len(rows):,} more")
    return "\n".join([*lines, *advised])


def heading(solutions: Solutions) -> str:
    """What was asked for, and how many specs do it."""
    number = len(solutions)
    told = "no spec within these ranges" if not number else "1 spec" if number == 1 else f"{number:,} specs, best first"
    return f"{solutions.question}: {told}"


def table(solutions: Solutions, most: int) -> list[dict[str, str]]:
    """What to show of the first solutions, by the names of the columns; output_padding only where there is any."""
    rows = [row(spec, solutions.sizes) for spec in islice(solutions, most)]
    if all(each["output_padding"] in ("", "0") for each in rows):
        for each in rows:
            del each["output_padding"]
    return rows


def row(spec: Spec, sizes: Sequence[Wanted]) -> dict[str, str]:
    arguments = [spec.axis_arguments(axis) for axis in range(len(sizes))]
    plans = spec.plan(len(sizes)).axes
    numbers = {name: [each.get(name, "") for each in arguments] for name in _NUMBERS}
    numbers["padding"] = [before if before == after else f"{before}:{after}" for before, after in numbers["padding"]]
    return {
        "layer": type(spec).__name__,
        **{name: _once(values) for name, values in numbers.items()},
        "taps": _once([_taps(plan) for plan in plans]),
        "output =": _once([size_rule(plan) for plan in plans], ", "),
        "overlap": _once([_EVENNESS[_uneven(spec, each)] for each in arguments], ", "),
        "border": _once([_border(plan, size) for plan, size in zip(plans, sizes, strict=True)], ", "),
    }


_NUMBERS = ("kernel", "stride", "padding", "output_padding", "dilation")


def numbers_of(spec: Spec) -> dict[str, Any]:
    """The arguments of a spec as they were given."""
    return {name: getattr(spec, name) for name in _NUMBERS if hasattr(spec, name)}


def _uneven(spec: Spec, arguments: dict[str, Any]) -> int:
    return unevenness(isinstance(spec, ConvTranspose), *(arguments[name] for name in ("kernel", "stride", "dilation")))


def _once(values: Sequence[object], between: str = "x") -> str:
    """One value for each axis, or the one that all share."""
    return between.join(map(str, values if len(set(values)) > 1 else values[:1]))


def _taps(plan: AxisPlan) -> str:
    """Taps per output, the fewest and the most by phase."""
    taps = sorted({len(phase) for phase in plan.by_phase})
    return str(taps[0]) if len(taps) == 1 else f"{taps[0]}-{taps[-1]}"


def _border(plan: AxisPlan, size: Wanted) -> str:
    """What is lost there, at the worst size: it grows in even steps if it does, so that is the first or the last."""
    inputs = max(sum(unread(plan, n, m)) for n, m in size.ends)
    outputs = max(sum(unread(plan.adjoint(), m, n)) for n, m in size.ends)
    losses = [f"{count(inputs, 'input', 'inputs')} unread"] if inputs else []
    losses += [f"{count(outputs, 'output', 'outputs')} bias alone"] if outputs else []
    return ", ".join(losses) or "-"
