"""Colours and styles of the pictures, for light and dark.

The hues are Paul Tol's "light" scheme (SRON/EPS/TN/09-002, 2021), made to be told apart by the colour-blind and to
carry dark text. What a hue tints is mixed from it and the paper; the levels of a map are one hue from the paper's
lightness to its opposite in even steps. Every text has a contrast of at least 4.5 with what it
stands on (WCAG 2.1, 1.4.3), which tests/drawing/test_palette.py holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from trous.drawing.lightness import even_steps

#: Told apart by hue and lightness; further phases begin again.
HUES = ("#ee8866", "#77aadd", "#44bb99", "#eedd88", "#ffaabb", "#99ddff", "#bbcc33", "#aaaa00")
HEATS = 8
#: Steps of a map of small cells, which carry no text.
LEVELS = 24
_PAPER = "#ffffff", "#0d1117"
_INK = "#1f2328", "#e6edf3"
_TINT = 0.34
#: The least, a middle and the most of a map, light and dark.
_MAP = ("#f0f4f9", "#3f8fd2", "#0b1f44"), ("#18202b", "#3a86c8", "#e8f5ff")


def mix(colour: str, other: str, share: float) -> str:
    """`share` of a colour and the rest of another, both `#rrggbb`."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def contrast(colour: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1)."""
    high, low = sorted((_luminance(colour), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    shares = [c / 255 for c in _channels(colour)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _colours() -> dict[str, tuple[str, str]]:
    """Every colour by name, light and dark."""
    colours = {
        "paper": _PAPER,
        "ink": _INK,
        "muted": ("#59636e", "#9aa4af"),
        "rule": ("#8c959f", "#6e7681"),
        "faint": ("#c8d0d8", "#3a424b"),
        "input": ("#d9e2ec", "#2b3a4b"),
        "padding": ("#f4f5f7", "#151b23"),
        "on-hue": ("#1f2328", "#0d1117"),
    }
    for number, hue in enumerate(HUES):
        colours[f"hue{number}"] = hue, hue
        colours[f"tint{number}"] = mix(hue, _PAPER[0], _TINT), mix(hue, _PAPER[1], _TINT)
        colours[f"line{number}"] = mix(hue, "#000000", 0.72), hue
    for number in range(HEATS):
        share = 0.10 + 0.9 * number / (HEATS - 1)
        heat = mix("#2f86cc", _PAPER[0], share), mix("#6cb6f5", _PAPER[1], share)
        colours[f"heat{number}"] = heat
        colours[f"on-heat{number}"] = _readable(heat[0]), _readable(heat[1])
    for number, level in enumerate(zip(*(even_steps(stops, LEVELS) for stops in _MAP), strict=True)):
        colours[f"level{number}"] = level[0], level[1]
    return colours


def _readable(background: str) -> str:
    """Black or white, of which one has a contrast of 4.58 or more with any colour."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))


COLOURS = _colours()


@dataclass(frozen=True)
class Style:
    """How a class of shapes looks; colours by name, lengths in pixels. `size` is that of a text, `dash` of a line."""

    fill: str = ""
    stroke: str = ""
    width: float = 1
    dash: float = 0
    size: float = 0
    bold: bool = False


def _styles() -> dict[str, Style]:
    styles = {
        "paper": Style("paper"),
        "input": Style("input", "rule"),
        "hole": Style("paper", "faint", dash=3),
        "padding": Style("padding", "faint", dash=3),
        "plain": Style("paper", "faint"),
        "unread": Style("padding", "faint"),
        "window": Style("", "ink", width=2.5),
        "chosen": Style("", "ink", width=2.5),
        "link": Style("", "faint"),
        "cross": Style("", "rule"),
        "arrow": Style("", "muted", width=1.5),
        "node": Style("paper", "rule", width=1.5),
        "ground": Style("padding"),
        "bar": Style("level12", "level12", width=0.5),
        "mark": Style("ink"),
        "mark0": Style("line0"),
        "heading": Style("ink", size=14, bold=True),
        "caption": Style("ink", size=13),
        "label": Style("muted", size=12),
        "value": Style("ink", size=11),
        "ghost": Style("muted", size=11),
        "on-hue": Style("on-hue", size=11),
    }
    for number in range(len(HUES)):
        styles[f"hue{number}"] = Style(f"hue{number}", "ink")
        styles[f"tint{number}"] = Style(f"tint{number}", "rule")
        styles[f"line{number}"] = Style("", f"line{number}", width=2.5)
        styles[f"skip{number}"] = Style("", f"line{number}", width=1.5)
        styles[f"frame{number}"] = Style("", f"line{number}", width=3)
    for number in range(HEATS):
        styles[f"heat{number}"] = Style(f"heat{number}", "rule")
        styles[f"on-heat{number}"] = Style(f"on-heat{number}", size=11)
    for number in range(LEVELS):
        styles[f"level{number}"] = Style(f"level{number}", f"level{number}", width=0.5)  # no seams between cells
    return styles


STYLES = _styles()
