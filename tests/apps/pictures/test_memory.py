"""Memory for some rows, however many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from apps.upscale.test_files import saved
from trous.apps.pictures import Layout, open_picture, save_picture

#: Doubles a picture, each pixel four times, and prints how much memory the process had at most, in megabytes.
DOUBLE = """
import sys
from pathlib import Path
from trous.apps.pictures import open_picture, save_picture

small = open_picture(Path(sys.argv[1]))
height = small.layout.height
strips = (small.rows(row, min(row + 16, height)).repeat(2, 0).repeat(2, 1) for row in range(0, height, 16))
save_picture(Path(sys.argv[2]), strips, small.layout.times(2), small)
print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""

#: The same by the command's own way, with a network that has not been trained.
ENLARGE = """
import sys
from pathlib import Path
from trous.apps.upscale import read
from trous.apps.upscale.files import enlarge_file

enlarge_file(Path(sys.argv[1]), Path(sys.argv[2]), read(Path(sys.argv[3])))
print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""


def peak(script: str, source: Path, target: Path) -> int:
    """Megabytes at most."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-c", script, source, target, saved(source.with_suffix(".safetensors"))]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout.split()[1]) // 1024


def large_picture(path: Path, layout: Layout) -> Path:
    """Noise over a slope: a row of noise, shifted by as many pixels as there are rows above."""
    noise = np.random.default_rng(1).integers(0, 32, (layout.width, layout.bands), np.uint8)

    def strips() -> Iterator[np.ndarray]:
        for row in range(0, layout.height, 16):
            count = min(16, layout.height - row)
            shifted = np.stack([np.roll(noise, row + n, 0) for n in range(count)])
            yield (shifted + (row >> 7)).astype(layout.dtype)

    save_picture(path, strips(), layout)
    return path


@pytest.mark.parametrize(("suffix", "bands"), [(".png", 1), (".tif", 3)])
def test_more_rows_take_no_more_memory(suffix: str, bands: int, tmp_path: Path) -> None:
    few, many = (Layout(rows, 5_000, bands, np.dtype(np.uint8)) for rows in (500, 3_000))
    target = tmp_path / f"x{suffix}"
    least, most = (
        peak(DOUBLE, large_picture(tmp_path / f"{layout.height}{suffix}", layout), target) for layout in (few, many)
    )
    more = 4 * (many.height - few.height) * few.row_bytes >> 20
    assert most - least < more / 4
    assert open_picture(target).layout == many.times(2)


@pytest.mark.slow
@pytest.mark.parametrize(("script", "suffix", "bands"), [(ENLARGE, ".png", 1), (DOUBLE, ".tif", 3)])
def test_20_000_by_20_000_in_less_than_a_gigabyte(script: str, suffix: str, bands: int, tmp_path: Path) -> None:
    layout = Layout(20_000, 20_000, bands, np.dtype(np.uint8))
    small = large_picture(tmp_path / f"small{suffix}", layout)
    assert peak(script, small, tmp_path / f"large{suffix}") < 1000
    opened = open_picture(tmp_path / f"large{suffix}")
    assert opened.layout == layout.times(2)
    for row in range(0, 40_000, 64):
        last = opened.rows(row, row + 64)
    if script is DOUBLE:
        source = open_picture(small)
        for row in range(0, 20_000, 32):
            expected = source.rows(row, row + 32)
        assert (last == expected.repeat(2, 0).repeat(2, 1)).all()
