"""The chapters of the page, each from its part of the story."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

from trous import Conv, ConvTranspose
from trous.bench.compare import OURS, OURS_LAST, THEIRS, THEIRS_LAST
from trous.demo import drawing
from trous.demo.dilation import DILATIONS, Dilated
from trous.demo.enlarge import Enlargement
from trous.demo.lecture import tap_indices
from trous.demo.pictures import busiest, data_uri
from trous.demo.race import Race
from trous.demo.story import Story, listed

#: Pixels of the photograph, a side, that are shown enlarged; and of the pictures that show them, whatever the scale.
DETAIL, SHOWN = 64, 384


def holes() -> str:
    """What a hole and a tap are, in three drawings."""
    examples = [
        (
            Conv(3, padding=2, dilation=2),
            7,
            3,
            "A dilated convolution",
            "has holes in its kernel: it reads past inputs.",
        ),
        (Conv(3, stride=2, padding=1), 9, 2, "A strided convolution", "has holes in its output: it leaves places out."),
        (
            ConvTranspose(4, stride=2, padding=1),
            5,
            4,
            "A transposed convolution",
            "has holes in its input: its pixels are set apart, and what lies between is filled in.",
        ),
    ]
    figures = "".join(
        _figure(drawing.axis_taps(spec.plan().axes[0], size, chosen, f"{name} {text}"), name, text)
        for spec, size, chosen, name, text in examples
    )
    return f"""<h2>What is a tap, what is a hole?</h2>
<p>A convolution makes each output from a few inputs: it multiplies every one of them by a weight and adds up. One such
multiplication is a <em>tap</em>, a line in the drawings. A <em>hole</em> is a place that is skipped.</p>
<div class="cards three">{figures}</div>
<p>The easy way to run any of these is to fill the holes with zeros and multiply by them all the same. trous writes down
the taps that remain and runs that list, and nothing else.</p>"""


def enlargements(story: Story) -> str:
    """Every kernel at every scale, a detail of the photograph, the weights and the comparison."""
    side = min(DETAIL, min(story.photo.size) // 2)
    top, left = busiest(story.photo.pixels[0], side, margin=8)
    parts = []
    for scale in dict.fromkeys(e.scale for e in story.enlargements):
        shown = [e for e in story.enlargements if e.scale == scale]
        frame = max(e.weight.shape[-1] for e in shown)
        cards = [_enlargement(e, top, left, side, frame) for e in shown]
        parts.append(f'<h3>{scale} times</h3><div class="cards">{"".join(cards)}</div>')
    height, width = story.photo.size
    place = f"left:{left / width:.3%};top:{top / height:.3%};width:{side / width:.3%};height:{side / height:.3%}"
    notice = f", {story.photo.notice}" if story.photo.notice else ""
    return f"""<h2>Enlarge it</h2>
<p>A transposed convolution with stride 2 sets the pixels two apart, with stride 3 three apart. The weights decide what
comes between, and for the right weights this is interpolation as everybody knows it. The frame is the detail below.</p>
<figure class="photo"><div>
<img src="{data_uri(story.photo.pixels[0])}" alt="the photograph" width="{width}" height="{height}">
<span style="{place}"></span></div>
<figcaption>{escape(story.photo.name)}, {width} × {height} pixels{notice}</figcaption></figure>
{"".join(parts)}
<p class="note">The bars are the weights along one axis. Their colour is the <em>phase</em>: a new pixel takes the bars
of one colour only, which is why so few taps do. Compared are the pixels with no tap off the photograph, with a float64
result: what differs is the rounding of trous to float32.</p>"""


def learned(story: Story) -> str:
    """A detail of the photograph made small, enlarged by bicubic and by trained weights, and as it was."""
    side = min(DETAIL, min(story.photo.size) // 2) // 12 * 12  # which every scale divides
    top, left = (n // 12 * 12 for n in busiest(story.photo.pixels[0], side, margin=8))
    parts = []
    for x in story.learned:
        plain, trained = x.psnr
        cards = [
            _detail(x.small, f"made small, ÷{x.scale}", "", x.scale, top, left, side),
            _detail(x.interpolated, "bicubic", f"{plain:.2f} dB", 1, top, left, side),
            _detail(x.enlarged, "trained weights", f"{trained:.2f} dB", 1, top, left, side),
            _detail(x.truth, "the photograph", "", 1, top, left, side),
        ]
        parts.append(f'<h3>{x.scale} times</h3><div class="cards">{"".join(cards)}</div>')
    return f"""<h2>Let it learn the weights</h2>
