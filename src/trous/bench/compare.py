"""One layer, run by trous and by PyTorch in each memory format: equal first, then timed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trous
from trous.bench.timing import interleaved
from trous.problem import Problem

if TYPE_CHECKING:
    import torch

OURS, OURS_LAST = "trous", "trous, channels last"
THEIRS, THEIRS_LAST = "PyTorch", "PyTorch, channels last"


@dataclass(frozen=True)
class Case:
    """A layer of the list; `why` says whose it is."""

    id: str
    problem: Problem
    why: str


@dataclass(frozen=True)
class Result:
    """Median seconds of one call by contender; 1-D layers have no channels-last format in PyTorch."""

    case: Case
    seconds: dict[str, float]

    @property
    def ratio(self) -> float:
        """How many times faster trous is than PyTorch's default layout, both channels-first."""
        return self.seconds[THEIRS] / self.seconds[OURS]

    @property
    def best_ratio(self) -> float:
        """The same between the better layout of each."""
        return best_ratio(self.seconds)

    def gflops(self, contender: str) -> float:
        """10^9 floating point operations a second; the plan's own count, so taps in the padding and zeros are none."""
        return 2e-9 * self.case.problem.multiplications / self.seconds[contender]


def best_ratio(seconds: Mapping[str, float]) -> float:
    """How many times faster trous is than PyTorch, the better memory format of each; other contenders do not count."""
    ours, theirs = (min(s for name, s in seconds.items() if name.startswith(library)) for library in (OURS, THEIRS))
    return theirs / ours


def read_cases(path: Path) -> list[Case]:
    """The list in a JSON file: objects of `id`, `problem` (as `Problem.parse` reads it) and `why`."""
    return [Case(entry["id"], Problem.parse(entry["problem"]), entry["why"]) for entry in json.loads(path.read_text())]


def compare(case: Case, seconds: float) -> Result:
    """Check every contender against PyTorch in float64, bit for bit, then time them for about `seconds`.

    The numbers are small integers: every sum is exact in every order, so that one wrong or missing tap shows. Raises
    ArithmeticError, naming the contender, where one differs.
    """
    import torch

    problem = case.problem
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(0)
        x, w, bias = (
            torch.randint(-3, 4, shape, generator=generator).to(getattr(torch, problem.dtype))
            for shape in (problem.input_shape, problem.weight_shape, (problem.out_channels,))
        )
        b = bias if problem.bias else None
        reference = _torch_function(problem)(x.double(), w.double(), b if b is None else b.double())
        calls = contenders(problem, x, w, b)
        for name, call in calls.items():
            if not torch.equal(call().double(), reference):
                raise ArithmeticError(f"{name} differs from float64 on {case.id} ({problem})")
        return Result(case, interleaved(calls, seconds))


def contenders(
    problem: Problem, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None
) -> dict[str, Callable[[], torch.Tensor]]:
    """Calls that solve `problem` on the same numbers, by name: trous and PyTorch, each in both memory formats.

    Channels-last weights follow their input, as `module.to(memory_format=torch.channels_last)` has it.
    """
    import torch

    ours = partial(getattr(trous, problem.kind), **_arguments(problem))
    theirs = _torch_function(problem)
    calls: dict[str, Callable[[], torch.Tensor]] = {OURS: partial(ours, x, w, b), THEIRS: partial(theirs, x, w, b)}
    if problem.ndim > 1:
        last = torch.channels_last if problem.ndim == 2 else torch.channels_last_3d
        x_last, w_last = x.contiguous(memory_format=last), w.contiguous(memory_format=last)
        calls[OURS_LAST] = partial(ours, x_last, w_last, b)
        calls[THEIRS_LAST] = partial(theirs, x_last, w_last, b)
    return calls


def _torch_function(problem: Problem) -> Callable[..., torch.Tensor]:
    import torch

    function = getattr(torch.nn.functional, f"{problem.kind}{problem.ndim}d")
    return partial(function, **_arguments(problem))


def _arguments(problem: Problem) -> dict[str, Any]:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    return {name: getattr(problem.spec, name) for name in names if hasattr(problem.spec, name)}
