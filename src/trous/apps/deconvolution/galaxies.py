"""A hundred galaxies, each with a point-spread function of its own, in one call: `trous bench deconvolution galaxies`.

The stamps are those of sf_deconvolve. They have negative values, so that Richardson-Lucy, which is for counts, refuses.
Beside them: what is blurred without noise around a torus, by kernels that no frequency is lost to, must come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from trous.bench.record import Record, Table, Track
from trous.bench.timing import rounds
from trous.errors import TrousError

FOLDER = "deconvolution/galaxies"
#: How many iterations where these are to be equal: total variation ends when all pictures of a call are done.
METHODS: dict[str, int | None] = {"wiener": None, "least_squares": None, "total_variation": 50}
#: What is blurred and comes back: one, two and three dimensions.
SIZES: tuple[tuple[int, ...], ...] = ((1000,), (96, 128), (24, 32, 40))
EXACT = ("wiener", "least_squares")
#: Relative differences that are rounding; errors of round trips that are none.
AGREE, BACK = 1e-4, 1e-4

EXPLANATION = (
    "A hundred stamps of galaxies, 41 x 41, each with its own point-spread function, in one call and in a call for "
    "each; median seconds of three, in turns. Difference: the largest, as a share of the largest value. Round trips: "
    "a random picture blurred around a torus by a kernel of 5 to an axis whose spectrum has no zero, without noise "
    "and noise=0 told; the error relative to the picture, in the Euclidean norm."
)


@dataclass(frozen=True)
class Batch:
    """One method on all stamps: seconds of one call, and of a call for each; how far apart the results are.

    `difference` is with nothing told, `alike` at equal iterations.
    """

    method: str
    finite: bool
    together: float
    singly: float
    difference: float
    alike: float


@dataclass(frozen=True)
class Trip:
    method: str
    size: tuple[int, ...]
    dtype: str
    error: float


def read(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and their point-spread functions, both `(100, 41, 41)`."""
    paths = [root / FOLDER / name for name in ("example_image_stack.npy", "example_psfs.npy")]
    for path in paths:
        if not path.is_file():
            raise TrousError("galaxies", "must be files that are there", str(path))
    stamps, psfs = (np.load(path).astype(np.float64) for path in paths)
    return stamps, psfs


def batched(stamps: np.ndarray, psfs: np.ndarray, method: Any) -> Batch:
    from trous import deconvolve

    def together(iterations: int | None = None) -> np.ndarray:
        return np.asarray(deconvolve(stamps, psfs, method=method, axes=(1, 2), iterations=iterations))

    def singly(iterations: int | None = None) -> np.ndarray:
        call = partial(deconvolve, method=method, iterations=iterations)
        return np.stack([call(one, psf) for one, psf in zip(stamps, psfs, strict=True)])

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(abs(one - other).max() / abs(other).max())

    alike = apart(together(METHODS[method]), singly(METHODS[method]))
    if alike > AGREE:
        raise ArithmeticError(f"{method} of all stamps together differs by {alike:.1e} from that of each")
    found = together()
    times = rounds({"together": together, "singly": singly})
    finite = bool(np.isfinite(found).all())
    return Batch(method, finite, times["together"], times["singly"], apart(found, singly()), alike)


def round_trips() -> Iterator[Trip]:
    """Nearly all of a kernel lies at its centre, so that no frequency is weaker than a third."""
    from trous import deconvolve

    rng = np.random.default_rng(0)
    for size in SIZES:
        picture, kernel = rng.random(size), rng.random((5,) * len(size))
        kernel /= 2 * kernel.sum()
        kernel[(2,) * len(size)] += 1
        kernel /= kernel.sum()
        blurred = around_a_torus(picture, kernel)
        for method, dtype in product(EXACT, ("float32", "float64")):
            back = deconvolve(blurred.astype(dtype), kernel, method=method, boundary="periodic", noise=0)
            error = float(np.linalg.norm(back - picture) / np.linalg.norm(picture))
            if error > BACK:
                raise ArithmeticError(f"{method} of {size} in {dtype} comes back with an error of {error:.1e}")
            yield Trip(method, size, dtype, error)


def around_a_torus(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The definition: a shifted picture for each value of the kernel, whose centre is at size // 2."""
    out = np.zeros_like(picture)
    for place in np.ndindex(kernel.shape):
        shift = [at - n // 2 for at, n in zip(place, kernel.shape, strict=True)]
        out += kernel[place] * np.roll(picture, shift, tuple(range(picture.ndim)))
    return out


def measure(root: Path, track: Track[Any]) -> Record:
    stamps, psfs = read(root)
    batches = [batched(stamps, psfs, method) for method in track(METHODS, str)]
    trips = list(round_trips())
    header = (
        "method",
        "finite",
        "one call, s",
        "a call for each, s",
        "times faster",
        "difference",
        "at equal iterations",
    )
    rows = [
        (
            b.method,
            "yes" if b.finite else "no",
            f"{b.together:.3f}",
            f"{b.singly:.3f}",
            f"{b.singly / b.together:.1f}",
            f"{b.difference:.1e}",
            f"{b.alike:.1e}",
        )
        for b in batches
    ]
    there = [(t.method, " x ".join(map(str, t.size)), t.dtype, f"{t.error:.1e}") for t in trips]
    document = {"batches": [asdict(b) for b in batches], "round_trips": [asdict(t) for t in trips]}
    tables: Sequence[Table] = [(header, rows), (("method", "size", "dtype", "relative error"), there)]
    return Record("deconvolution-galaxies", "A hundred galaxies in one call", EXPLANATION, tables, [], document)
