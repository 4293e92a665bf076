"""The tap plan of one axis: which input each output reads, through which kernel index.

Along one axis every convolution obeys, for integers `m`,

    o = up*m + phase        i = down*m + offset        (phase, kernel, offset) is a tap

so that `y[o] = sum over taps of w[kernel] * x[i]`. A convolution has `up = 1, down = stride`; a transposed one has
`up = stride, down = 1`; resampling by a fraction has both above 1. The list knows no sizes. It is closed under the
adjoint (the transposed matrix), which is what makes gradients, and transposed convolution itself, come for free.
Derivation: docs/plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from trous.plan.sizes import conv_extent


class Tap(NamedTuple):
    """One surviving multiplication: output `phase`, `kernel` index, input `offset`."""

    phase: int
    kernel: int
    offset: int


_kernel = attrgetter("kernel")


@dataclass(frozen=True)
class AxisPlan:
    """Taps of one axis, in order of phase and kernel index.

    `extent` is the constant of the size rule `output = (up*input + extent) // down`; it is what remains of the padding
    behind the last input once the offsets have absorbed the padding before the first.
    """

    up: int
    down: int
    taps: tuple[Tap, ...]
    extent: int

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Kept: a long kernel's taps are many, and whatever depends on a plan is looked up by it."""
        return hash((self.up, self.down, self.taps, self.extent))

    def output_size(self, size: int) -> int:
        """Number of outputs that `size` inputs give; not positive when the input is too small."""
        return (self.up * size + self.extent) // self.down

    def adjoint(self) -> AxisPlan:
        """The plan whose matrix is the transpose of this one's.

        An output of the adjoint is an input of the plan: `i = down*m + offset` becomes the output side, so its phase is
        `offset mod down` and every tap moves by whole steps of `m`. Its own `output_size` is, for the adjoint of a
        convolution, the smallest input that gives that many outputs.
        """
        taps = sorted(
            Tap(tap.offset % self.down, tap.kernel, tap.phase - self.up * (tap.offset // self.down))
            for tap in self.taps
        )
        return AxisPlan(self.down, self.up, tuple(taps), -self.extent)

    @cached_property
    def by_phase(self) -> tuple[tuple[Tap, ...], ...]:
        """The taps of each phase `0 .. up-1`; an empty group is a phase that only receives the bias."""
        groups: list[list[Tap]] = [[] for _ in range(self.up)]
        for tap in self.taps:
            groups[tap.phase].append(tap)
        return tuple(tuple(group) for group in groups)

    def reads(self, output: int) -> dict[Tap, int]:
        """The taps of an output, and the input that each of them reads, which may lie beyond the border."""
        step, phase = divmod(output, self.up)
        return {tap: self.down * step + tap.offset for tap in self.by_phase[phase]}

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The distinct input offsets, ascending; several phases may share one."""
        return tuple(self.by_offset)

    @cached_property
    def by_offset(self) -> dict[int, tuple[Tap, ...]]:
        """The taps of each distinct offset, offsets ascending, and for each in order of phase."""
        groups: dict[int, list[Tap]] = {}
        for tap in sorted(self.taps):
            groups.setdefault(tap.offset, []).append(tap)
        return {offset: tuple(groups[offset]) for offset in sorted(groups)}

    @property
    def is_transposed(self) -> bool:
        """Whether kernel indices go the other way than the inputs that they read, as a transposed convolution's do.

        One tap at stride 1 goes both ways, and is taken for a convolution's.
        """
        if self.up > 1 or self.down > 1:
            return self.up > 1
        first, last = min(self.taps, key=_kernel, default=None), max(self.taps, key=_kernel, default=None)
        return first is not None and last is not None and first.offset > last.offset

    @cached_property
    def lasts(self) -> tuple[tuple[int, int], ...]:
        """Every phase that has a tap, and the highest of its offsets."""
        return tuple((phase, max(tap.offset for tap in taps)) for phase, taps in enumerate(self.by_phase) if taps)

    @cached_property
    def in_order(self) -> bool:
        """Whether no output is done with its inputs before one that stands in front of it."""
        lasts = [last for _, last in self.lasts]
        return len(lasts) == self.up and lasts == sorted(lasts) and lasts[-1] <= lasts[0] + self.down

    @cached_property
    def reads_per_step(self) -> int:
        """Inputs that one step reads, those of all phases added up; taps of a phase at one offset read the same."""
        return len({(tap.phase, tap.offset) for tap in self.taps})

    @property
    def coincident(self) -> bool:
        """Whether two taps of one phase read the same input, as no convolution's do."""
        return self.reads_per_step < len(self.taps)


#: An axis that nothing happens on; problems of fewer dimensions run as three-dimensional ones with these in front.
IDENTITY = AxisPlan(1, 1, (Tap(0, 0, 0),), 0)


def conv_axis(kernel: int, stride: int, before: int, after: int, dilation: int) -> AxisPlan:
    """Plan of a convolution (a cross-correlation, as everywhere in deep learning) with `before`/`after` zeros padded.

    Size rule: `(n + before + after - dilation*(kernel-1) - 1)//stride + 1` (Dumoulin & Visin 2016, relationship 15).
    """
    taps = tuple(Tap(0, k, k * dilation - before) for k in range(kernel))
    return AxisPlan(1, stride, taps, conv_extent(kernel, stride, before + after, dilation))


def transposed_axis(kernel: int, stride: int, before: int, after: int, output_padding: int, dilation: int) -> AxisPlan:
    """Plan of a transposed convolution whose output is cropped by `before`/`after` and lengthened by `output_padding`.

    Size rule: `(n-1)*stride - before - after + dilation*(kernel-1) + output_padding + 1` (torch.nn.ConvTranspose1d).
    When stride and dilation share a factor, some phases have no tap.
    """
    taps = sorted(Tap((k * dilation - before) % stride, k, -((k * dilation - before) // stride)) for k in range(kernel))
    return AxisPlan(stride, 1, tuple(taps), output_padding - conv_extent(kernel, stride, before + after, dilation))
