"""Total variation beside that of others, each at the weight that suits the picture.

`trous bench deconvolution variation`. pyproximal (PyLops) and deepinv minimise what `trous.deconvolve` does: half the
squared misfit where data is, and a weight times the isotropic total variation of a picture that reaches beyond it. Both
are given that boundary, the true kernel, a start from the picture continued at its edges, iterations until more
change little, and of all weights of a grid the one that is best by the truth. trous gets the picture and the kernel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from trous.apps.deconvolution.cases import NOISE, Case, blurred, psnr, read_grey
from trous.apps.deconvolution.runs import kept
from trous.bench.record import Record, Track

#: trous by the rules that hold for the others.
WEIGHTED = "trous, best weight"
#: Weights, five to a decade, and which is tried first.
WEIGHTS, FIRST = tuple(float(f"{10 ** (n / 5):.3g}") for n in range(-22, -9)), 6
#: Pixels to a side of the middle of the picture, which is what is blurred: the others take minutes for a whole one.
MIDDLE = 256
#: Of pyproximal's primal-dual steps, and of the solver within each; of deepinv's ADMM, and of its proximal step.
PRIMAL_DUAL, WITHIN, STEP = 300, 3, 1.0
ADMM, PROXIMAL, STEPSIZE = 40, 20, 50.0

EXPLANATION = (
    "The middle 256 x 256 pixels of photographs blurred as for deconvolution-quality, noise of 1 %. trous: total "
    "variation with nothing told. pyproximal: primal-dual, 300 steps; deepinv: ADMM, 40 steps; both of the isotropic "
    "total variation with the surroundings estimated along, at the best weight of a grid, sought by the truth from a "
    "middle weight upwards or downwards. So is the best weight of trous."
)

Solve = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  #: of the blurred picture, the kernel and the weight


def continued(y: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, tuple[slice, ...]]:
    """The picture with its edge values around it, as far as the kernel reaches, and where in that it lies."""
    around = [(k - 1 - k // 2, k // 2) for k in kernel.shape]
    inside = tuple(slice(before, before + n) for (before, _), n in zip(around, y.shape, strict=True))
    return np.pad(y, around, mode="edge"), inside


def pyproximal(y: np.ndarray, kernel: np.ndarray, weight: float) -> np.ndarray:
    import pylops
    import pyproximal as proximal

    start, inside = continued(y, kernel)
    height, width = start.shape
    centre = tuple(k // 2 for k in kernel.shape)
    blur = pylops.signalprocessing.ConvolveND(
        start.shape, kernel.astype(y.dtype), offset=centre, axes=(0, 1), method="fft", dtype=y.dtype
    )
    rows = pylops.Restriction((height, width), np.arange(height)[inside[0]], axis=0, dtype=y.dtype)
    columns = pylops.Restriction((y.shape[0], width), np.arange(width)[inside[1]], axis=1, dtype=y.dtype)
    misfit = proximal.L2(Op=columns @ rows @ blur, b=y.ravel(), niter=WITHIN, warm=True)
    gradient = pylops.Gradient(start.shape, edge=True, kind="forward", dtype=y.dtype)
    found = proximal.optimization.primaldual.PrimalDual(
        misfit,
        proximal.L21(ndim=2, sigma=weight),
        gradient,
        x0=start.ravel(),
        tau=STEP,
        mu=0.99 / (8 * STEP),
        niter=PRIMAL_DUAL,
    )
    return np.asarray(found.reshape(start.shape)[inside])


def deepinv(y: np.ndarray, kernel: np.ndarray, weight: float) -> np.ndarray:
    import deepinv as inverse
    import torch

    start, inside = continued(y, kernel)
    first = torch.from_numpy(start)[None, None]
    model = inverse.optim.ADMM(
        data_fidelity=inverse.optim.L2(),
        prior=inverse.optim.TVPrior(n_it_max=PROXIMAL),
        lambda_reg=weight,
        stepsize=STEPSIZE,
        max_iter=ADMM,
        custom_init=lambda *_: {"est": (first.clone(), first.clone())},
    )
    blur = inverse.physics.Blur(torch.from_numpy(kernel.astype(y.dtype))[None, None], padding="valid", use_fft=True)
    with torch.no_grad():
        return np.asarray(model(torch.from_numpy(y)[None, None], blur)[0, 0].numpy()[inside])


def weighted(y: np.ndarray, kernel: np.ndarray, weight: float) -> np.ndarray:
    from trous import deconvolve

    return np.asarray(deconvolve(y, kernel, method="total_variation", weight=weight))


#: deepinv is in none of the extras: it needs a torchvision that fits torch.
RIVALS: dict[str, Solve] = {
    name: solve for name, solve in (("pyproximal", pyproximal), ("deepinv", deepinv)) if find_spec(name)
}


def best(solve: Callable[[float], float], first: int = FIRST) -> tuple[float, float]:
    """The weight of the grid with the highest score, and that; the score has one summit along the grid."""
    scores: dict[int, float] = {}

    def score(place: int) -> float:
        if not 0 <= place < len(WEIGHTS):
            return -np.inf
        if place not in scores:
            scores[place] = solve(WEIGHTS[place])
        return scores[place]

    place = first
    step = 1 if score(first + 1) > score(first) else -1
    while score(place + step) > score(place):
        place += step
    return WEIGHTS[place], score(place)


def middle(case: Case) -> np.ndarray:
    picture = read_grey(case.picture)
    first = [(n - MIDDLE) // 2 for n in picture.shape]
    return picture[tuple(slice(start, start + MIDDLE) for start in first)]


def _rival(solve: Solve, case: Case) -> dict[str, Any]:
    y, truth = blurred(middle(case), case.kernel, NOISE, case.seed)
    before = time.perf_counter()
    weight, score = best(lambda weight: psnr(solve(y, case.kernel, weight), truth))
    return {"weight": weight, "psnr": score, "seconds": time.perf_counter() - before}


def _ours(case: Case) -> dict[str, Any]:
    from trous import deconvolve

    y, truth = blurred(middle(case), case.kernel, NOISE, case.seed)
    before = time.perf_counter()
    estimate = deconvolve(y, case.kernel, method="total_variation")
    return {"psnr": psnr(estimate, truth), "seconds": time.perf_counter() - before}


CONTENDERS: dict[str, Callable[[Case], dict[str, Any]]] = {
    **{name: partial(_rival, solve) for name, solve in RIVALS.items()},
    WEIGHTED: partial(_rival, weighted),
    "trous": _ours,
}


def run(
    chosen: Sequence[Case], folder: Path, track: Track[Any], names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """By contender, in the order of the cases; kept in `folder`."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    work = [(name, case) for name in names for case in chosen]
    for name, case in track(work, lambda item: f"{item[0]} {item[1].name}"):
        found[name].append(kept(folder / name / f"{case.name}.json", partial(CONTENDERS[name], case)))
    return found