<p>The weights of a transposed convolution need not be those of an interpolation. Here they are the last layer of a
small network that has seen 581 photographs, small and as they were, and has learned what is lost when they are made
small (<code>trous upscale</code>). The photograph was not among them.</p>
{"".join(parts)}
<p class="note">dB: peak signal-to-noise ratio to the photograph, on luma, for all of it; 3 dB more is half the squared
error.</p>"""


def dilations(story: Story) -> str:
    """The same filters, their taps pulled apart."""
    frame = max(view.field for view in story.looks)
    cards = []
    for dilation in DILATIONS:
        views = [view for view in story.looks if view.dilation == dilation]
        cards.append(_dilation(views, frame))
    names = listed(dict.fromkeys(view.filter for view in story.looks))
    return f"""<h2>Look through holes</h2>
<p>The same nine weights, a step of 1, 2 or 3 between them. What an output can see, its <em>receptive field</em>, grows;
the work does not. Below each drawing the photograph through two such filters, {names}.</p>
<div class="cards three">{"".join(cards)}</div>
<p class="note">Filled squares are read, pale ones lie in the holes. Near the border some taps fall off the photograph:
those are not executed at all, and the wider the holes, the more of them.</p>"""


def lecture(story: Story) -> str:
    """4 x 4 to 2 x 2 and back, with all the numbers."""
    told = story.lecture
    hue = np.arange(told.kernel.size).reshape(told.kernel.shape)
    kernel = drawing.numbers(told.kernel, "the kernel", hue=hue)
    flipped = drawing.numbers(told.flipped, "the flipped kernel", hue=hue[::-1, ::-1])
    border = np.ones(told.bordered.shape, bool)
    edge = told.kernel.shape[0] - 1
    border[edge:-edge, edge:-edge] = False
    matrix = drawing.tap_matrix(tap_indices(told.problem), told.kernel, "the convolution as a matrix")
    small = drawing.numbers(told.convolved, "the small result")
    large = drawing.numbers(told.transposed, "the transposed result")
    bordered = drawing.numbers(told.bordered, "the small result with a border of zeros", blank=border)
    equivalent = drawing.numbers(told.equivalent, "the equivalent result")
    first = _sum((drawing.numbers(told.x, "the input"), "input"), "∗", (kernel, "kernel"), (small, "output"))
    second = _sum((small, "input"), "∗ᵀ", (kernel, "kernel"), (large, "output"))
    third = _sum((bordered, f"input, border of {edge}"), "∗", (flipped, "kernel, flipped"), (equivalent, "output"))
    verdict = "the same, bit for bit" if told.equal else "not the same"
    left, right = told.products
    return f"""<h2>Replay the textbook</h2>
<p>A 3 × 3 kernel takes 4 × 4 numbers to 2 × 2.</p>{first}
<p>Its transpose takes 2 × 2 to 4 × 4: every input stamps the kernel, times itself, onto the output. The size comes
back, the numbers do not; it is no inverse.</p>{second}
<p>The same numbers come from an ordinary convolution: a border of {edge} zeros, and the kernel turned around. Result:
<em>{verdict}</em>.</p>{third}
<p>As a matrix, the convolution has a row for each output and a column for each input. Read the columns instead of the
rows and you have the transposed one; therefore ⟨A x, y⟩ = {left:g} and ⟨x, Aᵀ y⟩ = {right:g}.</p>
<div class="scroll">{matrix}</div>"""


def times(story: Story) -> str:
    """Medians by job and contender."""
    layouts = (OURS, OURS_LAST, THEIRS, THEIRS_LAST)
    titles = "".join(f"<th>{title}</th>" for title in ("", "taps", *layouts, "interpolate", "ratio"))
    rows = "".join(f"<tr>{_row(race, layouts)}</tr>" for race in story.races)
    caution = f'<p class="bad">Mind: {escape(story.caution)}.</p>' if story.caution else ""
    return f"""<h2>Time it</h2>
