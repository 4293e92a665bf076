"""`solve_stack`: the dilated layers that see a wanted receptive field, beside other ways to see it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from trous.errors import TrousError
from trous.plan.padding import PADDING_WORDS
from trous.plan.reach import receptive_field
from trous.plan.stack import dilations_for, field, layers_for
from trous.plan.table import columns, count
from trous.solving.ranges import Choice, values
from trous.spec import BOUNDS, LARGEST, Conv, integer

OBJECTIVES = ("layers", "multiplications")

#: Layers that a stack may have; a kernel of 2 without `max_dilation` needs 31 for the largest field.
_MOST_LAYERS = 2**16


@dataclass(frozen=True)
class Design:
    """One way to see a field, every layer from `channels` to `channels`."""

    name: str
    layers: int
    receptive_field: int
    parameters: int  #: weights, without biases
    multiplications: Fraction  #: multiply-adds per sample of the input
    rate: Fraction  #: outputs per input


@dataclass(frozen=True)
class Stack:
    """Dilated convolutions of stride 1 that see at least the wanted field, every input of it.

    The numbers are those of one axis; `channels` go into every layer and come out of it. `print` shows the stack
    beside other designs.
    """

    wanted: int  #: receptive field asked for
    kernel: int
    dilations: tuple[int, ...]  #: ascending; the field is the same in any order
    channels: int

    @property
    def layers(self) -> int:
        return len(self.dilations)

    @property
    def receptive_field(self) -> int:
        """Inputs that one output reads: the wanted ones, and fewer than `kernel - 1` more unless one is wanted."""
        return field(self.kernel, self.dilations)

    @property
    def multiplications(self) -> int:
        """Multiply-adds per output sample, all channels."""
        return self.layers * self.kernel * self.channels**2

    @property
    def parameters(self) -> int:
        """Weights; biases not counted."""
        return self.layers * self.kernel * self.channels**2

    @property
    def context(self) -> int:
        """Earlier inputs that an output needs, in samples."""
        return self.receptive_field - 1

    @property
    def memory(self) -> int:
        """Numbers that streaming keeps: each layer the `dilation*(kernel-1)` latest of its inputs, for each channel."""
        return self.context * self.channels

    def specs(self, padding: str = "causal") -> tuple[Conv, ...]:
        """The layers in order, for any number of axes. `padding` is a word of `trous.plan.padding`: "causal", where no
        output sees a later input, "same" or "valid"."""
        if padding not in PADDING_WORDS:
            raise TrousError("padding", f"must be one of {', '.join(PADDING_WORDS)}", padding)
        return tuple(Conv(self.kernel, padding=padding, dilation=dilation) for dilation in self.dilations)

    def alternatives(self) -> tuple[Design, ...]:
        """The stack itself; the same without dilation; one large kernel; and stride 2 at every level, whose outputs
        come so much more rarely, so that a decoder has to bring the rate back."""
        strided = Conv(self.kernel, stride=2).plan()
        levels = 1
        while receptive_field([strided] * levels)[0] < self.wanted:
            levels += 1
        halved = 1 - Fraction(1, 2**levels)
        plain = layers_for(self.wanted, self.kernel, 1)
        return (
            self._design("dilated", self.layers, self.receptive_field),
            self._design("dilation 1", plain, field(self.kernel, [plain])),  # of one layer as of so many
            self._design("one kernel", 1, self.wanted, kernel=self.wanted),
            self._design("stride 2", levels, receptive_field([strided] * levels)[0], halved, Fraction(1, 2**levels)),
        )

    def _design(
        self,
        name: str,
        layers: int,
        seen: int,
        runs: Fraction | None = None,
        rate: Fraction = Fraction(1),
        kernel: int | None = None,
    ) -> Design:
        """`runs`: layers' worth of outputs per sample of the input, one for each layer where nothing is left out."""
        each = (kernel or self.kernel) * self.channels**2
        return Design(name, layers, seen, layers * each, (Fraction(layers) if runs is None else runs) * each, rate)

    def __str__(self) -> str:
        """The stack in words, then as a table beside the other designs."""
        rows = self.rows()
        table = columns([list(rows[0]), *(list(row.values()) for row in rows)], left=1)
        first, *others = self.lines()
        return "\n".join([first, *(f"  {line}" for line in others), *table, f"  {self.remark()}"])

    def lines(self) -> list[str]:
        """The stack in words."""
        see = "sees" if self.layers == 1 else "see"
        return [
            f"{count(self.layers, 'layer', 'layers')} of kernel {self.kernel} {see} {self.receptive_field:,} inputs"
            f" (wanted {self.wanted:,}), every one of them",
            f"dilations {', '.join(_runs(self.dilations))}",
            f"{count(self.channels, 'channel', 'channels')} in and out of each layer: {self.parameters:,} weights,"
            f" {self.multiplications:,} multiply-adds per output",
            f"streaming keeps the {self.context:,} samples before: {self.memory:,} numbers over all layers",
        ]

    def remark(self) -> str:
        """What the last of the other designs loses."""
        rarely = self.alternatives()[-1].rate.denominator
        return f"stride 2 gives one output for {rarely:,} inputs: a decoder must bring the rate back"

    def rows(self) -> list[dict[str, str]]:
        """The designs as text, by the names of the columns."""
        return [
            {
                "layers": f"{each.layers:,}",
                "field": f"{each.receptive_field:,}",
                "weights": f"{each.parameters:,}",
                "multiply-adds/input": f"{float(each.multiplications):,.2f}".removesuffix(".00"),
                "outputs/input": str(each.rate),
                "design": each.name,
            }
            for each in self.alternatives()
        ]


