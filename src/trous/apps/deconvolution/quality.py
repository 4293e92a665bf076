"""Every method on every case: `trous bench deconvolution quality`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trous.apps.deconvolution.cases import NOISE, Case, blurred, psnr, read_grey
from trous.apps.deconvolution.rivals import RIVALS, Best, Rival, Score
from trous.apps.deconvolution.runs import kept
from trous.bench.record import Track
from trous.inverse.entry import METHODS


def ours(method: str, y: np.ndarray, kernel: np.ndarray, score: Score) -> Best:
    """`trous.deconvolve` with nothing told but the method."""
    from trous import deconvolve

    given = y.clip(0) if method == "richardson_lucy" else y  # it takes counts
    return Best("defaults", score(deconvolve(given, kernel, method=method)))


#: By name; those of others first, which depend on nothing here.
CONTENDERS: dict[str, Rival] = {
    **{f"scikit-image {name}": rival for name, rival in RIVALS.items()},
    **{f"trous {method}": partial(ours, method) for method in METHODS},
}


def run(
    chosen: Sequence[Case], folder: Path, track: Track[Any], contenders: dict[str, Rival]
) -> dict[str, list[dict[str, Any]]]:
    """By contender, in the order of the cases: `parameter`, `psnr`, `seconds` and `commit`; kept in `folder`."""
    work = [(name, case) for name in contenders for case in chosen]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for name, case in track(work, lambda item: f"{item[0]} {item[1].name}"):
        path = folder / name.replace(", ", "-").replace(" ", "-") / f"{case.name}.json"
        found[name].append(kept(path, partial(_measured, contenders[name], case)))
    return found


def _measured(contender: Rival, case: Case) -> dict[str, Any]:
    y, truth = blurred(read_grey(case.picture), case.kernel, NOISE, case.seed)
    score: Callable[[np.ndarray], float] = partial(psnr, truth=truth)
    start = time.perf_counter()
    result = contender(y, case.kernel, score)
    return {"parameter": result.parameter, "psnr": result.psnr, "seconds": time.perf_counter() - start}
