"""Everything that the demo finds out, in the order in which it tells it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Protocol, TypeVar

from trous.demo.dilation import DILATIONS, FILTERS, Dilated, look, race_look
from trous.demo.enlarge import KERNELS, SCALES, Enlargement, enlarge, race_enlargement
from trous.demo.learned import SCALES as LEARNED
from trous.demo.learned import Learned, restore
from trous.demo.lecture import Lecture, race_lecture, replay
from trous.demo.photo import Photo
from trous.demo.race import Race

T = TypeVar("T")

#: Seconds spent on timing one job; there are thirteen.
SECONDS = 0.5


class Track(Protocol):
    """Goes through steps and shows how far it is, as `rich.progress.Progress.track` does."""

    def __call__(self, sequence: Iterable[T], *, description: str) -> Iterable[T]: ...


@dataclass(frozen=True)
class Check:
    """A sentence of the story, and whether it turned out true."""

    holds: bool
    sentence: str


@dataclass(frozen=True)
class Story:
    """`caution` says why the times should not be trusted, empty where there is no reason."""

    photo: Photo
    enlargements: list[Enlargement]
    learned: list[Learned]
    looks: list[Dilated]
    lecture: Lecture
    races: list[Race]
    caution: str = ""

    @property
    def checks(self) -> list[Check]:
        """What the demo claims, judged by what it found."""
        return [*self._interpolations(), self._learned(), self._dilations(), self._lecture(), self._races()]

    def _interpolations(self) -> Iterable[Check]:
        for reference in dict.fromkeys(e.reference for e in self.enlargements):
            theirs = [e for e in self.enlargements if e.reference == reference]
            names = listed(dict.fromkeys(e.kernel for e in theirs))
            worst = max(e.difference for e in theirs)
            yield Check(
                all(e.agrees for e in theirs),
                f"{names}: away from the border a transposed convolution equals {reference}, "
                f"largest difference {worst:.2g} of full brightness",
            )

    def _learned(self) -> Check:
        plain, learned = (
            listed(f"{each:.1f}" for each in column) for column in zip(*(x.psnr for x in self.learned), strict=True)
        )
        scales = listed(f"×{x.scale}" for x in self.learned)
        return Check(
            all(x.equal for x in self.learned),
            f"made small and large again ({scales}), the photograph is met to {learned} dB by trained weights, to "
            f"{plain} dB by bicubic ones, and in strips of rows to the same bits",
        )

    def _dilations(self) -> Check:
        views = self.looks[: len(DILATIONS)]
        fields = [v.field for v in views]
        counts = {v.cost.nominal for v in views}
        return Check(
            fields == sorted(set(fields)) and len(counts) == 1,
            f"dilations {listed(v.dilation for v in views)} see {listed(fields)} pixels a side for the same "
            f"{listed(f'{count:,}' for count in sorted(counts))} multiplications",
        )

    def _lecture(self) -> Check:
        lecture = self.lecture
        return Check(
            lecture.equal and lecture.products[0] == lecture.products[1],
            "the textbook's transposed convolution equals the convolution of the bordered input with the flipped "
            "kernel, bit for bit",
        )

    def _races(self) -> Check:
        wrong = [race for race in self.races if race.refused]
        if wrong:
            return Check(False, "; ".join(f"{race.job} was not timed: {race.refused}" for race in wrong))
        return Check(True, f"all {len(self.races)} jobs gave PyTorch's result before they were timed")


def tell(photo: Photo, track: Track, seconds: float) -> Story:
    """Do all of it; `seconds` is for timing each job."""
    enlargements = [
        enlarge(photo, kernel, scale) for scale, kernel in track(list(product(SCALES, KERNELS)), description="Enlarge")
    ]
    learned = [restore(photo, scale) for scale in track(LEARNED, description="Restore")]
    looks = [look(photo, name, d) for name, d in track(list(product(FILTERS, DILATIONS)), description="Dilate")]
    lecture = replay()
    caution = _caution()
    races: list[Race] = []
    jobs: list[Callable[[], list[Race]]] = [
        *(lambda e=e: [race_enlargement(photo, e, seconds)] for e in enlargements),
        *(lambda v=v: [race_look(photo, v, seconds)] for v in looks[: len(DILATIONS)]),  # every filter does the same
        lambda: race_lecture(lecture, seconds),
    ]
    for job in track(jobs, description="Check and time"):
        races += job()
    return Story(photo, enlargements, learned, looks, lecture, races, caution)


def _caution() -> str:
    """Other programs on the same cores make threads wait for each other, which costs the contenders unequally."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    # This program itself has been busy on all cores, for seconds of the minute that the load is taken over.
    return (
        f"the machine was busy (load {load:.1f} on {cores} cores): do not trust the times"
        if load > 1.25 * cores
        else ""
    )


def listed(items: Iterable[object]) -> str:
    """ "1, 2 and 3"."""
    words = [str(item) for item in items]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
