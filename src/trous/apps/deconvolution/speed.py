"""Richardson-Lucy beside scikit-image's, to the same likelihood and at equal iterations.

`trous bench deconvolution speed`. Photographs side by side in a black frame are blurred and counted as photons. Both
work on scikit-image's model, zeros around, in float32. How probable the counts are under an estimate is worked out in
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np

from trous import settings
from trous.apps.data import pictures_in
from trous.apps.deconvolution.cases import PICTURES, read_grey
from trous.apps.deconvolution.runs import kept
from trous.bench.record import Record, Track
from trous.bench.timing import rounds

WIDTHS = (5, 9, 15, 25, 51)
SIZES = (512, 1024, 2048, 4096)
#: scikit-image's iterations, by size of the picture; large ones would take hours.
ITERATIONS: dict[int, tuple[int, ...]] = {512: (30, 100), 1024: (30, 100), 2048: (30,), 4096: (10,)}
#: Gaussian kernels too for pictures of this size, by their standard deviation's share of the width.
GAUSSIAN, SIGMA = 1024, 1 / 6
#: Photons of a white pixel; pixels to a side of a photograph in the picture.
PHOTONS, TILE = 1000.0, 512
#: Black pixels along the border, as many as the widest kernel has. scikit-image does not divide by the share of a
#: kernel that lies within the picture: its estimates come near the counts there after thousands of iterations only.
FRAME = 51
#: Pictures in one call, their size and the kernel's width.
BATCH = (64, 128, 9)

EXPLANATION = (
    "Photographs side by side in a black frame, blurred and counted as photons, 1,000 for white; float32. Seconds are "
    "medians of three calls each, in turns. Same likelihood: the fewest iterations of trous whose estimate makes the "
    "counts at least as probable as scikit-image's does. scikit-image's transforms are given as many threads as trous "
    "has."
)


@dataclass(frozen=True)
class Job:
    """One kernel, one size of picture, one number of scikit-image's iterations."""

    shape: str
    width: int
    size: int
    iterations: int

    @property
    def name(self) -> str:
        return f"{self.shape}-{self.width}-{self.size}-{self.iterations}"

    def kernel(self) -> np.ndarray:
        """Sums to 1; random values are from 0 to 1."""
        if self.shape == "random":
            values = np.random.default_rng(self.width).random((self.width, self.width))
        else:
            line = np.exp(-0.5 * ((np.arange(self.width) - self.width // 2) / (SIGMA * self.width)) ** 2)
            values = np.outer(line, line)
        return (values / values.sum()).astype(np.float32)


def jobs(sizes: Iterable[int] = SIZES) -> list[Job]:
    chosen = [size for size in SIZES if size in set(sizes)]
    random = [Job("random", width, size, n) for size in chosen for n in ITERATIONS[size] for width in WIDTHS]
    return random + [
        Job("Gaussian", width, s, n) for s in chosen if s == GAUSSIAN for n in ITERATIONS[s] for width in WIDTHS
    ]


@lru_cache(maxsize=1)
def scene(root: Path, size: int) -> np.ndarray:
    """Squares of photographs in rows and columns, from the first on and round again, in a black frame.

    `(size, size)`, float64.
    """
    paths = pictures_in(root / PICTURES)
    across = -(-size // TILE)
    tiles = [read_grey(paths[n % len(paths)])[:TILE, :TILE] for n in range(across * across)]
    rows = [np.concatenate(tiles[n : n + across], 1) for n in range(0, across * across, across)]
    inside = slice(FRAME, size - FRAME)
    framed = np.zeros((size, size))
    framed[inside, inside] = np.concatenate(rows)[inside, inside]
    return framed


def counted(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Blurred with zeros around, and counted; 1 is white; float32."""
    photons = PHOTONS * same(picture, kernel).clip(0)
    return (np.random.default_rng(0).poisson(photons) / PHOTONS).astype(np.float32)


def same(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    from scipy.signal import fftconvolve

    return fftconvolve(picture.astype(np.float64), kernel.astype(np.float64), mode="same")


def likelihood(y: np.ndarray, estimate: np.ndarray, kernel: np.ndarray) -> float:
    """The logarithm of the Poisson likelihood, but for what depends on the counts alone: sum(y log(Ax) - Ax)."""
    seen = same(estimate, kernel)
    return float((y * np.log(seen.clip(1e-12)) - seen).sum())


def theirs(y: np.ndarray, kernel: np.ndarray, iterations: int, threads: int) -> np.ndarray:
    from scipy import fft
    from skimage import restoration

    with fft.set_workers(threads):
        return np.asarray(restoration.richardson_lucy(y, kernel, iterations, clip=False))


def ours(y: np.ndarray, kernel: np.ndarray, iterations: int, watch: Callable[[Any], bool] | None = None) -> np.ndarray:
    from trous import deconvolve

    return np.asarray(
        deconvolve(y, kernel, method="richardson_lucy", boundary="zero", iterations=iterations, callback=watch)
    )


def needed(y: np.ndarray, kernel: np.ndarray, goal: float, most: int) -> int:
    """The fewest of our iterations that reach the likelihood; raises ArithmeticError where `most` do not."""
    reached: list[int] = []

    def watch(state: Any) -> bool:
        if likelihood(y, state.estimate(), kernel) >= goal:
            reached.append(state.iteration)
        return bool(reached)

    ours(y, kernel, most, watch)
    if not reached:
        raise ArithmeticError(f"{most} iterations do not reach the likelihood of scikit-image's")
    return reached[0]


def timed(job: Job, root: Path, threads: int) -> dict[str, Any]:
    """Seconds of scikit-image (`theirs`), of ours to its likelihood in `needed` iterations, and at equal iterations."""
    kernel = job.kernel()
    y = counted(scene(root, job.size), kernel)
    goal = likelihood(y, theirs(y, kernel, job.iterations, threads), kernel)
    count = needed(y, kernel, goal, 2 * job.iterations)
    calls = {
        "theirs": partial(theirs, y, kernel, job.iterations, threads),
        "same_likelihood": partial(ours, y, kernel, count),
        "same_iterations": partial(ours, y, kernel, job.iterations),
    }
    return {**vars(job), "needed": count, "seconds": rounds(calls)}


def batch(threads: int) -> dict[str, Any]:
    """Many small pictures: one call of ours, scikit-image in a loop."""
    count, size, width = BATCH
    job = Job("random", width, size, 30)
    kernel = job.kernel()
    scenes = np.random.default_rng(0).random((count, size, size))
    pictures = np.stack([counted(each, kernel) for each in scenes])

    def loop() -> None:
        for each in pictures:
            theirs(each, kernel, job.iterations, threads)

    return {"seconds": rounds({"theirs": loop, "together": partial(ours, pictures, kernel, job.iterations)})}


def measure(root: Path, folder: Path, sizes: Iterable[int], threads: int, track: Track[Any]) -> Record:
    """What has been timed already is taken from `folder`."""
    with settings.forced(settings.THREADS, str(threads)):
        found = [
            kept(folder / f"{job.name}-threads{threads}.json", partial(timed, job, root, threads))
            for job in track(jobs(sizes), lambda job: job.name)
        ]
        many = batch(threads)
    return record(found, many, threads)


def record(found: list[dict[str, Any]], many: dict[str, Any], threads: int) -> Record:
    header = (
        "kernel",
        "picture",
        "iterations",
        "scikit-image, s",
        "trous, iterations",
        "trous, s",
        "times faster",
        "equal iterations, s",
        "times faster, equal",
    )
    rows = []
    ratios: dict[str, list[float]] = {"same_likelihood": [], "same_iterations": []}
    for each in found:
        seconds = each["seconds"]
        for name, listed in ratios.items():
            listed.append(seconds["theirs"] / seconds[name])
        rows.append(
            (
                f"{each['shape']} {each['width']} x {each['width']}",
                f"{each['size']:,}",
                str(each["iterations"]),
                f"{seconds['theirs']:.2f}",
                str(each["needed"]),
                f"{seconds['same_likelihood']:.2f}",
                f"{ratios['same_likelihood'][-1]:.1f}",
                f"{seconds['same_iterations']:.2f}",
                f"{ratios['same_iterations'][-1]:.1f}",
            )
        )
    count, size, width = BATCH
    both = many["seconds"]
    facts = [
        f"geometric mean of times faster: {geometric_mean(ratios['same_likelihood']):.1f} to the same likelihood, "
        f"{geometric_mean(ratios['same_iterations']):.1f} at equal iterations",
        f"least: {min(ratios['same_likelihood']):.1f} and {min(ratios['same_iterations']):.1f}",
        f"{count} pictures of {size} x {size}, kernel {width} x {width}, 30 iterations: "
        f"one call {both['together']:.2f} s, scikit-image in a loop {both['theirs']:.2f} s",
        f"{threads} threads",
        f"timed at commits {', '.join(sorted({each['commit'] for each in found}))}",
    ]
    document = {"runs": found, "batch": many, "threads": threads}
    title = "Richardson-Lucy beside scikit-image's"
    return Record("deconvolution-speed", title, EXPLANATION, [(header, rows)], facts, document)
