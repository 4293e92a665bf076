"""A picture as one HTML page that needs nothing else: a slider over its steps, and cells that tell their taps."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from math import prod

from trous.drawing.scene import Drawing
from trous.drawing.svg import svg


def page(drawing: Drawing, *, dark: bool | None = None) -> str:
    """The whole document. Hovering over an output shows its step; over an input, the outputs that it reaches; over a
    weight, the pairs that it joins."""
    resources = files("trous.drawing")
    style, script = (resources.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = escape(drawing.title)
    mode = {None: "", True: ' class="dark"', False: ' class="light"'}[dark]
    return f"""<!DOCTYPE html>
<html lang="en"{mode}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{svg(drawing, dark=dark, interactive=True)}{_controls(drawing)}</main>
<script type="application/json" id="data">{page_data(drawing)}</script>
<script>
{script}</script>
</body>
</html>
"""


def page_data(drawing: Drawing) -> str:
    """What the script knows, as JSON: the taps with the sizes that their flat indices count in, and the steps."""
    links = drawing.links
    sizes = {"output": links.output_size, "input": links.input_size, "kernel": links.kernel_size} if links else {}
    data = {
        "still": drawing.still,
        "milliseconds": drawing.milliseconds,
        "taps": links.taps if links and _whole(drawing) else None,
        "sizes": sizes,
    }
    return json.dumps(data, separators=(",", ":"))


def _whole(drawing: Drawing) -> bool:
    """Whether every output has its step; a picture of one step alone has not."""
    return drawing.links is not None and len(drawing.frames) == prod(drawing.links.output_size)


def _controls(drawing: Drawing) -> str:
    keys = []
    controls = ""
    if len(drawing.frames) > 1:
        controls = f"""<div class="controls">
<button id="play" type="button">Play</button>
<input id="step" type="range" min="0" max="{len(drawing.frames) - 1}" value="{drawing.still}" aria-label="Step">
<output id="count" for="step"></output>
</div>
"""
        keys.append("Arrow keys step, space plays and pauses.")
    if drawing.links is not None and _whole(drawing):
        keys.append("Hover over an output for what it reads, over an input for what it reaches.")
    return f'{controls}<p id="words" aria-live="polite"></p>\n<p class="keys">{" ".join(keys)}</p>\n'
