"""Colours that can be told apart and read, and texts that are no wider than they are taken to be."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PIL import ImageFont

from trous.drawing.palette import COLOURS, HEATS, HUES, STYLES, contrast, mix
from trous.drawing.scene import text_width

#: What stands on what; the gallery's test sees the pairs that occur there.
PAIRS = [("ink", "paper"), ("muted", "paper"), ("ink", "input"), ("ink", "padding")]
PAIRS += [("on-hue", f"hue{n}") for n in range(len(HUES))] + [("ink", f"tint{n}") for n in range(len(HUES))]
PAIRS += [(f"on-heat{n}", f"heat{n}") for n in range(HEATS)]

#: Deuteranopia and protanopia in linear RGB (Viénot, Brettel & Mollon, 1999).
BLIND = [
    np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
    np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_has_contrast(text: str, ground: str, mode: int) -> None:
    assert contrast(COLOURS[text][mode], COLOURS[ground][mode]) >= 4.5


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert mix("#ff0000", "#0000ff", 0.5) == "#800080"


@pytest.mark.parametrize("matrix", [np.eye(3), *BLIND], ids=["everybody", "deuteranopia", "protanopia"])
def test_the_first_hues_can_be_told_apart(matrix: np.ndarray) -> None:
    """The four phases of stride 2 on two axes, which are nearly all that one meets."""
    linear = [((np.array([int(h[n : n + 2], 16) for n in (1, 3, 5)]) / 255) ** 2.2) for h in HUES[:4]]
    seen = [np.clip(matrix @ colour, 0, 1) ** (1 / 2.2) * 255 for colour in linear]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 40


def test_heat_goes_one_way() -> None:
    for mode, paper in enumerate(COLOURS["paper"]):
        steps = [contrast(COLOURS[f"heat{n}"][mode], paper) for n in range(HEATS)]
        assert steps == sorted(steps)


def test_styles_name_colours_that_are_there() -> None:
    named = {colour for style in STYLES.values() for colour in (style.fill, style.stroke) if colour}
    assert named <= set(COLOURS)


@pytest.mark.parametrize(
    "text",
    [
        "Transposed convolution 3×3, stride 2, padding 1, output padding 1",
        "output (1, 12): 4 of 9 taps, 5 on holes, 2 on padding",
        "1·3 + 0·0 + 22·0 + 0·1 = 16; their sum is −0.125",
        "w0 w10 w255 mmm WWW @@@",
    ],
)
def test_no_text_is_wider_than_it_is_taken_to_be(text: str) -> None:
    font = ImageFont.load_default(20)
    assert font.getlength(text.replace("×", "x").replace("−", "-")) <= text_width(text, 20)
