"""What was measured, on which machine, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from math import exp, log
from pathlib import Path
from typing import Any

from trous.bench.compare import OURS, OURS_LAST, THEIRS, THEIRS_LAST, Result
from trous.files import replace_file

COLUMNS = (OURS, OURS_LAST, THEIRS, THEIRS_LAST)
HEADER = ("layer", "trous", "last", "PyTorch", "last", "GFLOP/s", "ratio", "best")

EXPLANATION = (
    "Median milliseconds of one forward call, contenders taking turns, after each had equalled PyTorch's float64 "
    "result bit for bit on small integers; `last` is the same layer in channels-last memory. GFLOP/s: trous "
    "channels-first, multiplications that the plan counts, times two. Ratio: PyTorch's default layout over trous, both "
    "channels-first; best: the better layout of each. Above 1, trous is faster."
)


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """One row of text for each layer, in the columns of `HEADER`."""
    return [
        (
            result.case.id,
            *(f"{1e3 * result.seconds[name]:.3f}" if name in result.seconds else "" for name in COLUMNS),
            f"{result.gflops(OURS):.1f}",
            f"{result.ratio:.2f}",
            f"{result.best_ratio:.2f}",
        )
        for result in results
    ]


def summary(results: Sequence[Result]) -> list[str]:
    """Geometric means and worst layers, one line for each ratio."""
    lines = []
    for name, ratios in (
        ("ratio", {r.case.id: r.ratio for r in results}),
        ("best", {r.case.id: r.best_ratio for r in results}),
    ):
        mean = exp(sum(map(log, ratios.values())) / len(ratios))
        worst = min(ratios, key=lambda key: ratios[key])
        lines.append(f"{name}: geometric mean {mean:.2f}, worst {ratios[worst]:.2f} ({worst})")
    return lines


def machine(folder: Path) -> dict[str, str]:
    """The machine and the versions; `folder` is a place in the repository whose commit was measured."""
    import torch

    return {
        "cpu": cpu_model(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "llvmlite", "torch")},
        "commit": _commit(folder),
    }


def write(results: Sequence[Result], folder: Path, command: str) -> list[Path]:
    """JSON and Markdown in `folder`, named by date; either is complete or not there."""
    about = machine(folder.parent)
    stem = f"{time.strftime('%Y-%m-%d', time.gmtime())}-cpu-f32-forward"
    records = [
        {"id": r.case.id, "problem": str(r.case.problem), "seconds": r.seconds, "gflops": r.gflops(OURS)}
        for r in results
    ]
    document = {"machine": about, "command": command, "summary": summary(results), "results": records}
    contents = {".json": json.dumps(document, indent=1) + "\n", ".md": _markdown(results, about, command)}
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / (stem + suffix) for suffix in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        replace_file(path, text)
    return paths


def _markdown(results: Sequence[Result], about: dict[str, Any], command: str) -> str:
    table = [HEADER, ("---", *["---:"] * (len(HEADER) - 1)), *rows(results)]
    return "\n".join(
        [
            "# CPU, float32, forward",
            "",
            EXPLANATION,
            "",
            *(f"- {line}" for line in summary(results)),
            *(f"- {name}: {value}" for name, value in about.items()),
            f"- again: `{command}`",
            "",
            *("| " + " | ".join(row) + " |" for row in table),
            "",
        ]
    )


def cpu_model() -> str:
    """The name of the processor, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit(folder: Path) -> str:
    """The short hash, with a plus sign where the source differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "../src") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
