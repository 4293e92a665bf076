"""What Richardson-Lucy is timed on, and how probable estimates are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trous.apps.deconvolution import speed

pytest.importorskip("scipy")


def test_jobs_are_every_width_at_every_size() -> None:
    jobs = speed.jobs()
    assert {(job.width, job.size) for job in jobs} == {(width, size) for width in speed.WIDTHS for size in speed.SIZES}
    assert {job.size for job in jobs if job.shape == "Gaussian"} == {speed.GAUSSIAN}
    assert len({job.name for job in jobs}) == len(jobs)
    for job in jobs:
        kernel = job.kernel()
        assert kernel.shape == (job.width, job.width)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, rel=1e-5)
    assert {job.size for job in speed.jobs([512])} == {512}


def test_a_scene_is_photographs_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pyvips")
    monkeypatch.setattr(speed, "TILE", 8)
    monkeypatch.setattr(speed, "FRAME", 2)
    folder = tmp_path / speed.PICTURES
    folder.mkdir(parents=True)
    for value in (102, 153, 51):  # in the order of their names
        image.fromarray(np.full((8, 9, 3), value, np.uint8)).save(folder / f"{value}.png")
    scene = speed.scene(tmp_path, 16)
    assert scene.shape == (16, 16)
    np.testing.assert_allclose(scene[4::8, 4::8], [[0.4, 0.6], [0.2, 0.4]])
    assert not scene[:2].any() and not scene[-2:].any() and not scene[:, :2].any() and not scene[:, -2:].any()
    assert scene[2:-2, 2:-2].all()


def test_the_truth_is_more_probable_than_others() -> None:
    picture = np.random.default_rng(0).random((40, 40))
    kernel = speed.Job("Gaussian", 5, 40, 1).kernel()
    y = speed.counted(picture, kernel)
    assert y.dtype == np.float32
    at_truth = speed.likelihood(y, picture, kernel)
    assert at_truth > speed.likelihood(y, picture + 0.05, kernel)
    assert at_truth > speed.likelihood(y, picture * 0.95, kernel)


def test_record_says_how_many_times_faster() -> None:
    run = {"shape": "random", "width": 5, "size": 512, "iterations": 30, "needed": 12, "commit": "abc"}
    run |= {"seconds": {"theirs": 8.0, "same_likelihood": 1.0, "same_iterations": 4.0}}
    made = speed.record([run], {"seconds": {"theirs": 3.0, "together": 1.0}}, 2)
    ((_, (row,)),) = made.tables
    assert row == ("random 5 x 5", "512", "30", "8.00", "12", "1.00", "8.0", "4.00", "2.0")
    assert "geometric mean of times faster: 8.0 to the same likelihood, 2.0 at equal iterations" in made.facts
