"""The measures beside speed: each finds what it is there to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

import trous
from spawned import grown
from trous.backends import cpu
from trous.bench import calls, memory, models, sizes
from trous.bench.lists import Case
from trous.errors import TrousError
from trous.problem import Problem

SMALL = Problem.parse("conv_transpose,n1,c1-1,x2x2,k2x2,s2")
DENSE = Case("dense", Problem.parse("conv,n1,c32-32,x24x24,k3x3,p1"), "a test")


def test_calls(tmp_path: Path) -> None:
    results = calls.measure([SMALL], seconds=0)
    seconds = results[0].seconds
    assert list(seconds) == [calls.NUMPY, calls.TORCH, calls.TORCHS, calls.STEP, calls.TORCHS_STEP]
    assert 0 < seconds[calls.NUMPY] < seconds[calls.STEP] < 0.1
    paths = calls.record(results).write(tmp_path)
    assert json.loads(paths[0].read_text())["results"][0] == {"problem": str(SMALL), "seconds": seconds}
    assert f"| {SMALL} | " in paths[1].read_text()


def test_the_small_calls_are_problems() -> None:
    assert calls.CALLS and all(str(Problem.parse(text)) == text for text in calls.CALLS)


def test_a_wrong_call_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = trous.conv_transpose

    def wrong(*arguments, **options):
        return right(*arguments, **options) + 1

    monkeypatch.setattr(trous, "conv_transpose", wrong)
    with pytest.raises(ArithmeticError, match=rf"trous, NumPy on {SMALL}: wrong: output is off by up to 1"):
        calls.measure([SMALL], seconds=0)


def test_memory(tmp_path: Path) -> None:
    (result,) = memory.measure([DENSE])
    assert list(result.asked) == list(result.grown) == list(memory.PASSES)
    # A dense kernel copies a tile of its input and its weights: less than the 2 MB that a thread may take.
    assert 4096 < result.asked["forward"] < 2 << 20
    assert max(result.grown.values()) < 2 << 20
    record = memory.record([result], "mine")
    assert record.name == "memory-mine"
    assert record.facts[0].startswith("most asked: ")
    assert [path.suffix for path in record.write(tmp_path)] == [".json", ".md"]


def test_growth_is_seen() -> None:
    with ProcessPoolExecutor(1, get_context("spawn"), memory._exact_memory) as process:
        for megabytes in (0, 8):
            more, scratch = process.submit(grown, megabytes).result()
            assert scratch == 0
            assert abs(more - (megabytes << 20)) < 1 << 19  # Linux counts pages in batches


def test_sizes() -> None:
    results = sizes.measure({"short": "conv_transpose,n1,c2-2,x200,k4,s2,p1"}, [sizes.OURS], threads=1)
    assert [(r.layer, r.library) for r in results] == [("short", "trous")]
    # Of so little work, what a new size costs is a part to be seen.
    assert 0 < results[0].same < results[0].new and results[0].ratio > 1
    assert sizes.record(results).tables[0][1][0][:2] == ("short", "trous")
    assert all(Problem.parse(text).ndim == 1 for text in sizes.LAYERS.values())


def test_every_length_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(problem: Problem, length: int, peer: object, threads: int) -> Callable[[], object]:
        seen.append(length)
        return lambda: None

    monkeypatch.setattr(sizes, "_call", counted)
    for name, text in sizes.LAYERS.items():
        seen.clear()
        sizes._measure(name, Problem.parse(text), sizes.OURS, 1)
        assert len(set(seen)) == 2 + sizes.ROUNDS * (sizes.COUNT + 1)
        assert sum(seen.count(length) == 1 for length in set(seen)) == 1 + sizes.ROUNDS * sizes.COUNT
        assert min(seen) > 0


@pytest.mark.slow
def test_networks_are_timed_in_all_their_formats(tmp_path: Path) -> None:
    results = models.measure(["fsrcnn"], [models.PYTORCH], threads=1, seconds=0.1, limit=120)
    (result,) = results
    assert result.out == {}
    assert set(result.seconds) == set(models.OURS.contenders + models.PYTORCH.contenders)
    record = models.record(results, threads=1)
    assert record.facts == [f"best: geometric mean {result.ratio:.2f}, worst {result.ratio:.2f} (fsrcnn)"]
    assert "| FSRCNN x3, 128 x 128 | " in record.write(tmp_path)[1].read_text()


def test_a_network_that_is_not_there() -> None:
    with pytest.raises(TrousError, match=r"network must be one of gtcrn, .*, meshnet, got 'vgg'"):
        models.measure(["fsrcnn", "vgg"], [], threads=1, seconds=0, limit=1)


def test_a_network_that_computes_something_else_is_wrong(tmp_path: Path) -> None:
    right = np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 3, 4)
    np.save(tmp_path / "right.npy", right)
    ask = models.NetworkAsk("fsrcnn", tmp_path / "right.npy")
    assert ask.wrong([right + np.float32(1e-6)]) is None
    assert ask.wrong([right * np.float32(1.01)]) == "output differs by 1.0e-02 of its size"
    assert ask.wrong([right[:, :2]]) == "output has shape (1, 2, 4), not (1, 3, 4)"
    assert ask.wrong([right * np.float32("nan")]) is not None


@pytest.mark.parametrize("key", ["gtcrn", "unet2d", "unet3d", "hifigan", "fsrcnn", "convtasnet", "meshnet"])
def test_every_network_has_layers_to_swap(key: str) -> None:
    network, x = models.load(key)
    dims = models.networks()[key].dims
    assert not network.training and x.shape[0] == 1
    kinds = {
        type(layer) for layer in trous.accelerate(network).modules() if type(layer).__module__ == "trous.nn.layers"
    }
    assert kinds and kinds <= {getattr(trous.nn, f"{kind}{dims}d") for kind in ("Conv", "ConvTranspose")}
    assert dims == 1 or models.channels_last(network, x, dims)[0] is network


def test_the_mri_and_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no data, noise takes its place; where there is, the checkpoint loads strictly."""
    monkeypatch.delenv("TROUS_DATA", raising=False)
    assert models._volume().shape == (1, 1, *[models.CUBE] * 3)
    assert models._speech().shape == (1, 257, 63)
    assert torch.is_complex(models._speech())


def test_the_passes_run_on_the_cpu_back_end() -> None:
    x = np.zeros(1, np.float32)
    assert cpu.why_not(memory.operation_of(DENSE.problem), x) is None
