"""What a search says: a table of the first, and where it finds nothing, what is near."""

from __future__ import annotations

from itertools import product

import pytest

from solving.every_spec import by_sizes, ranges
from trous.solving import solve


def test_a_table() -> None:
    lines = str(solve(64, 256)).splitlines()
    assert lines[0] == "64 -> 256: 59 specs, best first"
    header = "layer kernel stride padding output_padding dilation taps output = overlap border"
    assert lines[1].split() == header.split()
    assert lines[2].split() == ["ConvTranspose", "4", "4", "0", "0", "1", "1", "4*input", "even", "-"]
    assert len(lines) == 2 + 12 + 1 and lines[-1] == "  and 47 more"


@pytest.mark.parametrize(
    ("sizes", "named", "said"),
    [
        ((64, 128), {"kernel": 3, "stride": 2}, "1-2  2*input   uneven"),
        ((9, 4), {"kernel": 2, "stride": 2}, "1 input unread"),
        ((range(8, 10), 4), {"kernel": 2, "stride": 2}, "1 input unread"),
        ((4, 9), {"kernel": 2, "stride": 2}, "1 output bias alone"),
        (((8, 6), (4, 6)), {"kernel": 3, "dilation": 1}, "(input + 1)//2, input"),
        (((8, 6), (4, 6)), {"kernel": 3, "dilation": 1}, "2x1"),
        ((8, 8), {"kernel": 4, "symmetric": False, "dilation": 1}, "1:2"),
        ((4, 12), {"kernel": 2, "stride": 3}, "gaps"),
    ],
)
def test_what_tells_them_apart(sizes: tuple[object, object], named: dict[str, object], said: str) -> None:
    assert said in str(solve(*sizes, **named))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "named", "said"),
    [
        (
            (64, 2048),
            {"kernel": range(1, 9)},
            "kernel=32 makes even overlap possible: transposed with kernel 32, stride",
        ),
        (
            (64, 128),
            {"kernel": 3, "stride": 2, "output_padding": 0},
            "nearest outputs of 64 within the ranges: 127 and",
        ),
        ((64, 128), {"kernel": 3, "stride": 2, "output_padding": 0}, "output_padding=1 makes it possible"),
        (
            (64, 64),
            {"kernel": 4, "dilation": 1},
            "symmetric=False makes it possible: conv with kernel 4, stride 1, pad",
        ),
        ((64, 64), {"kernel": 3, "padding": 0}, "padding=1 makes it possible"),
        ((64, 64), {"kernel": 4, "dilation": 1}, "dilation=2 makes it possible"),
        ((64, 16), {"stride": 2, "kernel": 4}, "stride=4 makes it possible"),
        (((64, 64), (128, 32)), {"kernel": 3, "stride": 2}, "each axis has solutions by itself, but not all of them"),
        (((64, 64), (64, 65)), {"kernel": 3, "dilation": 1, "stride": 1}, "axis 1: nearest outputs of 64"),
    ],
)
def test_what_would_do(sizes: tuple[object, object], named: dict[str, object], said: str) -> None:
    assert said in str(solve(*sizes, **named))  # type: ignore[arg-type]


def test_a_factor_that_no_layer_has() -> None:
    said = "n -> 2*n/3: no spec within these ranges\n  no single range makes it possible: it may take two layers"
    assert str(solve(factor="2/3")) == said


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_nearest_outputs_are_the_nearest(symmetric: bool) -> None:
    """Against all outputs that trying gives."""
    found = by_sizes(symmetric)
    checked = 0
    for n, m in product((1, 4, 11), range(1, 90, 7)):
        reached = {out for size, out in found if size == n}
        if m not in reached:
            near = [max((r for r in reached if r < m), default=None), min((r for r in reached if r > m), default=None)]
            expected = " and ".join(str(r) for r in near if r is not None)
            line = f"nearest outputs of {n} within the ranges: {expected}\n"
            assert line in f"{solve(n, m, **ranges(symmetric), symmetric=symmetric)}\n"
            checked += 1
    assert checked > 10
