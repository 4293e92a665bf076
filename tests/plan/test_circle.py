"""Axes on circles, and axes of blurred pictures, against sums written out."""

from __future__ import annotations

import pytest

from trous.errors import TrousError
from trous.plan import conv_axis, transposed_axis
from trous.plan.axis import AxisPlan, Tap
from trous.plan.bind import BoundAxis
from trous.plan.border import source_indices, unpadded
from trous.plan.circle import SURROUNDINGS, ObservedAxis, circle_size, tile_circle, tile_outputs, tiles
from trous.plan.grid import Grid

CONVS = [(k, s, p, d) for k in (1, 2, 3, 5) for s in (1, 2, 3) for p in (0, 1, 4) for d in (1, 2, 3)]


def pairs_on(axis: BoundAxis, circle: int) -> set[tuple[int, int, int]]:
    """Every output, kernel index and input that meet on a circle of so many places."""
    plan, kernel = axis.plan, Grid(axis).kernel
    inputs = {plan.up * i % circle: i for i in range(axis.input_size)}
    met = set()
    for output in range(axis.output_size):
        for index, distance in kernel.items():
            place = (plan.down * output + distance) % circle
            if place in inputs:
                met.add((output, index, inputs[place]))
    return met


def pairs_of(axis: BoundAxis) -> set[tuple[int, int, int]]:
    """The same by the definition of a plan."""
    return {
        (output, tap.kernel, i)
        for output in range(axis.output_size)
        for tap, i in axis.plan.reads(output).items()
        if 0 <= i < axis.input_size
    }


@pytest.mark.parametrize("transposed", [False, True])
def test_the_circle_is_the_smallest_on_which_nothing_else_meets(transposed: bool) -> None:
    seen = 0
    for k, s, p, d in CONVS:
        plan = transposed_axis(k, s, p, p, 0, d) if transposed else conv_axis(k, s, p, p, d)
        for n in (4, 7):
            if (m := plan.output_size(n)) < 1:
                continue
            axis = BoundAxis(plan, n, m)
            circle = circle_size(axis)
            assert circle is not None
            assert pairs_on(axis, circle) == pairs_of(axis)
            farthest = max(plan.up * (n - 1), plan.down * (m - 1))
            if circle - 1 > farthest:
                assert pairs_on(axis, circle - 1) != pairs_of(axis)
                seen += 1
    assert seen > 10


def test_no_circle_where_phases_would_meet_wrongly() -> None:
    assert circle_size(BoundAxis(AxisPlan(2, 2, (Tap(0, 0, 0),), 0), 4, 4)) is None
    assert circle_size(BoundAxis(AxisPlan(1, 1, (Tap(0, 0, 0), Tap(0, 0, 1)), 0), 4, 4)) is None


def test_a_convolution_without_its_padding_reads_what_the_padding_would_hold() -> None:
    for k, s, p, d in CONVS:
        plan = conv_axis(k, s, p, p + 1, d)
        if (m := plan.output_size(9)) < 1:
            continue
        axis = BoundAxis(plan, 9, m)
        inner, before, after = unpadded(axis)
        assert inner.input_size == before + 9 + after
        assert inner.output_size == m == inner.plan.output_size(inner.input_size) or after == 0 or s > 1
        for output in range(m):
            wanted = {tap.kernel: i + before for tap, i in plan.reads(output).items()}
            assert {tap.kernel: i for tap, i in inner.plan.reads(output).items()} == wanted
            assert all(0 <= i < inner.input_size for i in wanted.values())


def pairs_on_tiles(axis: BoundAxis, circle: int) -> set[tuple[int, int, int]]:
    """As `pairs_on`, on circles of a size of which each holds what its tile says."""
    met = set()
    for tile in tiles(axis, circle):
        inputs = dict(zip(range(circle)[tile.read], range(axis.input_size)[tile.inputs], strict=True))
        for place, output in zip(range(circle)[tile.written], range(axis.output_size)[tile.outputs], strict=True):
            for index, distance in Grid(axis).kernel.items():
                if (place + distance) % circle in inputs:
                    met.add((output, index, inputs[(place + distance) % circle]))
    return met


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), CONVS)
def test_tiles_compute_what_the_axis_does(kernel: int, stride: int, padding: int, dilation: int) -> None:
    """Of circles of every size, and their number is what was asked for."""
    for plan in (
        conv_axis(kernel, stride, padding, padding, dilation),
        transposed_axis(kernel, stride, padding, padding, 0, dilation),
    ):
        axis = BoundAxis(plan, 13, plan.output_size(13))
        if axis.output_size < 1 or circle_size(axis) is None:
            continue
        for count in (1, 2, 3, axis.output_size):
            circle = tile_circle(axis, count)
            assert len(tiles(axis, circle)) <= count
            assert tile_outputs(axis, circle) == -(-axis.output_size // count)
            for more in (0, 1, 4):
                assert pairs_on_tiles(axis, circle + more) == pairs_of(axis)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_an_observed_axis_is_a_true_convolution(surroundings: str) -> None:
    """`y[i] = sum of psf[t] x[stride i + centre - t]`, by the taps and on the circle."""
    for kernel in (1, 2, 3, 4, 5):
        for stride in (1, 2, 3):
            axis = ObservedAxis(kernel, stride, 5, surroundings)
            assert axis.bound.plan.output_size(axis.bound.input_size) == axis.size
            first = 0 if surroundings == "zero" else axis.before  # of the estimate, among the inputs
            assert axis.bound.input_size == (axis.result if surroundings == "zero" else axis.extended)
            circle = axis.least_circle + (0 if surroundings == "periodic" else 3)
            turns, places = axis.turns(circle), range(circle)[axis.places]
            assert len(places) == axis.size
            for i in range(axis.size):
                reads = {kernel - 1 - tap.kernel: at for tap, at in axis.bound.plan.reads(i).items()}
                assert reads == {t: stride * i + kernel // 2 - t + first for t in range(kernel)}
                for t in range(kernel):
                    wanted = (axis.origin + stride * i + kernel // 2 - t) % circle
                    assert (places[i] - turns[t]) % circle == wanted
            mode = SURROUNDINGS[surroundings] or "zeros"
            assert axis.sources == source_indices(mode, axis.result, axis.before, axis.after)


def test_frequencies_that_look_alike() -> None:
    """Waves of aliased frequencies agree at every position that is kept."""
    for stride, size in ((1, 5), (2, 4), (3, 5)):
        axis = ObservedAxis(3, stride, size, "unknown")
        assert sorted(k for along in axis.aliases for k in along) == list(range(axis.result))
        for frequency, alike in enumerate(zip(*axis.aliases, strict=True)):
            for position in range(0, axis.result, stride):
                turns = {k * position % axis.result for k in (frequency, *alike)}
                assert len(turns) == 1


def test_a_psf_that_reaches_too_far_is_refused() -> None:
    ObservedAxis(7, 1, 4, "reflect").check()
    with pytest.raises(TrousError, match=r"psf must reach less far than the estimate's 4 positions .* reflect, got '9"):
        ObservedAxis(9, 1, 4, "reflect").check()
    ObservedAxis(9, 1, 4, "periodic").check()
    with pytest.raises(TrousError, match="periodic"):
        ObservedAxis(11, 1, 4, "periodic").check()
    ObservedAxis(99, 1, 4, "zero").check()
