"""A size that was never seen before: what depends on no size is shared, and nothing piles up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from problems import integers, operation
from trous.backends.cpu import dense, target
from trous.backends.cpu.run import Bound
from trous.backends.cpu.tables import Strides
from trous.problem import Problem

#: Of rows, whose windows lie alike at all lengths: phases in the place of channels, in registers, and of stems' depth.
ROWS = [
    "conv_transpose,n1,c66-1,x24,k64,s16",
    "conv_transpose,n1,c512-256,x200,k16,s8,p4",
    "conv_transpose,n1,c128-64,x1280,k4,s2,p1",
    "conv_transpose,n1,c128-64,x1280,k4,s2,p1,last",
    "conv,n1,c64-48,x300,k7,d3,p9",
]


def bound(text: str, longer: int = 0, batch: int = 1) -> Bound:
    problem = Problem.parse(text)
    problem = replace(problem, size=tuple(n + longer for n in problem.size), batch=batch)
    given = integers(problem)
    strides = Strides.of(given.x, given.w, given.dy)
    return dense.bind(operation(problem), strides, "float32", target.current(), False)[1]


@pytest.mark.parametrize("text", ROWS)
def test_lengths_share_layout_and_tables(text: str) -> None:
    first = bound(text)
    layouts, tables = dense._layout.cache_info().misses, dense._tables.cache_info().misses
    for longer in range(1, 40):
        other = bound(text, longer)
        assert all(other.tables[name] is table for name, table in first.tables.items())
        assert other.number("in_x") == first.number("in_x") + longer
    assert dense._layout.cache_info().misses == layouts and dense._tables.cache_info().misses == tables


@pytest.mark.parametrize("text", ["conv_transpose,c64-48,x30x40,k4x4,s2,p1", "conv,c64-64,x30x32,k3x3,d2,p2,last"])
def test_images_and_batches_share_the_layout(text: str) -> None:
    first = bound(text)
    layouts = dense._layout.cache_info().misses
    for longer in range(1, 10):
        other = bound(text, longer, batch=1 + longer % 3)
        assert all(other.tables[name] is first.tables[name] for name in ("chunk_list", "phase_list"))
    assert dense._layout.cache_info().misses == layouts


def test_taps_that_fall_into_the_padding_have_a_layout_of_their_own() -> None:
    long, short = (bound("conv,n1,c64-48,x300,k7,d30,p90", longer) for longer in (0, -240))
    assert len(short.tables["entries"]) < len(long.tables["entries"])