<p>Every job on the whole photograph, by the same layer of trous and of PyTorch, in both memory formats. Nobody is timed
who is wrong. They take turns; shown is the median of one call, in milliseconds.</p>{caution}
<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>
<p class="note">Taps: multiplications that land inside. Ratio: PyTorch's time over that of trous, the better format of
each; above 1 trous is faster. Interpolate: PyTorch's function for enlarging only, the better of its formats. The
textbook rows are so small that they show what a call costs before any work is done.</p>"""


def milliseconds(seconds: float) -> str:
    """Three digits, "0.0123" or "12.3", never an exponent."""
    value = 1e3 * seconds
    digits = 4 if value < 0.1 else 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def interpolate_seconds(race: Race) -> float | None:
    """PyTorch's `interpolate` in the better of its memory formats."""
    return min((s for name, s in race.seconds.items() if name.startswith("interpolate")), default=None)


def _row(race: Race, layouts: Iterable[str]) -> str:
    cells = [f"<td>{escape(race.job)}</td><td>{race.problem.multiplications:,}</td>"]
    if race.refused:
        return f'{cells[0]}<td class="bad" colspan="6">not timed: {escape(race.refused)}</td>'
    best = min(race.seconds[name] for name in layouts)
    for name in layouts:
        seconds = race.seconds[name]
        cells.append(f"<td{' class=best' if seconds == best else ''}>{milliseconds(seconds)}</td>")
    other = interpolate_seconds(race)
    cells.append(f"<td>{milliseconds(other) if other else ''}</td><td>{race.ratio:.2f}</td>")
    return "".join(cells)


def _enlargement(e: Enlargement, top: int, left: int, side: int, frame: int) -> str:
    s = e.scale
    detail = e.picture[:, s * top : s * (top + side), s * left : s * (left + side)]
    name = f"{e.kernel} × {s}"
    image = f'<img src="{data_uri(detail, max(1, SHOWN // (s * side)), lossless=True)}" alt="{name}">'
    axis = e.problem.bound.plan.axes[1]
    weights = e.weight[0, 0].astype(np.float64)
    along = weights.sum(0) / np.sqrt(weights.sum())  # the kernel is the outer product of this with itself
    taps = sorted({phase.size for phase in e.phases})
    count = f"{taps[0]} to {taps[-1]} taps" if len(taps) > 1 else f"{taps[0]} tap{'s' if taps[0] > 1 else ''}"
    verdict = f'<span class="{"good" if e.agrees else "bad"}">{"=" if e.agrees else "≠"} {e.reference}</span>'
    caption = (
        f"<b>{name}</b>kernel {weights.shape[0]} × {weights.shape[1]}, {count} a pixel<br>{verdict}, "
        f"largest difference {e.difference:.2g}"
    )
    bars = drawing.profile(along, axis, frame, f"weights of {name}")
    return f"<figure>{image}{bars}<figcaption>{caption}</figcaption></figure>"


def _detail(picture: np.ndarray, name: str, text: str, step: int, top: int, left: int, side: int) -> str:
    """A square of a picture that is `step` times smaller than the photograph, shown at the size of all others."""
    rows, columns = (slice(n // step, (n + side) // step) for n in (top, left))
    detail = picture[rows, columns].transpose(2, 0, 1) / 255
    image = f'<img src="{data_uri(detail, max(1, SHOWN // side) * step, lossless=True)}" alt="{name}">'
    return _figure(image, name, text)


def _dilation(views: list[Dilated], frame: int) -> str:
    first = views[0]
    title = f"dilation {first.dilation}"
    field = drawing.receptive_field(first.problem.bound.plan, frame, f"what one output reads at {title}")
    images = "".join(f'<img src="{data_uri(_visible(v))}" alt="{v.filter}, {title}">' for v in views)
    caption = (
        f"<b>{title}: sees {first.field} × {first.field}</b>{first.cost.nominal:,} multiplications, "
        f"{first.cost.multiplications:,} of them inside the photograph"
    )
    return f"<figure>{field}{images}<figcaption>{caption}</figcaption></figure>"


def _visible(view: Dilated) -> np.ndarray:
    """A filter whose weights add up to nothing gives both signs, around a grey that stands for zero."""
    picture = view.picture
    return picture if view.weight[0].sum() > 0.5 else 0.5 + 3 * picture


def _figure(svg: str, name: str, text: str) -> str:
    return f"<figure>{svg}<figcaption><b>{name}</b>{text}</figcaption></figure>"


def _sum(x: tuple[str, str], sign: str, kernel: tuple[str, str], y: tuple[str, str]) -> str:
    """An equation of drawings, each with its name."""
    left, middle, right = (f"<div>{svg}<small>{name}</small></div>" for svg, name in (x, kernel, y))
    return f'<div class="sum">{left}<div class="sign">{sign}</div>{middle}<div class="sign">=</div>{right}</div>'
