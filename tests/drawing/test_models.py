"""Pictures of models: what they show, that they can be read, and what is refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import trous
from drawing.seen import outside, overlapping, visible_texts
from inspection.networks import NETWORKS
from trous import Conv, TrousError
from trous.drawing import Drawing
from trous.drawing.blocks import blocks
from trous.drawing.effective import draw_map, draw_profile
from trous.drawing.examples import boxes, dilated, encoder_decoder
from trous.drawing.fields import draw_fields
from trous.drawing.lightness import even_steps, lightness
from trous.drawing.network import draw_network
from trous.drawing.palette import COLOURS, LEVELS, STYLES, contrast
from trous.drawing.repeats import folded
from trous.drawing.ruler import ticks
from trous.drawing.scene import Rect
from trous.inspection import Report
from trous.inspection.influence import Influence


def model(name: str) -> tuple[nn.Module, Any]:
    network = NETWORKS[name]
    torch.manual_seed(0)
    shape = torch.zeros(network.shape, dtype=torch.complex64) if network.complex_input else network.shape
    return network.build(), shape


@cache
def report(name: str) -> Report:
    return trous.inspect(*model(name))


def readable(drawing: Drawing) -> None:
    seen = visible_texts(drawing, 0)
    boxes = [text.box for text, _ in seen]
    assert [(seen[a][0].text, seen[b][0].text) for a, b in overlapping(boxes)] == []
    assert outside(drawing, boxes) == []
    for ink, ground in {(STYLES[text.style].fill, ground) for text, ground in seen}:
        for mode in (0, 1):
            assert contrast(COLOURS[ink][mode], COLOURS[ground][mode]) >= 4.5, (ink, ground, mode)


def texts(drawing: Drawing) -> list[str]:
    return [text.text for text, _ in visible_texts(drawing, 0)]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_diagrams_and_fields_can_be_read(name: str) -> None:
    for drawing in (draw_network(name, report(name)), draw_fields(name, report(name), 0)):
        readable(drawing)
        assert len(drawing.svg()) < 60_000


#: The last residual sum of a network whose output is that of its skips.
UNREAD = {"wavenet": ["layers.9.add"], "conv-tasnet": ["blocks.7.add"]}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_boxes_are_the_layers_in_order(name: str) -> None:
    """Every source lies before its reader, every box leads on, and layers that multiply have one each."""
    found = blocks(report(name))
    assert [block.name for block in found if block.category in ("conv", "transposed", "product")] == [
        layer.name for layer in report(name) if layer.nominal_macs
    ]
    for several in (found, folded(found).blocks):
        assert all(source < place for place, block in enumerate(several) for source in block.sources)
        assert several[-1].kind == "output"
    read = {source for block in found for source in block.sources}
    unread = [block.name for place, block in enumerate(found) if place not in read and block.category != "end"]
    assert unread == UNREAD.get(name, [])
    count = len(folded(found).blocks) + sum(r.period * (r.times - 1) for r in folded(found).repeats)
    assert count == len(found)


def test_repetitions_of_wavenet_are_drawn_once() -> None:
    drawing = trous.draw(*model("wavenet"), view="network")
    assert {"×10", "×9"} <= set(texts(drawing))
    assert "Conv1d kernel 2, padded, dilation 1 to 16 · tanh" in texts(drawing)
    assert texts(drawing).count("output") == 2  # the column and the box


def test_what_repeats_reads_the_one_before() -> None:
    found = folded(blocks(trous.inspect(boxes(5), (1, 1, 9, 9))))
    assert [(block.kind, block.sources) for block in found.blocks] == [
        ("input", ()),
        ("Conv2d", (0,)),
        ("output", (1,)),
    ]
    assert found.repeats == ((1, 1, 5),)
    assert found.blocks[1].receptive_field == "11×11"


def test_what_is_read_from_behind_is_not_folded_away() -> None:
    class Skipped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Conv2d(1, 1, 3, padding=1) for _ in range(5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = x = self.layers[0](x)
            for layer in self.layers[1:]:
                x = layer(x)
            return first + x

    found = folded(blocks(trous.inspect(Skipped(), (1, 1, 9, 9))))
    kinds = [("input", ()), ("Conv2d", (0,)), ("Conv2d", (1,)), ("add", (1, 2)), ("output", (3,))]
    assert [(block.kind, tuple(sorted(block.sources))) for block in found.blocks] == kinds
    assert found.repeats == ((2, 1, 4),)


def test_the_diagram_of_an_encoder_decoder() -> None:
    drawing = trous.draw(encoder_decoder(), (1, 3, 64, 64), view="network")
    found = texts(drawing)
    assert drawing.title == "UNet: 29 layers"
    assert "Conv2d 3×3, dilation 2, 4, 8 · BatchNorm2d, ReLU" in found
    assert "×3" in found
    assert found.count("cat") == 4  # box and name
    indents = [s.x for s in drawing.background if isinstance(s, Rect) and s.style in ("tint0", "tint1", "tint2")]
    steps = np.array(indents) - min(indents)
    assert (steps / 18).tolist() == [0, 1, 2, 2, 1, 1, 1, 0, 0, 0, 0]


def test_warnings_are_numbered() -> None:
    bad = nn.Sequential(nn.ConvTranspose1d(1, 1, 3, stride=2), nn.Conv1d(1, 1, 2, stride=3))
    found = texts(trous.draw(bad, (1, 1, 9), view="network"))
    assert {"1", "2"} <= set(found)
    assert any(text.startswith("0: checkerboard") for text in found)


def test_fields_with_holes() -> None:
    specs = [Conv(3, dilation=2), Conv(3, dilation=2)]
    drawing = trous.draw(specs, 17, view="fields")
    bars = [(s.x, s.y, s.width) for s in drawing.background if isinstance(s, Rect) and s.style.startswith("level")]
    cell = min(width for *_, width in bars)
    assert {width for *_, width in bars} == {cell}
    rows = sorted({y for _, y, _ in bars})
    places = [sorted(round((x - min(bars)[0]) / cell) for x, at, _ in bars if at == y) for y in rows]
    assert places == [[2, 4, 6], [0, 2, 4, 6, 8]]
    assert drawing.frames[0].caption == "field of the central output of 1 (Conv): 9, of which 5 are read"


def test_fields_of_another_axis() -> None:
    convolution = nn.Conv2d(1, 1, (3, 5), padding=(1, 2))
    captions = [trous.draw(convolution, (1, 1, 20, 20), view="fields", axis=a).frames[0].caption for a in (0, 1)]
    assert captions == ["field of the central output of Conv2d: 3", "field of the central output of Conv2d: 5"]


@pytest.mark.parametrize("name", ["fsrcnn", "wavenet", "se-net"])
def test_effective_fields_can_be_read(name: str) -> None:
    built, shape = model(name)
    drawing = trous.draw(built, shape)
    readable(drawing)
    assert "effective field" in drawing.frames[0].caption


def test_cells_of_the_map_are_the_strength() -> None:
    drawing = trous.draw(boxes(1), (1, 1, 9, 9))
    cells = [s for s in drawing.background if isinstance(s, Rect) and s.style == f"level{LEVELS - 1}"]
    assert [(cell.width, cell.height) for cell in cells[:3]] == [(3 * cells[0].height, cells[0].height)] * 3
    assert drawing.frames[0].caption == "output (4, 4): theoretical field 3×3, effective field 3×3"


def test_large_fields_are_drawn_in_blocks() -> None:
    rng = np.random.default_rng(0)
    built, _ = model("fsrcnn")
    layer = trous.inspect(built, (1, 1, 9, 9))[0]
    for shape, drawn in (((1000, 700), draw_map), ((5000,), draw_profile)):
        strength = rng.random(shape)
        drawing = drawn(Influence(strength, tuple(map(range, shape)), shape, layer, "noise"))
        readable(drawing)
        assert len(drawing.svg()) < 300_000
        assert max(drawing.width, drawing.height) < 1000
        assert any("in blocks of" in text for text in texts(drawing))


def test_three_axes() -> None:
    built, shape = model("meshnet")
    for parameter in built.parameters():  # its two channels of random weights die behind so many ReLUs
        parameter.data.abs_()
    assert trous.draw(built, shape).svg() == trous.draw(built, shape, view="network").svg()
    assert trous.draw(built, shape, axis=2).title == "MeshNet: effective receptive field"
    with pytest.raises(TrousError, match="axis must be one of the 3 axes of the input, from 0, got None"):
        trous.draw(built, shape, view="effective")


def test_levels_are_even() -> None:
    for mode in (0, 1):
        steps = np.diff([lightness(COLOURS[f"level{n}"][mode]) for n in range(LEVELS)])
        assert np.allclose(steps, steps.mean(), atol=0.004)
    assert even_steps(["#000000", "#ffffff"], 3)[::2] == ["#000000", "#ffffff"]


def test_ticks() -> None:
    assert list(ticks(range(-3, 9), 2.5)) == [0, 5]
    assert list(ticks(range(98, 131), 7)) == [100, 110, 120, 130]


@pytest.mark.parametrize(
    ("what", "size", "options", "said"),
    [
        (dilated(2), (1, 1, 9), {"view": "taps"}, "view must be one of effective, network, fields for such a model"),
        ([Conv(3)], 9, {"view": "effective"}, "view must be one of network, fields for such a model"),
        (dilated(2), (1, 1, 9), {"numbers": True}, "numbers must be left out for a model, got True"),
        (dilated(2), (1, 1, 9), {"step": 0}, "step must be left out for a model, got 0"),
        (dilated(2), (1, 1, 9), {"view": "network", "layer": "0"}, "layer must be left out but for the view effective"),
        (dilated(2), (1, 1, 9), {"view": "network", "axis": 0}, "axis must be left out but for the views effective"),
        (dilated(2), (1, 1, 9), {"view": "fields", "axis": 1}, "axis must be from 0 to 0"),
        (dilated(2), (1, 1, 9), {"layer": "7"}, "layer must be one of 0, 1, got '7'"),
        (dilated(2), (1, 2, 9), {}, "input_size must be what the model accepts"),
        (dilated(2), None, {}, "input_size must be given"),
        (Conv(3), 9, {"layer": "0"}, "layer must be left out but for models and the views"),
        (Conv(3), 9, {"axis": 0}, "axis must be left out but for models and the views"),
        (Conv(3), None, {}, "size must be"),
        ("missing.onnx", None, {"view": "effective"}, "view must be one of network, fields for such a model"),
    ],
)
def test_what_cannot_be_drawn(what: Any, size: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as raised:
        trous.draw(what, size, **options)
    assert str(raised.value).startswith(said)
