"""Compiled networks called from C."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import trous
from streaming.fused.stacks import Skips
from trous import TrousError, stream
from trous.backends.cpu.stack.compiled import KIND

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The example, compiled by the C compiler with warnings as errors."""
    compiler, library = shutil.which("cc"), tmp_path_factory.mktemp("live") / "live.so"
    if compiler is None:
        pytest.skip("there is no C compiler")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=c11", "-shared", "-fPIC", "-pthread"]
    include = f"-I{Path(trous.__path__[0]) / 'include'}"
    source = ROOT / "examples" / "live" / "live.c"
    subprocess.run([compiler, *flags, include, "-o", str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))


@pytest.mark.parametrize("block", [1, 64, 100])
def test_a_thread_of_its_own(live: ctypes.CDLL, block: int) -> None:
    """Blocks and the end of the signal, channels apart in memory, with a delay."""
    module = nn.Sequential(nn.ConstantPad1d((6, 6), 0.0), Skips(2, 3, [1, 2]), nn.Conv1d(3, 2, 7))
    running = stream(module, fused=True)
    running.push(torch.empty(1, 2, 0))
    native = running.native
    assert (native.delay, native.growth, native.in_channels, native.out_channels) == (running.delay, 6, 2, 2)
    signal, seconds = np.random.default_rng(0).standard_normal((2, 500)).astype(np.float32), np.zeros(500)
    out = np.zeros((2, 506), np.float32)
    arrays = [ctypes.c_void_p(array.ctypes.data) for array in (signal, out, seconds)]
    with torch.no_grad():
        expected = module(torch.from_numpy(signal)[None])[0].numpy()
    for _ in range(2):  # after the end it begins anew
        out[:] = np.nan
        assert live.run(ctypes.byref(native), *arrays, ctypes.c_int64(500), ctypes.c_int64(block)) == 0
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    assert (seconds[: -(-500 // block)] > 0).all()


def test_in_place() -> None:
    """Output in the memory of the input."""
    module = Skips(2, 2, [1, 4])
    running = stream(module, fused=True)
    running.push(torch.empty(1, 2, 0))
    native, x = running.native, torch.randn(1, 2, 300)
    with torch.no_grad():
        expected = module(x)
    function, place = KIND(native.function), x.data_ptr()
    assert function(native.state, place, 300, place, 300, 300) == 300
    torch.testing.assert_close(x, expected)


def test_native_is_of_one_signal() -> None:
    running = stream(nn.Conv1d(1, 1, 1), fused=True)
    with pytest.raises(TrousError, match="native must be of a stream that has seen a block of one signal"):
        _ = running.native
    running.push(torch.zeros(2, 1, 1))
    with pytest.raises(TrousError, match="native must be of a stream that has seen a block of one signal"):
        _ = running.native
