"""`solve`: every layer between two sizes, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import reduce
from heapq import heappop, heappush
from math import prod
from operator import mul
from typing import Any, overload

from trous.errors import TrousError
from trous.solving.axis import AxisSolutions, Layer, Rank
from trous.solving.ranges import Bounds, Choice
from trous.solving.wanted import Wanted, wanted
from trous.spec import Conv, ConvTranspose, Spec

#: By name, in the order in which equally good ones are listed.
KINDS: dict[str, type[Conv] | type[ConvTranspose]] = {"conv": Conv, "transposed": ConvTranspose}

Size = int | range
Factor = int | float | Fraction | str


class Solutions(Sequence[Spec]):
    """Specs, best first: an immutable sequence that makes each when it is asked for.

    `len` counts without listing; `in` computes, without searching. A slice is a tuple. `print` shows the first as a
    table with what tells them apart; where there is none it says what would come nearest.
    """

    def __init__(self, sizes: tuple[Wanted, ...], named: bool, kinds: tuple[str, ...], bounds: Bounds):
        self._sizes, self._named, self._names = sizes, named, kinds
        alike = {
            (kind, size.ends): AxisSolutions(kind == "transposed", size.ends, bounds.of(size.ratio))
            for kind in kinds
            for size in sizes
        }
        self._axes = {kind: tuple(alike[kind, size.ends] for size in sizes) for kind in kinds}
        self._found: list[Spec] = []
        self._more = self._best_first()

    @property
    def sizes(self) -> tuple[Wanted, ...]:
        """What was asked for, one entry per axis."""
        return self._sizes

    @property
    def axes(self) -> dict[str, tuple[AxisSolutions, ...]]:
        """The solutions of each axis by itself, by kind."""
        return self._axes

    def __len__(self) -> int:
        return sum(prod(axis.count for axis in axes) for axes in self._axes.values())

    def __bool__(self) -> bool:
        return self._get(0) is not None

    @overload
    def __getitem__(self, place: int) -> Spec: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Spec, ...]: ...
    def __getitem__(self, place: int | slice) -> Spec | tuple[Spec, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        forward = place if place >= 0 else len(self) + place
        found = self._get(forward) if forward >= 0 else None
        if found is None:
            raise IndexError(f"solution {place} of {len(self)}")
        return found

    def __iter__(self) -> Iterator[Spec]:
        place = 0
        while (found := self._get(place)) is not None:
            yield found
            place += 1

    def __contains__(self, spec: object) -> bool:
        for kind, axes in self._axes.items():
            if type(spec) is KINDS[kind] and isinstance(spec, Spec) and spec.groups == 1:
                layers = [_layer(spec, axis) for axis in range(spec.ndim or 1)]
                return (
                    len(layers) == len(axes)
                    and all(layer is not None and layer in axis for layer, axis in zip(layers, axes, strict=True))
                    and spec == self._spec(kind, [layer for layer in layers if layer])
                )
        return False

    def count(self, value: object) -> int:
        return int(value in self)

    def __repr__(self) -> str:
        return f"<Solutions {self.question}: {len(self)}>"

    def __str__(self) -> str:
        from trous.solving.text import solutions_text

        return solutions_text(self)

    @property
    def question(self) -> str:
        """The sizes as one line."""
        if len({size.text for size in self._sizes}) == 1 and len(self._sizes) > 1:
            return f"{self._sizes[0].text} along {len(self._sizes)} axes"
        return ", ".join(size.text for size in self._sizes)

    def _get(self, place: int) -> Spec | None:
        while len(self._found) <= place:
            following = next(self._more, None)
            if following is None:
                return None
            self._found.append(following)
        return self._found[place]

    def _best_first(self) -> Iterator[Spec]:
        """The products of the axes' lists in order: a step along any list never gives a better rank, so the best that
        is left is one step behind one taken already. Each is reached in one way, by steps along the axes in turn."""
        heap: list[tuple[Rank, int, tuple[int, ...], int, list[Layer]]] = []
        kinds = list(self._axes)

        def add(kind: int, places: tuple[int, ...], moved: int) -> None:
            axes = self._axes[kinds[kind]]
            found = [axis.get(place) for axis, place in zip(axes, places, strict=True)]
            chosen = [each for each in found if each is not None]
            if len(chosen) == len(axes):
                rank = reduce(mul, (rank for rank, _ in chosen))
                heappush(heap, (rank, kind, places, moved, [layer for _, layer in chosen]))

        for kind in range(len(kinds)):
            add(kind, (0,) * len(self._sizes), 0)
        while heap:
            _, kind, places, moved, layers = heappop(heap)
            yield self._spec(kinds[kind], layers)
            for axis in range(moved, len(places)):
                add(kind, (*places[:axis], places[axis] + 1, *places[axis + 1 :]), axis)

    def _spec(self, kind: str, layers: Sequence[Layer]) -> Spec:
        names = ["kernel", "stride", "dilation", *(["output_padding"] if kind == "transposed" else [])]
        numbers: dict[str, Any] = {name: tuple(getattr(layer, name) for layer in layers) for name in names}
        padding: Any = tuple(layer.before for layer in layers)
        if not self._named:
            numbers, padding = {name: value[0] for name, value in numbers.items()}, padding[0]
        if not all(layer.symmetric for layer in layers):
            padding = tuple((layer.before, layer.after) for layer in layers)
        return KINDS[kind](padding=padding, **numbers)


def _layer(spec: Spec, axis: int) -> Layer | None:
    """The numbers of one axis; None where a word stands for them, which no solution has."""
    a = spec.axis_arguments(axis)
    if isinstance(a["padding"], str):
        return None
    before, after = a["padding"]
    return Layer(a["kernel"], a["stride"], a["dilation"], before, after, a.get("output_padding", 0))


def solve(
    input_size: Size | Sequence[Size] | None = None,
    output_size: Size | Sequence[Size] | None = None,
    *,
    factor: Factor | Sequence[Factor] | None = None,
    kind: str | None = None,
    kernel: Choice | None = None,
    stride: Choice | None = None,
    padding: Choice | None = None,
    dilation: Choice = range(1, 5),
    output_padding: Choice | None = None,
    symmetric: bool = True,
) -> Solutions:
    """Every spec, within the ranges, that maps one size to the other; the best first.

    Args:
        input_size: an int, for specs of plain ints that serve any number of axes; a tuple or list of 1 to 3, for specs
            with one entry per axis; a range in the place of an int, for specs that serve all of its sizes.
        output_size: in the same form. Beside a range of inputs an int is the output of all of them, a range as long
            that of one after the other.
        factor: in place of output_size: inputs `n` for which `factor*n` is whole give exactly that. An int, a
            Fraction, a string such as "1/2", a float such as 0.5, or one for each axis. Without input_size, for every
            `n` from 1.
        kind: "conv" or "transposed"; None for both.
        kernel, stride, padding, dilation, output_padding: one value, or a range or collection of those to search, for
            every axis. By default kernel 1 to 8; stride 1 up to the ratio of the sizes rounded up, 8 at least; dilation
            1 to 4; padding up to `dilation*(kernel-1)`, beyond which outputs see padding alone; every output_padding
            that torch allows. A convolution has output_padding 0.
        symmetric: whether padding is the same in front and behind. If not, `(before, after)` pairs are listed also;
            a spec that has one names its axes, be it one.

    Returns:
        Solutions. First come layers that treat all positions alike: as many taps for every output (Odena, Dumoulin &
        Olah 2016, on checkerboards) and no input that no output reads. Among these, fewer multiplications per output;
        then less output_padding, smaller dilation, less padding, and that the same on both sides. Layers whose padding
        moves windows off the array, or that leave some of it behind the last window, come after those that do not.
        Over several axes unevenness adds up, multiplications multiply.

    Raises:
        TrousError: sizes, a factor or ranges that cannot be. Ranges without a solution are an empty result.

    >>> solve(64, 256)[0]
    ConvTranspose(kernel=4, stride=4, padding=0, output_padding=0, dilation=1, groups=1)
    >>> Conv(3, stride=2, padding=1) in solve(range(32, 257), factor="1/2")
    True
    """
    if kind is not None and kind not in tuple(KINDS):
        raise TrousError("kind", f"must be one of {', '.join(KINDS)}, or None", kind)
    bounds = Bounds.checked(kernel, stride, padding, dilation, output_padding, bool(symmetric))
    sizes, named = wanted(input_size, output_size, factor)
    return Solutions(sizes, named, tuple(KINDS) if kind is None else (kind,), bounds)
