"""What the demo claims is true, and it would notice if it were not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import trous
from trous.bench.compare import OURS, OURS_LAST, THEIRS, THEIRS_LAST
from trous.demo import enlarge as enlarge_module
from trous.demo import story as story_module
from trous.demo.dilation import DILATIONS, FILTERS
from trous.demo.enlarge import KERNELS, SCALES, Enlargement, enlarge, interior
from trous.demo.lecture import KERNEL, tap_indices
from trous.demo.photo import Photo
from trous.demo.race import largest_difference, race, rounding
from trous.demo.story import Story, listed
from trous.problem import Problem


def test_all_of_it_is_told_and_true(story: Story) -> None:
    assert [(e.scale, e.kernel) for e in story.enlargements] == [(s, k) for s in SCALES for k in KERNELS]
    assert [(v.filter, v.dilation) for v in story.looks] == [(f, d) for f in FILTERS for d in DILATIONS]
    assert len(story.races) == len(story.enlargements) + len(DILATIONS) + 2
    assert all(check.holds for check in story.checks), story.checks


@pytest.mark.parametrize("index", range(len(KERNELS) * len(SCALES)))
def test_a_picture_that_is_off_is_noticed(photo: Photo, story: Story, index: int) -> None:
    result = story.enlargements[index]
    assert result.agrees
    assert result.tolerance < 1e-4
    shifted = replace(photo, pixels=np.roll(photo.pixels, 1, axis=-1))
    inside = (..., *(slice(axis.start, axis.stop) for axis in result.compared))
    difference = largest_difference(
        enlarge(shifted, result.kernel, result.scale).picture[inside], result.picture[inside]
    )
    assert difference > 1000 * result.tolerance
    told = replace(story, enlargements=[replace(result, difference=2 * result.tolerance)])
    assert not told.checks[0].holds


def test_what_was_learned(photo: Photo, story: Story) -> None:
    height, width = photo.size
    for x in story.learned:
        s = x.scale
        assert x.small.shape == (height // s, width // s, 3)
        assert x.truth.shape == x.interpolated.shape == x.enlarged.shape == (height // s * s, width // s * s, 3)
        assert (
            abs(x.truth / 255 - photo.pixels[0].transpose(1, 2, 0)[: height // s * s, : width // s * s]).max() < 0.003
        )
        plain, learned = x.psnr
        assert learned > plain
        told = replace(story, learned=[replace(x, equal=False)])
        assert sum(not check.holds for check in told.checks) == 1


def test_all_but_a_thin_border_is_compared(photo: Photo, story: Story) -> None:
    for result in story.enlargements:
        for axis, compared in zip(result.problem.bound.axes, result.compared, strict=True):
            assert compared == interior(axis)
            left_out = axis.output_size - len(compared)
            assert left_out <= 6 * result.scale
            assert (left_out == 0) == (result.kernel == "nearest")
            assert result.picture.shape == (3, *(result.scale * n for n in photo.size))


def test_pillow_stands_in_for_lanczos(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = enlarge_module._interpolate

    def old(x: object, kernel: str, scale: int) -> object:
        if kernel == "lanczos":
            raise NotImplementedError
        return ours(x, kernel, scale)

    monkeypatch.setattr(enlarge_module, "_interpolate", old)
    result = enlarge(photo, "lanczos", 3)
    assert result.reference == "Pillow's resize"
    assert result.agrees
    assert [rival for rival in enlarge_module.race_enlargement(photo, result, 0).seconds if "interp" in rival] == []


def test_dilations(story: Story) -> None:
    for view in story.looks:
        d, (height, width) = view.dilation, story.photo.size
        assert view.field == 2 * d + 1
        assert view.cost.nominal == 3 * 9 * height * width
        assert view.cost.multiplications == 3 * (3 * height - 2 * d) * (3 * width - 2 * d)
        inside = story.photo.pixels[0, :, 5 - d : 6 + d : d, 9 - d : 10 + d : d]
        expected = np.einsum("cij,ij->c", inside.astype(np.float64), FILTERS[view.filter])
        assert np.abs(view.picture[:, 5, 9] - expected).max() < 1e-6
    first, second, third, *_ = story.looks
    assert not replace(story, looks=[first, first, third]).checks[2].holds
    costlier = replace(second, problem=replace(second.problem, size=(41, 52)))
    assert not replace(story, looks=[first, costlier, third]).checks[2].holds


def test_the_lecture(story: Story) -> None:
    lecture = story.lecture
    index = tap_indices(lecture.problem)
    matrix = np.where(index >= 0, KERNEL.ravel()[index], 0)
    assert np.array_equal(matrix @ lecture.x.ravel(), lecture.convolved.ravel())
    assert np.array_equal(matrix.T @ lecture.convolved.ravel(), lecture.transposed.ravel())
    assert lecture.equal
    assert lecture.bordered.shape == (6, 6)
    assert lecture.products[0] == lecture.products[1]
    wrong = replace(story, lecture=replace(lecture, equivalent=lecture.equivalent + 1))
    assert not wrong.checks[3].holds


def test_who_races(story: Story) -> None:
    four = {OURS, OURS_LAST, THEIRS, THEIRS_LAST}
    for entry, result in zip(story.races, story.enlargements + story.looks[:3] + [None, None], strict=True):
        extra = {"interpolate", "interpolate, channels last"} if isinstance(result, Enlargement) else set()
        assert set(entry.seconds) == four | extra
        assert min(entry.seconds.values()) > 0
    timed = replace(
        story.races[0], seconds={OURS: 2.0, OURS_LAST: 1.0, THEIRS: 4.0, THEIRS_LAST: 3.0, "interpolate": 0.5}
    )
    assert timed.ratio == 3.0


@pytest.mark.parametrize("damage", ["value", "nan", "shape"])
def test_nobody_wrong_is_timed(story: Story, rng: np.random.Generator, damage: str) -> None:
    problem = Problem(trous.Conv((3, 3)), 1, 2, 4, (6, 7))
    x = rng.integers(-3, 4, problem.input_shape).astype(np.float32)
    w = rng.integers(-3, 4, problem.weight_shape).astype(np.float32)
    expected = trous.conv(x, w)
    assert race("right", problem, x, w, expected, 0.0, 0).seconds
    if damage == "shape":
        expected = expected[..., 1:]
    else:
        expected[0, 1, 2, 3] = np.nan if damage == "nan" else expected[0, 1, 2, 3] + 1
    result = race("wrong", problem, x, w, expected, 0.5, 0)
    assert not result.seconds
    assert OURS in result.refused
    told = replace(story, races=[*story.races, result])
    assert not told.checks[-1].holds
    assert "wrong was not timed" in told.checks[-1].sentence


def test_rounding_covers_any_order(rng: np.random.Generator) -> None:
    weights, x = rng.normal(size=(36,)).astype(np.float32), rng.random(36).astype(np.float32)
    exact = float(weights.astype(np.float64) @ x.astype(np.float64))
    for _ in range(50):
        order = rng.permutation(36)
        total = np.float32(0)
        for product in (weights * x)[order]:
            total += product
        assert 0 <= abs(float(total) - exact) <= rounding(weights)


@pytest.mark.parametrize(("load", "said"), [(2.5, ""), (2.6, "load 2.6 on 2 cores")])
def test_a_busy_machine_is_said(load: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_module.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(story_module.os, "cpu_count", lambda: 2)
    assert said in story_module._caution()
    assert bool(said) == bool(story_module._caution())


def test_listed() -> None:
    assert [listed(range(n)) for n in (1, 2, 3)] == ["0", "0 and 1", "0, 1 and 2"]
