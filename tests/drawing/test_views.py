"""What the pictures show, against the definition of the layers; what cannot be drawn, and is said."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import numpy as np
import pytest

import trous
from drawing.definition import triples
from drawing.seen import keyed, lit, outside, overlapping, visible_texts
from trous import Conv, ConvTranspose, TrousError
from trous.drawing import VIEWS, Drawing, draw
from trous.drawing.scene import Circle, Line, Rect, Text
from trous.plan import AxisPlan, Plan
from trous.plan.reach import receptive_field
from trous.problem import Problem, random_problems

SPECS = [
    (Conv(3, stride=2, padding=1), (6, 5)),
    (Conv((2, 3), dilation=(3, 2), padding=((0, 2), (3, 1))), (6, 7)),
    (ConvTranspose(3, stride=2, padding=1, output_padding=1), (3, 4)),
    (ConvTranspose((4, 3), stride=(3, 2), dilation=(1, 3), padding=1), (3, 3)),
    (ConvTranspose(3, stride=2, padding="causal"), (3, 3)),
    (Conv(2, stride=3, padding="causal"), (7, 6)),
    (Conv(3, padding=1), (3, 3, 4)),
    (ConvTranspose(2, stride=2), (2, 1, 2)),
    (Conv(3, dilation=4, padding="causal"), (9,)),
    (ConvTranspose(4, stride=3, dilation=2, output_padding=2), (4,)),
]


def texts(drawing: Drawing, frame: int = 0) -> list[str]:
    return [text.text for text, _ in visible_texts(drawing, frame)]


@pytest.mark.parametrize(("spec", "size"), SPECS, ids=str)
def test_a_step_lights_what_its_output_reads(spec: Any, size: tuple[int, ...]) -> None:
    drawing = draw(spec, size)
    found = triples(spec, size)
    outputs = prod(spec.output_size(size))
    assert len(drawing.frames) == outputs
    for o in range(outputs):
        assert lit(drawing, o, "output") == {o}
        assert lit(drawing, o, "input") == {i for output, i, _ in found if output == o}
        if len(size) > 1:  # in a row the kernel moves
            assert lit(drawing, o, "kernel") == {k for output, _, k in found if output == o}
        else:
            names = {f"w{k}" for output, _, k in found if output == o}
            shapes = drawing.frames[o].shapes
            assert {s.text for s in shapes if isinstance(s, Text) and s.style == "on-hue"} == names
            lines = [s for s in shapes if isinstance(s, Line)]
            assert len(lines) == len(names)


@pytest.mark.parametrize(("spec", "size"), SPECS, ids=str)
def test_every_input_weight_and_output_has_its_cell(spec: Any, size: tuple[int, ...]) -> None:
    cells = keyed(draw(spec, size))
    for kind, count in (("input", prod(size)), ("output", prod(spec.output_size(size)))):
        assert sorted(index for key, index in cells if key == kind) == list(range(count))
    places = [(rect.x, rect.y) for rect in cells.values()]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(("spec", "size"), SPECS, ids=str)
def test_the_links_are_the_definition(spec: Any, size: tuple[int, ...]) -> None:
    links = draw(spec, size).links
    assert links is not None
    assert len(set(links.taps)) == len(links.taps)
    assert set(links.taps) == triples(spec, size)


def test_random_layers_can_be_drawn_and_read(seed: int) -> None:
    drawn = 0
    for problem in random_problems(seed, 40, most_work=3000):
        spec, size = problem.spec, problem.size
        slices = max(size[0], problem.output_size[0]) if len(size) == 3 else 1
        if min(size) < 1 or prod(problem.output_size) > 90 or prod(size) > 400 or slices > 16:
            continue
        for numbers in (False, True):
            drawing = draw(spec, size, numbers=numbers)
            boxes = [text.box for text, _ in visible_texts(drawing, drawing.still)]
            assert list(overlapping(boxes)) == [], problem
            assert outside(drawing, boxes) == [], problem
        drawn += 1
    assert drawn > 15


AUDIO = [Conv(2, dilation=2**n, padding="causal") for n in range(6)]


@pytest.mark.parametrize(
    ("spec", "size", "options"),
    [
        (Conv(1), 1, {}),
        (Conv(1), (1, 1), {"weight": [[-123456.789]]}),
        (Conv(1), (1, 1, 1), {"numbers": True}),
        (Conv(3), 9, {"channels": (16, 1)}),
        (Conv(3, padding=1, groups=16), (40,), {"channels": (16, 16)}),
        (ConvTranspose(3, stride=2), (30, 30), {"view": "overlap"}),
        (ConvTranspose(3, stride=2), 100, {"view": "overlap"}),
        (Conv(3, padding=1), (8, 8), {"view": "matrix"}),
        (AUDIO, 80, {}),
        ([Conv(3, padding=1)] * 12, (3, 3), {}),
        ([Conv(7, stride=2, padding=3), Conv(3, stride=2, padding=1)] * 2, (32, 32), {}),
        ([ConvTranspose(4, stride=2, padding=1)] * 3, 5, {}),
        ([ConvTranspose(4, stride=2, padding=1), Conv(3)], (5, 5), {"view": "coverage"}),
    ],
)
def test_unusual_pictures_can_be_read(spec: Any, size: Any, options: dict[str, Any]) -> None:
    drawing = draw(spec, size, **options)
    boxes = [text.box for text, _ in visible_texts(drawing, drawing.still)]
    assert list(overlapping(boxes)) == []
    assert outside(drawing, boxes) == []
    assert drawing.svg()


@pytest.mark.parametrize(("spec", "size"), SPECS, ids=str)
def test_numbers_are_the_layer_s(spec: Any, size: tuple[int, ...]) -> None:
    """Read from the picture: its inputs and weights give its outputs."""
    drawing = draw(spec, size, numbers=True)
    cells = {(rect.x + rect.width / 2, rect.y + rect.height / 2): key for key, rect in keyed(drawing).items()}
    values = {cells[s.x, s.y]: int(s.text) for s in drawing.background if isinstance(s, Text) and (s.x, s.y) in cells}
    x = np.array([values["input", i] for i in range(prod(size))], np.float64).reshape(1, 1, *size)
    kernel = tuple(spec.axis_arguments(axis)["kernel"] for axis in range(len(size)))
    if len(size) > 1:
        w = np.array([values["kernel", k] for k in range(prod(kernel))], np.float64)
        run = trous.conv_transpose if isinstance(spec, ConvTranspose) else trous.conv
        arguments = {
            name: getattr(spec, name) for name in spec.__dataclass_fields__ if name not in ("kernel", "groups")
        }
        y = run(x, w.reshape(1, 1, *kernel), **arguments)
        assert [values["output", o] for o in range(y.size)] == y.ravel().astype(int).tolist()
    for frame, (_, caption) in enumerate(drawing.frames):
        assert int(re.findall(r"\d+", caption)[-1]) == values["output", frame]
        left, equals, total = caption.partition(" = ")
        if equals:
            assert sum(int(a) * int(b) for a, b in (term.split("·") for term in left.split(" + "))) == int(total)


def test_weights_of_one_s_own() -> None:
    drawing = draw(ConvTranspose(3, stride=2), 3, weight=[0.5, -1, 0.5])
    assert {"0.5", "−1"} <= set(texts(drawing))
    sums = draw(ConvTranspose(3, stride=2), 3, view="overlap", weight=[0.5, 1, 0.5])
    assert [t for t in texts(sums) if re.fullmatch(r"[\d.]+", t)] == sorted(["0.5", "1", "1", "1", "1", "1", "0.5"])


def test_overlap_counts_taps() -> None:
    spec, size = ConvTranspose((3, 2), stride=2), (4, 3)
    outputs = [o for o, _, _ in triples(spec, size)]
    drawing = draw(spec, size, view="overlap")
    counts = [outputs.count(o) for o in range(prod(spec.output_size(size)))]
    assert sorted(text for text in texts(drawing) if text.isdigit()) == sorted(map(str, counts))
    assert drawing.frames[0].caption == f"{min(counts)} to {max(counts)} taps by output"


def test_coverage_counts_ways_and_crosses_what_is_left_out() -> None:
    layers = [Conv(3, dilation=2), Conv(2, dilation=2), Conv(3, dilation=2)]
    matrices = []
    n = 15
    for layer in layers:
        out = layer.output_size(n)
        matrix = np.zeros((out, n), int)
        for o, i, _ in triples(layer, (n,)):
            matrix[o, i] += 1
        matrices.append(matrix)
        n = out
    ways = (matrices[2] @ matrices[1] @ matrices[0])[2]
    drawing = draw(layers, 15, view="coverage", step=2)
    assert sorted(t for t in texts(drawing) if t.isdigit()) == sorted(str(n) for n in ways if n)
    (field,) = receptive_field([layer.plan() for layer in layers])
    crosses = [s for s in drawing.background if isinstance(s, Line)]
    assert len(crosses) == 2 * (field - np.count_nonzero(ways))
    assert f"reads {np.count_nonzero(ways)} of the {field} inputs" in drawing.frames[0].caption


@pytest.mark.parametrize(("spec", "size"), [(Conv(3), (4, 4)), (ConvTranspose(3, stride=2, padding=1), (5,))], ids=str)
def test_the_matrix_has_a_weight_for_every_tap(spec: Any, size: tuple[int, ...]) -> None:
    drawing = draw(spec, size, view="matrix")
    plain = [s for s in drawing.background if isinstance(s, Rect) and s.style == "plain"]
    rows, columns = (sorted({getattr(s, side) for s in plain}) for side in ("y", "x"))
    letters = [s for s in drawing.background if isinstance(s, Text) and s.style == "on-hue"]
    half = plain[0].width / 2
    found = {(rows.index(s.y - half), columns.index(s.x - half), int(s.text[1:])) for s in letters}
    assert found == triples(spec, size)


def test_the_tree_lights_what_an_output_depends_on() -> None:
    layers = [Conv(2, dilation=2**n, padding="causal") for n in range(3)]
    drawing = draw(layers, 12)
    assert drawing.title == "3 layers, receptive field 8"
    inputs = [s for s in drawing.background if isinstance(s, Circle) and s.key and s.key[0] == "input"]
    for output, frame in enumerate(drawing.frames):
        circles = {(s.x, s.y) for s in frame.shapes if isinstance(s, Circle)}
        read = {s.key[1] for s in inputs if s.key and (s.x, s.y) in circles}
        assert read == set(range(max(0, output - 7), output + 1))
    assert drawing.still >= 7


def test_a_stack_names_its_transposed_layers() -> None:
    drawing = draw([Conv(4, stride=2, padding=1), ConvTranspose(4, stride=2, padding=1)], 8)
    named = ["kernel 4, stride 2, padding 1", "transposed kernel 4, stride 2, padding 1"]
    assert [text for text in texts(drawing) if "kernel" in text] == named


@pytest.mark.parametrize(
    ("dilations", "fields"), [((1, 1, 1), ("3×3", "5×5", "7×7")), ((1, 2, 4), ("3×3", "7×7", "15×15"))]
)
def test_windows_grow(dilations: tuple[int, ...], fields: tuple[str, ...]) -> None:
    drawing = draw([Conv(3, dilation=d) for d in dilations], (17, 17))
    for frame, field in enumerate(fields):
        assert f"the field is {field}" in drawing.frames[frame].caption
        windows = [s for s in drawing.frames[frame].shapes if isinstance(s, Rect) and s.style == "window"]
        cell = keyed_cell(drawing)
        assert [f"{round(w.height / cell)}×{round(w.width / cell)}" for w in windows] == list(fields[: frame + 1])


def keyed_cell(drawing: Drawing) -> float:
    return next(s.width for s in drawing.background if isinstance(s, Rect))


def test_channels_read_their_group() -> None:
    drawing = draw(ConvTranspose(3, groups=2), (3, 3), channels=(4, 2))
    captions = [frame.caption for frame in drawing.frames]
    assert captions == [
        "output channel 0 reads input channels 0 to 1: 2 × 3×3 weights",
        "output channel 1 reads input channels 2 to 3: 2 × 3×3 weights",
    ]
    lines = [[s for s in frame.shapes if isinstance(s, Line)] for frame in drawing.frames]
    assert [len(found) for found in lines] == [2, 2]
    assert not set(lines[0]) & set(lines[1])


def test_a_plan_is_drawn_like_its_spec() -> None:
    spec = ConvTranspose(3, stride=2, padding=1)
    drawing, same = draw(spec.plan(2), (3, 3)), draw(spec, (3, 3))
    assert drawing.title == "Plan of 3×3 taps"
    assert (drawing.links, len(drawing.frames)) == (same.links, len(same.frames))


def test_step() -> None:
    spec = Conv(3)
    whole = draw(spec, (5, 5))
    assert draw(spec, (5, 5), step=4).frames == (whole.frames[4],)
    assert draw(spec, (5, 5), step=(1, 1)).frames == (whole.frames[4],)
    assert draw(spec, (25, 25), step=(20, 3)).frames[0].caption.startswith("output (20, 3)")


CONV = Conv(3)


@pytest.mark.parametrize(
    ("spec", "size", "options", "said"),
    [
        ("conv", 5, {}, "spec must be a Conv, a ConvTranspose, a plan, or a list of these, got 'conv'"),
        ([], 5, {}, "spec must be at least one layer"),
        ([CONV, None], 9, {}, "spec must be a Conv"),
        (CONV, 2, {}, "kernel must fit into the padded input of size"),
        (CONV, 0, {}, "size must be at least 1"),
        (CONV, "5", {}, "size must be an integer or one integer per axis"),
        (CONV, (4, 4, 4, 4), {}, "size must have one to three axes"),
        (Conv((3, 3)), 5, {}, "size must have one entry for each of 2 axes"),
        (CONV, (99, 99), {}, "size must be small enough to be seen: at most 4096 cells"),
        (
            Conv(3, padding=900, dilation=900),
            (9, 9),
            {},
            "size must be small enough to be seen: at most 4096 cells, holes",
        ),
        ([Conv(3, padding=90, dilation=90)] * 2, (9, 9), {}, "size must be small enough to be seen"),
        (Conv(1), (40, 2, 2), {}, "size must give at most 16 slices along the first axis to be seen, got 40"),
        (CONV, 5, {"weight": [1, np.nan, 1]}, "weight must be an array of finite real numbers"),
        (CONV, (30, 30), {}, "size must give at most 400 outputs to be animated; step shows one of more"),
        (Plan((AxisPlan(1, 1, (), 0),)), 5, {}, "spec must be a plan with taps on every axis"),
        (CONV.plan(), 2, {}, "size must give an output; plan of 3 taps gives size (0,)"),
        (CONV, 5, {"view": "film"}, f"view must be one of {', '.join(VIEWS)}, got 'film'"),
        ([CONV, CONV], 9, {"view": "taps"}, "view must be one of stack, overlap, coverage for several layers"),
        (CONV, (4, 4, 4), {"view": "matrix"}, "size must have one or two axes for the view matrix, got (4, 4, 4)"),
        (CONV, (9, 9), {"view": "matrix"}, "size must give a matrix of at most 64 rows and columns"),
        (CONV, 5, {"channels": (2, 2), "view": "taps"}, "channels must be left out but for the view channels"),
        (CONV, 5, {"channels": 2}, "channels must be two numbers, (in, out)"),
        (Conv(3, groups=2), 5, {"channels": (4, 3)}, "channels must be divisible by groups (2)"),
        (CONV, 5, {"channels": (64, 32)}, "channels must be at most 16"),
        (CONV, 5, {"numbers": True, "view": "overlap"}, "numbers must be left out but for the views taps and matrix"),
        (CONV, 5, {"weight": [1, 2]}, "weight must have the kernel's shape (3,), got (2,)"),
        (CONV, 5, {"weight": "abc"}, "weight must be an array of finite real numbers"),
        (CONV, 5, {"weight": [[1], [1, 2]]}, "weight must be an array of finite real numbers"),
        ([CONV, CONV], 9, {"weight": [1, 2, 3]}, "weight must be left out but for the views"),
        (CONV, 5, {"step": 3}, "step must be from 0 to 2, got 3"),
        (CONV, 5, {"step": 3, "view": "coverage"}, "step must be from 0 to 2, got 3"),
        (CONV, (5, 5), {"step": (0, 3)}, "step must be an output of (3, 3), one index for each axis"),
        (CONV, 5, {"step": -1}, "step must be at least 0"),
    ],
)
def test_what_cannot_be_drawn(spec: Any, size: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as raised:
        draw(spec, size, **options)
    assert str(raised.value).startswith(said)


def test_every_view_of_a_problem_s_spec() -> None:
    problem = Problem.parse("conv_transpose,c2-4,x5,k3,s2,g2")
    for view in VIEWS:
        assert draw(problem.spec, problem.size, view=view).frames
