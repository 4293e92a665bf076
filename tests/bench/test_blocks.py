"""Streams timed block by block."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import trous
from trous.bench.blocks import WARMING, native_times, push_times
from trous.streaming.fused.stream import FusedStream


def network(inputs: int = 1, channels: int = 8) -> torch.nn.Module:
    return torch.nn.Sequential(
        trous.nn.Conv1d(inputs, channels, 3, padding=1, dilation=1, activation="tanh"),
        torch.nn.Conv1d(channels, 2, 1),
    )


def compiled(dtype: torch.dtype = torch.float32, inputs: int = 1, channels: int = 8) -> FusedStream:
    live = trous.stream(network(inputs, channels).to(dtype), fused=True)
    live.push(torch.empty(1, inputs, 0, dtype=dtype))
    return live


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inputs", [1, 3])
def test_native_times_leave_the_stream_where_as_many_blocks_do(dtype: torch.dtype, inputs: int) -> None:
    """The native loop pushes what it says: what comes next is what follows the same noise."""
    live, block, count = compiled(dtype, inputs), 5, 20
    other = live.again()
    assert native_times(live, block, count, seed=3).shape == (count,)
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (inputs, (WARMING + count) * block))
    other.push(torch.from_numpy(noise)[None].to(dtype))
    following = torch.randn(1, inputs, 7, dtype=dtype, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(live.push(following), other.push(following), rtol=0, atol=0)


def test_native_times_add_up_to_what_passes() -> None:
    live = compiled(channels=64)
    native_times(live, 1, 1)  # compiles the loop
    before = time.perf_counter()
    times = native_times(live, 256, 200)
    passed = time.perf_counter() - before
    assert (times > 0).all()
    assert passed / 10 < times.sum() < passed


def test_larger_blocks_take_longer() -> None:
    live = compiled(channels=32)
    short, long = (np.median(native_times(live, block, 100)) for block in (8, 1024))
    assert long > 10 * short


@pytest.mark.parametrize("fused", [False, True])
def test_push_times_of_both_kinds(fused: bool) -> None:
    live = trous.stream(network(3), fused=True) if fused else trous.stream(network(3))
    live.push(torch.empty(2, 3, 0))
    before = time.perf_counter()
    times = push_times(live, 16, 10)
    assert len(times) == 10
    assert (times > 0).all()
    assert times.sum() < time.perf_counter() - before


def test_samples_may_lie_along_another_dimension() -> None:
    live = trous.stream(torch.nn.Linear(4, 4), dim=1)
    live.push(torch.empty(1, 0, 4))
    assert len(push_times(live, 3, 5)) == 5


def test_what_cannot_be_timed_says_so() -> None:
    with pytest.raises(trous.TrousError, match="native must be of a stream that has seen a block"):
        native_times(trous.stream(network(), fused=True), 1, 1)
    with pytest.raises(trous.TrousError, match="stream must have seen a block"):
        push_times(trous.stream(network()), 1, 1)
    for block, count, name in ((0, 1, "block"), (1, 0, "count")):
        for measure in (native_times, push_times):
            with pytest.raises(trous.TrousError, match=f"{name} must be 1 at least"):
                measure(compiled(), block, count)
