"""What was measured on layers: rows for people, a summary, and the whole as JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import exp, log
from typing import Any

from trous.bench.layers import Result
from trous.bench.peers import OURS, PEERS, Peer
from trous.bench.record import Record, Table
from trous.bench.roofline import Roofline

LAYOUTS = {False: "first", True: "last"}  #: what a table calls channels-first and channels-last input of trous

EXPLANATION = (
    "Times are medians of one call, contenders taking turns, each checked bit for bit on small integers before. "
    "`input`: whether trous is given its input channels-first or channels-last. GFLOP/s: what the plan counts, taps in "
    "the padding and zeros left out. `roof`: the least time that the peak rate and the bandwidth allow, as a share of "
    "the time taken. The rest says how many times faster trous is: than PyTorch in its default layout, in "
    "channels-last memory, and than the quicker layout of every other; `best` is the quickest of them all."
)

FROZEN = (
    "frozen weights: trous and torch.compile may bring them into an order of their own before the calls, as ONNX "
    "Runtime and OpenVINO always do; PyTorch and JAX are called as ever"
)


@dataclass(frozen=True)
class Report:
    """Results of one list with one kind of call, and the machine's limits."""

    results: Sequence[Result]
    roofline: Roofline
    peers: Sequence[Peer]
    frozen: bool = False

    @property
    def training(self) -> bool:
        return any(result.training for result in self.results)

    def record(self, name: str, seconds: float) -> Record:
        """The whole, under the name of its list; with a plot where matplotlib is installed."""
        dtypes = sorted({result.case.problem.dtype for result in self.results})
        mode = "train" if self.training else "forward"
        threads = f"{self.roofline.threads} thread{'s' if self.roofline.threads > 1 else ''}"
        title = f"{name}: {len(self.results)} layers, {', '.join(dtypes)}, {mode}, {threads}"
        facts = self.notes()
        frozen = ["frozen"] if self.frozen else []
        if frozen:
            title += ", frozen weights"
            facts.append(FROZEN)
        drawn = None
        if find_spec("matplotlib"):
            from trous.bench.plot import picture

            drawn = picture(self, title)
        else:
            facts.append("no plot: matplotlib is not installed")
        return Record(
            "-".join((name, *dtypes, mode, *frozen)),
            title,
            EXPLANATION,
            [(self.header(), self.rows()), self.summary()],
            facts,
            {"mode": mode, "frozen": self.frozen, "seconds": seconds, **self.to_dict()},
            [self.times()],
            drawn,
        )

    def share(self, result: Result, last: bool) -> float:
        """The least time over the time of trous."""
        return self.roofline.seconds(result.flops, result.bytes) / result.seconds[OURS.contender(last)]

    def header(self) -> tuple[str, ...]:
        return ("layer", "input", "ms", "GFLOP/s", "roof", *self._columns())

    def rows(self) -> list[tuple[str, ...]]:
        """Two rows of text for each layer, one for each layout of trous's input."""
        return [self._row(result, last) for result in self.results for last in OURS.layouts]

    def times(self) -> Table:
        """Milliseconds of every contender."""
        names = list(dict.fromkeys(name for result in self.results for name in result.seconds))
        rows = [
            (r.case.id, *(f"{1e3 * r.seconds[name]:.3f}" if name in r.seconds else "" for name in names))
            for r in self.results
        ]
        return ("ms", *names), rows

    def summary(self) -> Table:
        """Geometric means and the worst layer, for each layout of trous's input."""
        header = ["all layers"]
        for layout in LAYOUTS.values():
            header += [layout, "worst", "layer"]
        measures: list[tuple[str, Callable[[Result, bool], float | None], str]] = [
            *((f"over {name}", partial(self._ratio, names), ".2f") for name, names in self._columns().items()),
            ("of the roofline", self.share, ".0%"),
        ]
        rows = []
        for name, value, form in measures:
            row = [name]
            for last in LAYOUTS:
                found = {r.case.id: v for r in self.results if (v := value(r, last)) is not None}
                worst = min(found, key=lambda key: found[key], default="")
                row += (
                    [f"{_geometric_mean(found.values()):{form}}", f"{found[worst]:{form}}", worst]
                    if found
                    else [""] * 3
                )
            rows.append(row)
        return header, rows

    def notes(self) -> list[str]:
        """Who is not installed, and who is out of which layer for which reason."""
        lines = [f"{peer.name}: {missing}" for peer in self.peers if (missing := peer.missing())]
        lines += [f"{peer.name}: no training here" for peer in self._present() if self.training and not peer.trains]
        reasons: dict[tuple[str, str], list[str]] = {}
        for result in self.results:
            for name, reason in result.out.items():
                reasons.setdefault((name, reason), []).append(result.case.id)
        return lines + [f"{name}: {reason} ({', '.join(ids)})" for (name, reason), ids in reasons.items()]

    def to_dict(self) -> dict[str, Any]:
        return {
            "roofline": self.roofline.to_dict(),
            "results": [
                {
                    "id": r.case.id,
                    "problem": str(r.case.problem),
                    "flops": r.flops,
                    "bytes": r.bytes,
                    "roofline_seconds": self.roofline.seconds(r.flops, r.bytes),
                    "best_peer": r.best_peer(),
                    "seconds": r.seconds,
                    "out": r.out,
                }
                for r in self.results
            ],
        }

    def _present(self) -> list[Peer]:
        return [peer for peer in self.peers if not peer.missing()]

    def _columns(self) -> dict[str, list[str]]:
        """What trous is compared with: PyTorch's two layouts, the better one of every other peer, the best of all."""
        columns: dict[str, list[str]] = {}
        for peer in self._present():
            if peer is PEERS[0]:
                columns |= {name: [name] for name in peer.contenders}
            elif peer.trains or not self.training:
                columns[peer.name] = peer.contenders
        columns["best"] = [name for peer in self._present() for name in peer.contenders]
        return columns

    def _ratio(self, theirs: Sequence[str], result: Result, last: bool) -> float | None:
        seconds = result.least(theirs)
        return None if seconds is None else seconds / result.seconds[OURS.contender(last)]

    def _row(self, result: Result, last: bool) -> tuple[str, ...]:
        ours = result.seconds[OURS.contender(last)]
        ratios = [self._ratio(theirs, result, last) for theirs in self._columns().values()]
        return (
            result.case.id,
            LAYOUTS[last],
            f"{1e3 * ours:.3f}",
            f"{result.flops / ours / 1e9:.1f}",
            f"{self.share(result, last):.0%}",
            *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        )


def _geometric_mean(values: Collection[float]) -> float:
    return exp(sum(map(log, values)) / len(values))