def _runs(dilations: tuple[int, ...]) -> list[str]:
    """The dilations, equal ones once with their number."""
    numbers = Counter(dilations)
    return [str(d) if times == 1 else f"{d} ({times} times)" for d, times in numbers.items()]


def solve_stack(
    receptive_field: int,
    kernel: Choice = 2,
    *,
    objective: str = "layers",
    max_dilation: int | None = None,
    channels: int = 1,
) -> Stack:
    """The dilated stack of stride 1 with the fewest layers, or multiply-adds, that sees a field without gaps.

    Args:
        receptive_field: inputs that one output must see, at least; every input between the first and the last is read.
        kernel: of all layers; of a range or collection the one that serves the objective best.
        objective: "layers", or "multiplications" per output sample; the other one decides between equals.
        max_dilation: the largest dilation of a layer, which layers then share; None for no bound.
        channels: into and out of every layer.

    Returns:
        A Stack. No other stack of one of these kernels has fewer layers (multiply-adds), and none of this kernel
        overshoots the field by less. Proof: docs/solving.md. WaveNet (van den Oord et al. 2016) is kernel 2 with
        dilations 1 to 512, in blocks.

    Raises:
        TrousError: numbers that cannot be; kernel 1, which sees one input however often; more than 65,536 layers.

    >>> solve_stack(16000).dilations
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 7808)
    >>> solve_stack(16000, kernel=3).layers
    9
    """
    wanted = integer("receptive_field", receptive_field, 1)
    kernels = values("kernel", kernel, 2, BOUNDS["kernel"][1])
    if objective not in OBJECTIVES:
        raise TrousError("objective", f"must be one of {', '.join(OBJECTIVES)}", objective)
    largest = LARGEST if max_dilation is None else integer("max_dilation", max_dilation, 1)
    width = integer("channels", channels, 1)

    def costs(k: int) -> tuple[int, ...]:
        layers = layers_for(wanted, k, largest)
        return (layers, layers * k) if objective == "layers" else (layers * k, layers)

    best = min(kernels, key=costs)
    layers, _ = sorted(costs(best))
    if layers > _MOST_LAYERS:
        raise TrousError("max_dilation", f"must be larger: a stack would have {layers} layers", max_dilation)
    return Stack(wanted, best, dilations_for(wanted, best, largest), width)
