"""flowdec's algorithm, restated, gives what flowdec gave."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from trous.apps.deconvolution import bars
from trous.errors import TrousError

#: NRMSE, PSNR and SSIM after 25 iterations, as flowdec's notebook bars-samp.ipynb prints them.
PUBLISHED = {
    "flowdec, default": (3.821084, 13.968386, 0.018563),
    "flowdec, without padding": (3.587566, 14.516121, 0.024107),
    "flowdec, zeros around": (3.377286, 15.040762, 0.034637),
}

DATA = Path(os.environ.get("TROUS_DATA", "")) / bars.FOLDER


@pytest.mark.parametrize("name", list(bars.SETTINGS))
def test_flowdec_scores_as_published(name: str) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("tifffile")
    if not DATA.is_dir():
        pytest.skip("the hollow bars are not in TROUS_DATA")
    volume = bars.read(Path(os.environ["TROUS_DATA"]))
    found = bars.scores(bars.flowdec(volume["data"], volume["kernel"], 25, **bars.SETTINGS[name]), volume["actual"])
    assert (found.nrmse, found.psnr, found.ssim) == pytest.approx(PUBLISHED[name], abs=1.5e-6)


@pytest.mark.parametrize("settings", bars.SETTINGS.values(), ids=list(bars.SETTINGS))
def test_a_point_as_kernel_gives_the_data_back(settings: dict[str, object]) -> None:
    data = 1 + np.random.default_rng(0).random((5, 6, 9))
    kernel = np.zeros((5, 4, 9))
    kernel[2, 2, 4] = 2.0
    np.testing.assert_allclose(bars.flowdec(data, kernel, 3, **settings), data, rtol=1e-6)  # type: ignore[arg-type]


def test_the_best_scale_is_found() -> None:
    pytest.importorskip("skimage")
    actual = np.random.default_rng(0).integers(0, 60000, (32, 32, 32)).astype(np.uint16)
    assert bars.scores(actual * 0.3, actual).scaled == pytest.approx(0, abs=1e-7)


def test_no_data_is_one_error(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    with pytest.raises(TrousError, match="bars"):
        bars.read(tmp_path)
