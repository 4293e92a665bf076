"""The story as one HTML page that needs nothing else: pictures inside, drawings inline, no script, no network."""

from __future__ import annotations

import platform
from html import escape
from importlib.resources import files

import trous
from trous.bench.machine import cpu_model
from trous.demo import sections
from trous.demo.story import Story


def page(story: Story, credit: str = "") -> str:
    """The whole document. `credit` says whose photograph it is."""
    import numpy
    import torch

    style = files("trous.demo").joinpath("style.css").read_text(encoding="utf-8")
    checks = "".join(
        f'<li class="{"good" if check.holds else "bad"}">{escape(_sentence(check.sentence))}</li>'
        for check in story.checks
    )
    chapters = (
        sections.holes(),
        sections.enlargements(story),
        sections.learned(story),
        sections.dilations(story),
        sections.lecture(story),
        sections.times(story),
    )
    threads = torch.get_num_threads()
    machine = f"{cpu_model()}, {threads} thread{'s' if threads > 1 else ''}"
    libraries = {"trous": trous, "PyTorch": torch, "NumPy": numpy}
    versions = [f"{name} {library.__version__}" for name, library in libraries.items()]
    made_by = f"{machine}. {', '.join(versions)}, Python {platform.python_version()}."
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>trous: one photograph, through holes</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>One photograph, through holes</h1>
<p class="lead">Some convolutions skip: there are holes in their kernel, their input or their output. Here they are at
work on {escape(story.photo.name)}. Every picture and every number was computed for this page.</p>
<ul class="checks">{checks}</ul>
{"".join(chapters)}
<footer><p>{escape(made_by)}</p><p>{escape(credit)}</p></footer>
</main>
</body>
</html>
"""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