def measure(chosen: Sequence[Case], folder: Path, track: Track[Any]) -> Record:
    found = run(chosen, folder, track, list(CONTENDERS))
    values = {name: [each["psnr"] for each in runs] for name, runs in found.items()}
    header = ("case", *found)
    rows = [(case.name, *(f"{each[n]:.2f}" for each in values.values())) for n, case in enumerate(chosen)]
    facts = [
        f"{name}: mean {fmean(each):.2f} dB, {fmean(r['seconds'] for r in found[name]):.1f} s a case, all weights tried"
        for name, each in values.items()
    ]
    for ours in ("trous", WEIGHTED):
        for name in RIVALS:
            over = [a - b for a, b in zip(values[ours], values[name], strict=True)]
            facts.append(f"{ours}, above {name}: {fmean(over):+.2f} dB on average, {min(over):+.2f} at the least")
    commits = sorted({each["commit"] for each in found["trous"]})
    facts.append("seconds are beside other work on the machine: no measure of speed")
    facts.append(f"{len(chosen)} cases; trous at commits {', '.join(commits)}")
    document = {"cases": [case.name for case in chosen], "runs": found}
    title = "Total variation beside pyproximal and deepinv at their best"
    return Record("deconvolution-variation", title, EXPLANATION, [(header, rows)], facts, document)
