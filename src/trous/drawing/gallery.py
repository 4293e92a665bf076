"""The gallery: pictures that people link to, and those that are usually missing, each made by one call.

The first fourteen, with their dilated one, have the sizes of the well-known animations of Dumoulin & Visin, "A guide to
convolution arithmetic for deep learning" (2016), under the same names. They are drawn here from tap plans. Those of
whole models need torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trous.drawing.examples import boxes, dilated, encoder_decoder
from trous.drawing.scene import SUFFIXES, Drawing
from trous.drawing.views import draw
from trous.drawing.wide import draw_wide
from trous.errors import TrousError
from trous.interpolation import interpolation_kernel, interpolation_spec
from trous.spec import Conv, ConvTranspose


@dataclass(frozen=True)
class Entry:
    """A picture of the gallery: its name, which is its file's, and how it is made."""

    name: str
    make: Callable[[], Drawing]


def _entry(name: str, spec: Any, size: int | Sequence[int], **options: Any) -> Entry:
    return Entry(name, lambda: draw(spec, size, **options))


def _model(name: str, make: Callable[[], Any], size: int | Sequence[int], **options: Any) -> Entry:
    return Entry(name, lambda: draw(make(), size, **options))


def _wide(name: str, title: str, kernel: int, cycles: int, rate: int) -> Entry:
    """Causal layers with the dilations 1 to 512, several times."""
    specs = [Conv(kernel, dilation=2**n, padding="causal") for n in range(10)] * cycles
    return Entry(name, lambda: draw_wide(title, specs, rate))


_AUDIO = [Conv(2, dilation=2**n, padding="causal") for n in range(4)]
_GRIDDING = [Conv(3, dilation=2)] * 3
_AUTOENCODER = [Conv(4, stride=2, padding=1)] * 2 + [ConvTranspose(4, stride=2, padding=1)] * 2
_BILINEAR = interpolation_kernel("bilinear", 2)[0, 0]

