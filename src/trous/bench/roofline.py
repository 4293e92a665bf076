"""The machine's limits, measured: multiply-adds a second, and bytes a second by the size of what is gone over.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model for multicore architectures,
Communications of the ACM 52 (2009). A layer can be no quicker than its operations at the peak rate, and no quicker than
its input, weight and output moved once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np

from trous.backends.cpu.target import current
from trous.bench import probes

#: Bytes that all threads together go over: from within the nearest cache to beyond the last.
SIZES = tuple(1 << power for power in range(16, 30))
WAYS = ("read", "write", "copy")

#: Runs of each probe, the best of which counts, and the seconds that one takes at least.
RUNS, SECONDS = 5, 0.004

_CHUNK = 1024  #: elements of which every thread's part is a multiple


@dataclass(frozen=True)
class Roofline:
    """Peak operations a second by `threads` threads, done with `unit`, and bytes a second by way and size."""

    threads: int
    peak: float
    unit: str
    bandwidths: Mapping[str, Mapping[int, float]]

    def bandwidth(self, size: float) -> float:
        """Bytes a second over `size` bytes, the quickest way; between the sizes measured as a power of the size."""
        known = {s: max(by_size[s] for by_size in self.bandwidths.values()) for s in self.bandwidths[WAYS[0]]}
        sizes = sorted(known)
        rates = [log(known[s]) for s in sizes]
        return exp(float(np.interp(log(size), [log(s) for s in sizes], rates)))

    def seconds(self, flops: float, moved: float) -> float:
        """The least time for `flops` operations and `moved` bytes: the longer of the two."""
        return max(flops / self.peak, moved / self.bandwidth(moved))

    def to_dict(self) -> dict[str, Any]:
        return {
            "threads": self.threads,
            "peak_gflops": self.peak / 1e9,
            "unit": self.unit,
            "gbytes_per_second": {
                way: {str(size): rate / 1e9 for size, rate in by_size.items()}
                for way, by_size in self.bandwidths.items()
            },
        }


def measure(dtype: str, threads: int, sizes: tuple[int, ...] | None = None) -> Roofline:
    """The limits for `dtype`, each the best of a few short runs, at `sizes` or SIZES; takes some two seconds."""
    target, sizes = current(), sizes or SIZES
    x, y = (np.full(max(sizes) // 4 + _CHUNK, 0.5, np.float32) for _ in range(2))
    with ThreadPoolExecutor(threads) as pool:

        def rate(kernel: Callable[..., None], length: int, work: float) -> float:
            """Units of work a second, of which one pass of all threads does `work`."""
            passes, best, runs = 1, float("inf"), 0
            while runs < RUNS:
                part = probes.call(kernel, x, y, passes, length)
                start = time.perf_counter()
                list(pool.map(part, range(threads)))
                taken = time.perf_counter() - start
                if taken < SECONDS:
                    passes *= 2
                else:
                    best, runs = min(best, taken / passes), runs + 1
            return work / best

        arithmetic = probes.arithmetic(dtype, target)
        peak = 2 * rate(arithmetic.kernel, _CHUNK, threads * arithmetic.multiply_adds)
        bandwidths: dict[str, dict[int, float]] = {way: {} for way in WAYS}
        for way in WAYS:
            kernel = probes.memory(way, target)
            for size in sizes:
                arrays = 2 if way == "copy" else 1
                length = max(1, size // (4 * arrays * threads * _CHUNK)) * _CHUNK
                bandwidths[way][size] = rate(kernel, length, 4 * arrays * threads * length)
    return Roofline(threads, peak, arithmetic.unit, bandwidths)
