"""The grid on which inputs and outputs of an axis have their places: what pictures of a layer are drawn on.

Input `i` stands at place `up*i`, with `up - 1` holes behind it; the window of output `o` at `down*o`. A tap joins the
two at a distance that is the same for all outputs,

    up*i - down*o = up*offset - down*phase

so the kernel is a window on that grid: the holes of a dilated kernel are distances that no tap has, and the zeros of
the padding are places outside the inputs. For a transposed convolution this is the convolution over the input with
zeros in between and a border of `dilation*(kernel-1) - padding` (Dumoulin & Visin 2016, section 4), its kernel
mirrored. Nothing computes that way here; it is how the layer is usually drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from trous.plan.axis import Tap
from trous.plan.bind import BoundAxis


@dataclass(frozen=True)
class Grid:
    """The grid of a bound axis.

    >>> grid = Grid(ConvTranspose(3, stride=2, padding=1).plan().bind(3).axes[0])
    >>> grid.places, grid.inputs, grid.kernel
    (range(-1, 6), range(0, 6, 2), {0: 1, 1: 0, 2: -1})
    """

    axis: BoundAxis

    @cached_property
    def kernel(self) -> dict[int, int]:
        """The distance of each kernel index from the place of the output, kernel indices ascending."""
        plan = self.axis.plan
        return {tap.kernel: plan.up * tap.offset - plan.down * tap.phase for tap in sorted(plan.taps, key=_kernel)}

    @cached_property
    def window(self) -> range:
        """The distances that the kernel covers, holes of its dilation among them."""
        return range(min(self.kernel.values()), max(self.kernel.values()) + 1)

    @property
    def inputs(self) -> range:
        """The place of each input."""
        return range(0, self.axis.plan.up * self.axis.input_size, self.axis.plan.up)

    @cached_property
    def places(self) -> range:
        """All places: the inputs, the holes between them, and the padding, also where no window reaches it.

        The last window that would fit ends at `up*input + extent - down` behind its own first distance 0.
        """
        plan, ends = self.axis.plan, self.window[-1]
        padded = plan.up * self.axis.input_size + plan.extent - plan.down + ends
        last = max(self.inputs[-1] if self.inputs else 0, padded, self.place(self.axis.output_size - 1) + ends)
        return range(min(0, self.window[0]), last + 1)

    def place(self, output: int) -> int:
        """Where the window of an output stands: the place at distance 0."""
        return self.axis.plan.down * output

    @property
    def spacing(self) -> Fraction:
        """The distance between outputs, where that between inputs is 1."""
        return Fraction(self.axis.plan.down, self.axis.plan.up)

    def phase(self, output: int) -> int:
        """The phase of an output, whose taps are the only ones that it has."""
        return output % self.axis.plan.up

    def taps(self, output: int) -> dict[Tap, int]:
        """The taps of an output that land inside, and the input that each of them reads."""
        return {tap: i for tap, i in self.axis.plan.reads(output).items() if 0 <= i < self.axis.input_size}


def _kernel(tap: Tap) -> int:
    return tap.kernel