GALLERY: tuple[Entry, ...] = (
    _entry("no_padding_no_strides", Conv(3), (4, 4)),
    _entry("no_padding_no_strides_transposed", ConvTranspose(3), (2, 2)),
    _entry("arbitrary_padding_no_strides", Conv(4, padding=2), (5, 5)),
    _entry("arbitrary_padding_no_strides_transposed", ConvTranspose(4, padding=2), (6, 6)),
    _entry("same_padding_no_strides", Conv(3, padding=1), (5, 5)),
    _entry("same_padding_no_strides_transposed", ConvTranspose(3, padding=1), (5, 5)),
    _entry("full_padding_no_strides", Conv(3, padding=2), (5, 5)),
    _entry("full_padding_no_strides_transposed", ConvTranspose(3, padding=2), (7, 7)),
    _entry("no_padding_strides", Conv(3, stride=2), (5, 5)),
    _entry("no_padding_strides_transposed", ConvTranspose(3, stride=2), (2, 2)),
    _entry("padding_strides", Conv(3, stride=2, padding=1), (5, 5)),
    _entry("padding_strides_transposed", ConvTranspose(3, stride=2, padding=1), (3, 3)),
    _entry("padding_strides_odd", Conv(3, stride=2, padding=1), (6, 6)),
    _entry("padding_strides_odd_transposed", ConvTranspose(3, stride=2, padding=1, output_padding=1), (3, 3)),
    _entry("dilation", Conv(3, dilation=2), (7, 7)),
    _entry("numbers", Conv(3, padding=1, stride=2), (5, 5), numbers=True),
    _entry("numbers_transposed", ConvTranspose(3, stride=2), (2, 2), numbers=True),
    _entry("dilation_transposed", ConvTranspose(3, dilation=2), (3, 3)),
    _entry("dilation_strides_transposed", ConvTranspose(3, stride=2, dilation=3, padding=3), (4, 4)),
    _entry("row", Conv(3, stride=2, padding=1), 9),
    _entry("row_transposed", ConvTranspose(4, stride=2, padding=1), 6),
    _entry("row_dilated", Conv(3, dilation=2), 10),
    _entry("row_causal", Conv(3, dilation=2, padding="causal"), 10),
    _entry("row_bias_alone", ConvTranspose(3, stride=2, padding=2, output_padding=1, dilation=2), 5),
    _entry("slices_transposed", ConvTranspose(2, stride=2), (2, 2, 2)),
    _entry("groups", Conv(3, padding=1, groups=2), (5, 5), channels=(4, 6)),
    _entry("depthwise", Conv(3, padding=1, groups=4), (5, 5), channels=(4, 4)),
    _entry("matrix", Conv(3), (4, 4), view="matrix"),
    _entry("matrix_adjoint", ConvTranspose(3), (2, 2), view="matrix"),
    _entry("matrix_transposed", ConvTranspose(3, stride=2, padding=1), 6, view="matrix"),
    _entry("overlap_uneven", ConvTranspose(3, stride=2), (6, 6), view="overlap"),
    _entry("overlap_even", ConvTranspose(4, stride=2, padding=1), (6, 6), view="overlap"),
    _entry("overlap_bilinear", interpolation_spec("bilinear", 2), (6, 6), view="overlap", weight=_BILINEAR),
    _entry("coverage_dilation_1", Conv(3, padding=1), (7, 7), view="coverage"),
    _entry("coverage_dilation_2", Conv(3, padding=2, dilation=2), (7, 7), view="coverage"),
    _entry("coverage_dilation_3", Conv(3, padding=3, dilation=3), (7, 7), view="coverage"),
    _entry("gridding", _GRIDDING, (13, 13), view="coverage", step=0),
    _entry("gridding_avoided", [Conv(3, dilation=d) for d in (1, 2, 3)], (13, 13), view="coverage", step=0),
    _entry("gridding_row", _GRIDDING, 13, view="coverage", step=0),
    _entry("fields_stacked", [Conv(3)] * 3, (9, 9)),
    _entry("fields_dilated", [Conv(3, dilation=d) for d in (1, 2, 4)], (17, 17)),
    _entry("audio_tree", _AUDIO, 16),
    _wide("audio_tree_nam", "Standard amplifier: 20 layers, kernel 3", 3, 2, 48000),
    _wide("audio_tree_wavenet", "WaveNet: 20 layers, kernel 2", 2, 2, 22050),
    _entry("growing_fields", [Conv(3, dilation=d, padding=d) for d in (1, 2, 4, 8)], 33, view="fields"),
    _entry("growing_fields_gridding", [Conv(3, dilation=d, padding=d) for d in (2, 4, 8)], 33, view="fields"),
    _model("effective_field", lambda: boxes(8), (1, 1, 25, 25)),
    _model("effective_field_row", lambda: dilated(4), (1, 1, 49)),
    _model("network", encoder_decoder, (1, 3, 128, 128), view="network"),
    _entry("autoencoder_tree", _AUTOENCODER, 12),
)


def draw_gallery(
    folder: str | Path,
    suffixes: Sequence[str] = (".svg", ".gif"),
    track: Callable[[Sequence[Entry]], Iterable[Entry]] = iter,
) -> list[Path]:
    """Write every picture of the gallery into `folder`, made where it is not there, once for each suffix.

    Pictures that do not move are written as .png where .gif is asked for. `track` passes the entries on and may show
    how far they are. Returns the paths. Raises TrousError for another suffix than `Drawing.save` knows, and where files
    cannot be written.
    """
    for suffix in suffixes:
        if suffix not in SUFFIXES:
            raise TrousError("suffixes", f"must be of {', '.join(SUFFIXES)}", suffix)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrousError("folder", f"must be where files can be written ({error.strerror})", str(folder)) from None
    written = []
    for entry in track(GALLERY):
        drawing = entry.make()
        for suffix in suffixes:
            own = ".png" if suffix == ".gif" and len(drawing.frames) == 1 else suffix
            written.append(drawing.save(folder / f"{entry.name}{own}"))
    return written
