"""scikit-image's three methods, each at the parameter that suits the picture best: known only to who has the truth.

All three convolve by a kernel whose centre is at index size // 2 for odd sizes, as ours do. They know no surroundings:
`wiener` and `unsupervised_wiener` take the picture for periodic, `richardson_lucy` takes zeros around it. So the best
of them, `wiener`, comes twice: with the picture as it is, and with its edges continued, faded to the mean of the
picture over two widths of the kernel, and cropped again. Of mirror images and fades of several widths this suited it
best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

#: Weights of smoothness of `wiener`: four to a decade.
BALANCES = tuple(float(f"{10 ** (n / 4):.3g}") for n in range(-16, 5))
#: Settings of the sampler of `unsupervised_wiener`: as it comes, and drawing for longer.
SAMPLERS: tuple[dict[str, int], ...] = ({}, {"burnin": 30, "min_num_iter": 90})
#: The most iterations of `richardson_lucy`, and how many dB below its best the search ends: noise only grows.
ITERATIONS, LOST = 200, 0.5
#: Widths of the kernel over which edges are faded.
FADE = 2


@dataclass(frozen=True)
class Best:
    """The best of several parameters: PSNR in dB at `parameter`."""

    parameter: str
    psnr: float


Score = Callable[[np.ndarray], float]  #: PSNR in dB of an estimate, which has the size of what was given
Rival = Callable[[np.ndarray, np.ndarray, Score], Best]  #: of the blurred picture and the kernel


def best(tried: Iterator[tuple[str, np.ndarray]], score: Score) -> Best:
    return max((Best(name, score(estimate)) for name, estimate in tried), key=lambda each: each.psnr)


def wiener(y: np.ndarray, kernel: np.ndarray, score: Score) -> Best:
    from skimage import restoration

    return best(((f"balance {each:g}", restoration.wiener(y, kernel, each)) for each in BALANCES), score)


def unsupervised_wiener(y: np.ndarray, kernel: np.ndarray, score: Score) -> Best:
    from skimage import restoration

    def tried() -> Iterator[tuple[str, np.ndarray]]:
        for sampler in SAMPLERS:
            name = ", ".join(f"{key} {value}" for key, value in sampler.items()) or "defaults"
            yield name, restoration.unsupervised_wiener(y, kernel, user_params=sampler, rng=0)[0]

    return best(tried(), score)


def richardson_lucy(y: np.ndarray, kernel: np.ndarray, score: Score) -> Best:
    """The best number of iterations is sought in one run of the same steps, and scikit-image run to it."""
    from skimage import restoration

    y = y.clip(0)  # it divides: what noise made negative would stay so
    scores: list[float] = []
    for estimate in steps(y, kernel):
        scores.append(score(estimate))
        if scores[-1] < max(scores) - LOST:
            break
    count = 1 + int(np.argmax(scores))
    return best(iter([(f"{count} iterations", restoration.richardson_lucy(y, kernel, count))]), score)


def steps(y: np.ndarray, kernel: np.ndarray, iterations: int = ITERATIONS) -> Iterator[np.ndarray]:
    """Every estimate on the way of scikit-image's `richardson_lucy`, clipped as it is at its end."""
    from scipy import fft

    size = tuple(fft.next_fast_len(n + k - 1, real=True) for n, k in zip(y.shape, kernel.shape, strict=True))
    inside = tuple(slice((k - 1) // 2, (k - 1) // 2 + n) for n, k in zip(y.shape, kernel.shape, strict=True))
    given = kernel.astype(y.dtype)
    spectra = [fft.rfftn(each, size) for each in (given, np.flip(given))]

    def same(x: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        return fft.irfftn(fft.rfftn(x, size) * spectrum, size)[inside]

    estimate = np.full_like(y, 0.5)
    for _ in range(iterations):
        estimate *= same(y / (same(estimate, spectra[0]) + 1e-12), spectra[1])
        yield estimate.clip(-1, 1)


def tapered(rival: Rival) -> Rival:
    """The same method given the picture with its edges faded to its mean, so that it is periodic without a jump."""

    def call(y: np.ndarray, kernel: np.ndarray, score: Score) -> Best:
        widths = [FADE * k for k in kernel.shape]
        inside = tuple(slice(w, w + n) for w, n in zip(widths, y.shape, strict=True))
        larger = np.pad(y, [(w, w) for w in widths], mode="linear_ramp", end_values=float(y.mean()))
        return rival(larger, kernel, lambda estimate: score(estimate[inside]))

    return call


#: What is added to the name of a method that is given faded edges.
TAPERED = ", tapered"
METHODS: dict[str, Rival] = {
    "wiener": wiener,
    "unsupervised_wiener": unsupervised_wiener,
    "richardson_lucy": richardson_lucy,
}
RIVALS = {**METHODS, "wiener" + TAPERED: tapered(wiener)}
