"""A network called from C, by a thread that Python has no part in: `python live.py` after compiling `live.c`."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import torch

import trous

RATE, BLOCK, SECONDS = 48_000, 64, 10

network = torch.nn.Sequential(
    trous.nn.Conv1d(1, 16, 3, padding="causal", dilation=64, activation="tanh"),
    trous.nn.Conv1d(16, 16, 3, padding="causal", dilation=8, activation="tanh"),
    torch.nn.Conv1d(16, 1, 1),
)
stream = trous.stream(network, fused=True)
stream.push(torch.empty(1, 1, 0))  # compiles it

live = ctypes.CDLL(str(Path(__file__).parent / "live.so"))
signal = np.random.default_rng(0).standard_normal(RATE * SECONDS).astype(np.float32)
out, seconds = np.zeros_like(signal), np.zeros(-(-len(signal) // BLOCK))
arrays = [ctypes.c_void_p(array.ctypes.data) for array in (signal, out, seconds)]
live.run(ctypes.byref(stream.native), *arrays, ctypes.c_int64(len(signal)), ctypes.c_int64(BLOCK))

with torch.no_grad():
    whole = network(torch.from_numpy(signal)[None, None])[0, 0].numpy()
median, worst = np.median(seconds), seconds.max()
print(f"{BLOCK / RATE / median:.0f} times real time, worst block {worst / median:.1f} times the median")
print(f"greatest difference from the whole signal at once: {np.abs(out - whole).max():.1g}")
