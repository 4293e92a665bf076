"""Sizes and ranges as they are written on the command line: 64, 1-8, 1,3,5, and 64x48 for axes."""

from __future__ import annotations

import re

from trous.errors import TrousError


def size(name: str, text: str) -> int | range | tuple[int | range, ...]:
    """`64` or `32-256`, joined by x for several axes.

    >>> size("input", "64x32-256")
    (64, range(32, 257))
    """
    axes = [_one_size(name, part, text) for part in text.split("x")]
    return axes[0] if len(axes) == 1 else tuple(axes)


def factor(text: str) -> str | tuple[str, ...]:
    """`2`, `1/2` or `0.5`, joined by x for several axes."""
    axes = text.split("x")
    return axes[0] if len(axes) == 1 else tuple(axes)


def choice(name: str, text: str | None) -> list[int] | range | None:
    """`3`, `1-8` or `1,3,5-7`; None where nothing was said.

    >>> choice("kernel", "1,3,5-7")
    [1, 3, 5, 6, 7]
    """
    if text is None:
        return None
    spans = [_span(part) for part in text.split(",")]
    if any(span is None for span in spans):
        raise TrousError(name, "must be a number, a range such as 1-8, or several joined by commas", text)
    found = [span for span in spans if span is not None]
    return found[0] if len(found) == 1 else [number for span in found for number in span]


def _one_size(name: str, part: str, text: str) -> int | range:
    span = _span(part)
    if span is None:
        raise TrousError(name, "must be a size, or one such as 64x48 or 32-256", text)
    return span[0] if len(span) == 1 else span


def _span(text: str) -> range | None:
    """The numbers of `a` or of `a-b`, or None."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text, re.ASCII)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if first <= last else None
