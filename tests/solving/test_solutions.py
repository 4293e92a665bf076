"""`solve` finds every spec that trying finds, and no other; in order, and without listing them first."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np
import pytest

from solving.every_spec import by_sizes, every_spec, outputs, ranges, serving
from trous.errors import TrousError
from trous.solving import Solutions, solve
from trous.spec import Conv, ConvTranspose, Spec

SIZES = range(1, 13)


def alike(found: Solutions, expected: set[Spec]) -> bool:
    """The same set, each once, counted right and each known to be inside."""
    listed = list(found)
    return (
        len(listed) == len(found) == len(expected)
        and set(listed) == expected
        and bool(found) == bool(expected)
        and all(spec in found for spec in listed[::5])
    )


@pytest.mark.parametrize("symmetric", [True, False])
def test_every_pair_of_small_sizes(symmetric: bool) -> None:
    expected = by_sizes(symmetric)
    for n, m in product(SIZES, SIZES):
        assert alike(solve(n, m, **ranges(symmetric), symmetric=symmetric), expected[n, m]), (n, m)


def test_one_kind_only() -> None:
    for kind, type_, size in (("conv", Conv, (11, 5)), ("transposed", ConvTranspose, (3, 8))):
        expected = {spec for spec in by_sizes(True)[size] if type(spec) is type_}
        assert expected and alike(solve(*size, **ranges(True), kind=kind), expected)


def test_what_is_none_is_not_inside() -> None:
    """`in` against all specs of the ranges, and of words, pairs, groups and named axes."""
    found = solve(7, 4, **ranges(True))
    listed = set(found)
    for spec in every_spec(False):
        assert (spec in found) == (spec in listed), spec
    for spec in (Conv(3, 2, "same"), Conv(3, 2, 1, groups=2), Conv(3, 2, ((1, 1),)), Conv((3,), 2, 1), Conv(3, 2, 6)):
        assert spec not in found, spec
    assert Conv(3, 2, 1) in found and (3, 2, 1) not in found


@pytest.mark.parametrize("seed_", range(4))
def test_collections_with_gaps(seed_: int) -> None:
    """Ranges in steps, sets, lists out of order and single numbers, against trying."""
    rng = np.random.default_rng(seed_)
    given: dict[str, Any] = {
        "kernel": {1, 3, 5},
        "stride": int(rng.integers(1, 4)) if seed_ % 2 else range(3, 0, -2),
        "dilation": [2],
        "padding": (3, 0, 2) if seed_ < 2 else range(1, 4, 2),
        "output_padding": frozenset({0, 1}) if seed_ % 2 else 1,
    }
    bounds = {name: [value] if isinstance(value, int) else list(value) for name, value in given.items()}

    def within(spec: Spec) -> bool:
        arguments = {"output_padding": 0, **spec.axis_arguments(0)}
        padding = all(side in bounds["padding"] for side in arguments.pop("padding"))
        return padding and all(arguments[name] in bounds[name] for name in bounds if name != "padding")

    for symmetric in (True, False):
        inside = {spec for spec in outputs(symmetric) if within(spec)}
        assert inside
        expected = by_sizes(symmetric)
        for n, m in product(SIZES, SIZES):
            assert alike(solve(n, m, **given, symmetric=symmetric), expected[n, m] & inside), (n, m, given)


def test_intervals() -> None:
    """One output for all inputs of an interval; and one after the other, up and down, in steps."""
    found_any = 0
    for first, length, m in product((1, 4, 6), (1, 2, 3), range(1, 8, 2)):
        sizes = range(first, first + length)
        assert alike(solve(sizes, m, **ranges(True)), serving(True, ((n, m) for n in sizes)))
        for step in (-2, -1, 1, 2, 3):
            wanted = range(m, m + step * length, step)
            if wanted[-1] >= 1:
                expected = serving(True, zip(sizes, wanted, strict=True))
                assert alike(solve(sizes, wanted, **ranges(True)), expected)
                found_any += bool(expected) and length > 1
    assert found_any > 15
    every_second = serving(True, zip((3, 5, 7), (6, 10, 14), strict=True))
    assert every_second and alike(solve(range(3, 9, 2), range(6, 16, 4), **ranges(True)), every_second)


@pytest.mark.parametrize("factor", ["1", "2", "3", "4", "1/2", "1/3", "2/3", "3/2", "5", "1/5"])
def test_factors(factor: str) -> None:
    """A layer that keeps a factor `p/q` for the multiples 1 to stride + 1 of `q` keeps it for all.

    Its rule is `(up*n + extent) // down`; with n = q*j it has to be p*j, which is `0 <= j*(up*q - down*p) + extent <
    down`. What is in brackets moves by a whole number for each j. If that is not 0, `down` steps leave the interval of
    `down` numbers.
    """
    ratio = Fraction(factor)
    multiples = range(ratio.denominator, ratio.denominator * (ranges(True)["stride"][-1] + 1) + 1, ratio.denominator)
    expected = serving(True, ((n, int(n * ratio)) for n in multiples))
    assert alike(solve(factor=factor, **ranges(True)), expected)
    assert bool(expected) == (factor in ("1", "2", "3", "4", "1/2", "1/3"))
    for sizes in (range(2, 9), range(3, 15, 3), range(9, 2, -1)):
        whole = [n for n in sizes if (n * ratio).denominator == 1]
        if whole:
            expected = serving(False, ((n, int(n * ratio)) for n in whole))
            assert alike(solve(sizes, factor=ratio, **ranges(False), symmetric=False), expected)


def test_factors_in_every_form() -> None:
    forms: list[Any] = [0.5, "1/2", "0.5", Fraction(1, 2)]
    assert len({tuple(solve(factor=form)) for form in forms}) == 1
    assert tuple(solve(8, factor=2)) == tuple(solve(8, 16)) == tuple(solve(8, factor=2.0))
    assert solve((6, 8), factor=(2, "1/2"))[:50] == solve((6, 8), (12, 4))[:50]
    assert solve(factor=(2, 2))[0] == ConvTranspose((2, 2), (2, 2), (0, 0), (0, 0), (1, 1))


@pytest.mark.parametrize("symmetric", [True, False])
def test_products_of_axes(symmetric: bool) -> None:
    within = {"kernel": range(1, 4), "stride": range(1, 3), "dilation": 1, "padding": range(3)}
    found = solve((5, 4), (3, 4), **within, symmetric=symmetric)
    rows = [list(solve(n, m, **within, symmetric=symmetric)) for n, m in ((5, 3), (4, 4))]
    expected = set()
    for first, second in product(*rows):
        if type(first) is type(second):
            each = [spec.axis_arguments(0) for spec in (first, second)]
            each = [{**a, "padding": a["padding"][0] if symmetric else a["padding"]} for a in each]
            merged = {name: tuple(a[name] for a in each) for name in each[0] if name != "groups"}
            if all(a["padding"][0] == a["padding"][1] for a in each if not symmetric) and not symmetric:
                merged["padding"] = tuple(a["padding"][0] for a in each)
            expected.add(type(first)(**merged))
    assert alike(found, expected)
    assert all(spec.output_size((5, 4)) == (3, 4) for spec in found)


def rank(spec: Spec, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[object, ...]:
    """What solutions are ordered by first, from plans and specs: unevenness, what is amiss at the border, cost."""
    uneven = border = 0
    plan = spec.plan(len(inputs))
    for place, (axis, n, m) in enumerate(zip(plan.axes, inputs, outputs, strict=True)):
        taps = [len(phase) for phase in axis.by_phase]
        empty = 0 in taps or any(not phase for phase in axis.adjoint().by_phase)
        uneven += 2 if empty else len(set(taps)) > 1
        a = spec.axis_arguments(place)
        window = a["dilation"] * (a["kernel"] - 1) + 1
        dense, strided = (n, m) if isinstance(spec, Conv) else (m, n)
        border += sum(a["padding"]) > window - 1 or (strided - 1) * a["stride"] + window < dense
    cost = prod(Fraction(len(axis.taps), axis.up) for axis in plan.axes)
    return uneven, border, cost, sum(spec.axis_arguments(axis).get("output_padding", 0) for axis in range(len(inputs)))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        *[((8,), (8,)), ((4,), (8,)), ((9,), (4,)), ((1,), (6,)), ((14,), (4,))],
        *[((4, 6), (8, 12)), ((8, 6), (4, 6)), ((3, 3, 3), (5, 5, 6))],
    ],
)
def test_the_best_come_first(inputs: Any, outputs: Any) -> None:
    found = solve(inputs, outputs, symmetric=False)[:1000]
    assert len(found) > 20
    ranks = [rank(spec, inputs, outputs) for spec in found]
    assert all(before <= after for before, after in pairwise(ranks))


def test_the_order_of_axes_is_that_of_all_products() -> None:
    """The lazy order against sorting everything."""
    found = list(solve((6, 5), (3, 5), dilation=(1, 2), kernel=range(1, 4), symmetric=False))
    ranks = [rank(spec, (6, 5), (3, 5)) for spec in found]
    assert ranks == sorted(ranks)
    assert len(found) == len(set(found))


def test_plainer_ones_come_before() -> None:
    assert list(solve(8, 8, kernel=3, kind="conv", stride=1)) == [Conv(3, 1, d, d) for d in (1, 2, 3, 4)]
    assert list(solve(8, 8, kernel=4, dilation=1, stride=1, kind="conv", symmetric=False))[:2] == [
        Conv(4, padding=((1, 2),)),
        Conv(4, padding=((2, 1),)),
    ]


def test_a_sequence() -> None:
    found = solve(64, 256)
    listed = list(found)
    assert found[0] == listed[0] and found[-1] == listed[-1] and found[2:5] == tuple(listed[2:5])
    assert found[::-20] == tuple(listed[::-20]) and list(reversed(found)) == listed[::-1]
    assert found.index(listed[3]) == 3 and found.count(listed[3]) == 1
    for place in (len(found), -len(found) - 1):
        with pytest.raises(IndexError):
            found[place]
    assert repr(found) == f"<Solutions 64 -> 256: {len(listed)}>"


def test_what_everybody_uses_is_found() -> None:
    assert solve(64, 256)[0] == ConvTranspose(4, 4) and ConvTranspose(8, 4, 2) in solve(64, 256)[:8]
    assert Conv(7, 2, 3) in solve(224, 112) and Conv(16, 16) == solve(224, 14, kernel=16)[0]
    assert ConvTranspose(20, 10, 5) in solve(22050, 220500, kernel=range(1, 33))
    assert ConvTranspose(3, 2, 1, 1) in solve(range(32, 257), factor=2)
    assert Conv(3, 1, 2, 2) in solve(factor=1)


def test_most_is_left_unlisted() -> None:
    """Counting, membership and the first of 10**8 cost nothing to speak of."""
    found = solve((64, 64, 64), (64, 64, 64), symmetric=False)
    assert len(found) > 10**8
    assert found[0] == Conv((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1))
    assert Conv((3, 5, 7), (1, 1, 1), ((1, 1), (2, 2), (0, 6)), (1, 1, 1)) in found


def test_the_default_ranges() -> None:
    assert {spec.kernel for spec in solve(64, 640)} <= {*range(1, 9), 10, 20}
    assert {spec.dilation for spec in solve(8, 8)} == {1, 2, 3, 4}
    assert all(spec.padding <= spec.dilation * (spec.kernel - 1) for spec in solve(6, 9))
    assert {spec.stride for spec in solve(64, 1, kernel=64)} == set(range(1, 65))


@pytest.mark.parametrize(
    ("arguments", "named", "said"),
    [
        ((0, 4), {}, "input_size must be 1 to"),
        ((4, -1), {}, "output_size must be 1 to"),
        ((4,), {}, "output_size or factor must be given, and not both"),
        ((4, 8), {"factor": 2}, "output_size or factor must be given, and not both"),
        ((None, 8), {}, "input_size must be given beside output_size"),
        (("4", 8), {}, "input_size must be an integer or a range"),
        ((4.0, 8), {}, "input_size must be an integer or a range"),
        (((4, 4), 8), {}, "output_size must have an entry for each axis of input_size (4, 4)"),
        ((4, (8, 8)), {}, "output_size must have an entry for each axis of input_size 4"),
        (((4, 4), (8, 8, 8)), {}, "output_size must have an entry for each axis"),
        (((4,) * 4, (8,) * 4), {}, "input_size must have 1, 2 or 3 axes"),
        (((), ()), {}, "input_size must have 1, 2 or 3 axes"),
        ((range(0), 4), {}, "input_size must hold a size"),
        ((range(3), 4), {}, "input_size must be 1 to"),
        ((range(4, 8), range(4, 7)), {}, "output_size must be one size, or as many as the 4"),
        ((4, range(4, 7)), {}, "output_size must be one size, or as many as the 1"),
        ((4,), {"factor": 0.1}, 'factor must be exact; for 0.1 write "1/10", got 0.1'),
        ((4,), {"factor": 0}, "factor must be above 0"),
        ((4,), {"factor": "two"}, "factor must be a number above 0"),
        ((4,), {"factor": float("nan")}, "factor must be a number above 0"),
        ((4,), {"factor": True}, "factor must be a number above 0"),
        ((4,), {"factor": "1/3"}, "input_size must hold a multiple of 3"),
        (((4, 4),), {"factor": (2, 2, 2)}, "factor must have an entry for each axis"),
        ((), {"factor": (2,) * 4}, "factor must have 1, 2 or 3 axes"),
        ((4, 8), {"kernel": 0}, "kernel must be 1 to 1048576"),
        ((4, 8), {"kernel": range(0)}, "kernel must have at least one value"),
        ((4, 8), {"stride": "12"}, "stride must be an integer, a range or a collection"),
        ((4, 8), {"padding": [0, 1.5]}, "padding must be an integer, a range or a collection"),
        ((4, 8), {"dilation": {0, 1}}, "dilation must be 1 to"),
        ((4, 8), {"kind": "pool"}, "kind must be one of conv, transposed, or None"),
    ],
)
def test_what_cannot_be_asked(arguments: tuple[Any, ...], named: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as error:
        solve(*arguments, **named)
    assert str(error.value).startswith(said)


@pytest.mark.slow
@pytest.mark.parametrize("symmetric", [True, False])
def test_every_pair_of_larger_sizes(symmetric: bool) -> None:
    expected = by_sizes(symmetric)
    for n, m in product(range(1, 26 if symmetric else 16), range(1, 120)):
        assert alike(solve(n, m, **ranges(symmetric), symmetric=symmetric), expected[n, m]), (n, m)
