"""How fast amplifiers and WaveNets run, block by block and sample by sample: `trous bench audio`."""

from __future__ import annotations

import copy
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trous.apps.audio.nam.network import CausalConv, Network
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.generation import Generator
from trous.apps.audio.wavenet.network import Core, WaveNet
from trous.bench.blocks import native_times, push_times
from trous.bench.record import Record, Track
from trous.errors import TrousError
from trous.nn import Conv1d
from trous.streaming import stream

BLOCKS = (1, 64, 256)
RATE = 48_000
#: Contenders take turns so many times.
ROUNDS = 5
#: Seconds of sound through the engine, of which the slowest block is told.
LONG = 60
#: WaveNets that generate: layers of as many channels, and the rate of their samples.
WAVENETS = ((30, 64, 16_000), (20, 32, 22_050))
WEIGHTS = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
#: Samples that are generated in a round, by trous and by PyTorch.
DRAWN, STEPS = 2000, 20

EXPLANATION = (
    "Microseconds of a block, medians, contenders in turns, one thread; times real time: what a block lasts over that. "
    "From C: the compiled function, called by native code. Push: the same through Python. PyTorch: the network's own "
    "layers, each keeping what its next block reads on from, so that nothing is computed twice. All hold one signal."
)


class Cached(nn.Module):
    """A causal layer of PyTorch that is fed block by block."""

    def __init__(self, layer: nn.Conv1d, before: int):
        super().__init__()
        self.weight, self.bias, self.dilation, self.groups = layer.weight, layer.bias, layer.dilation, layer.groups
        self.before, self.kept = before, torch.zeros(1, layer.in_channels, before)

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            x = torch.cat([self.kept, x], -1)
            self.kept = x[..., -self.before :]
        return nn.functional.conv1d(x, self.weight, self.bias, 1, 0, self.dilation, self.groups)


def cached(network: nn.Module) -> nn.Module:
    """A copy of a causal network that goes on where the last block ended."""
    made = copy.deepcopy(network).eval()
    for name, layer in list(made.named_modules()):
        if isinstance(layer, CausalConv | Conv1d):
            before = layer.before if isinstance(layer, CausalConv) else layer._spec().axis_padding(0)[0]
            above, _, own = name.rpartition(".")
            setattr(made.get_submodule(above), own, Cached(layer, before))
    return made


def measure(
    amps: Sequence[tuple[str, Network, Path | None]], reference: Path | None, seconds: float, track: Track[Any]
) -> Record:
    """Blocks through models of amplifiers, and WaveNets that generate.

    Args:
        amps: name, network, and its file if it has one.
        reference: the program `benchmodel` of NeuralAmpModelerCore, to be given the files.
        seconds: for all contenders of one size of blocks together.
    """
    torch.set_num_threads(1)
    blocks = [(name, network, path, block) for name, network, path in amps for block in BLOCKS]
    times = {
        (name, block): _blocks(network, path, block, reference, seconds)
        for name, network, path, block in track(blocks, lambda each: f"{each[0]}, {each[3]}")
    }
    long = {
        name: native_times(_running(network), 64, LONG * RATE // 64)
        for name, network, _ in track(amps, lambda each: f"{each[0]}, {LONG} s")
    }
    drawn = {each: _drawn(*each) for each in track(WAVENETS, lambda each: f"{each[0]} x {each[1]}")}
    return _record(times, long, drawn)


def _running(network: nn.Module) -> Any:
    live = stream(network, fused=True)
    live.push(torch.empty(1, 1, 0))
    return live


def _blocks(
    network: Network, path: Path | None, block: int, reference: Path | None, seconds: float
) -> dict[str, np.ndarray]:
    """Seconds of a block by contender."""
    rival, pushed, native = cached(network), _running(network), _running(network)
    x = torch.randn(1, 1, 4 * max(block, 64))
    with torch.inference_mode():
        whole = network(x)
        for name, run in (("push", pushed.push), ("PyTorch", rival)):
            if (off := float((torch.cat([run(part) for part in x.split(block, -1)], -1) - whole).abs().max())) > 1e-4:
                raise ArithmeticError(f"{name} differs by {off:.1e}")

        def torch_times() -> np.ndarray:
            signal, found = torch.randn(1, 1, block), []
            for _ in range(8):
                start = time.perf_counter()
                rival(signal)
                found.append(time.perf_counter() - start)
            return np.array(found[2:])

        count = max(8, int(seconds / ROUNDS / 3 * RATE / max(block, 16)))
        turns: dict[str, Callable[[], np.ndarray]] = {
            "from C": lambda: native_times(native, block, count),
            "push": lambda: push_times(pushed, block, count),
            "PyTorch": torch_times,
        }
        if reference and path and block == 64:
            turns["reference"] = lambda: _reference(reference, path)
        found: dict[str, list[np.ndarray]] = {name: [] for name in turns}
        for _ in range(ROUNDS):
            for name, turn in turns.items():
                found[name].append(turn())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _reference(program: Path, path: Path) -> np.ndarray:
    """What the program says of two seconds of sound at 48 kHz in blocks of 64, as seconds of one."""
    said = subprocess.run([program, path], capture_output=True, text=True, check=False)
    if said.returncode or not (numbers := re.findall(r"([\d.]+)ms", said.stdout)):
        raise TrousError("reference", "must be NeuralAmpModelerCore's benchmodel", str(program))
    return np.array([float(numbers[-1]) / 1e3 / (2 * RATE // 64)])


def _drawn(layers: int, channels: int, rate: int) -> dict[str, tuple[float, float]]:
    """By kind of weights: seconds of a sample, and how far outputs are off those of exact weights, as a share of what
    these vary by; PyTorch's as well."""
    torch.manual_seed(0)
    network = WaveNet(Architecture(layers=layers, cycle=10, channels=channels, skip=channels, mels=0, sample_rate=rate))
    network.eval()
    levels, nothing = torch.zeros(1, 2), torch.zeros(1, 0, DRAWN)
    uniforms = torch.from_numpy(np.random.default_rng(0).random((DRAWN, 1, network.output.uniforms)))
    going = {name: Generator(network, levels, nothing[..., :1], 1.0, kept) for name, kept in WEIGHTS.items()}
    rival = cached(network.core)
    found: dict[str, list[float]] = {name: [] for name in (*going, "PyTorch")}
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, each in going.items():
                start = time.perf_counter()
                each.block(nothing, uniforms)
                found[name].append((time.perf_counter() - start) / DRAWN)
            start = time.perf_counter()
            for step in range(STEPS):
                network.output.sample(rival(levels[:, None, :1])[..., 0], uniforms[step])
            found["PyTorch"].append((time.perf_counter() - start) / STEPS)
    off = {name: _off(network.core, kept) for name, kept in WEIGHTS.items()} | {"PyTorch": 0.0}
    return {name: (float(np.median(times)), off[name]) for name, times in found.items()}


def _off(core: Core, weights: torch.dtype | None) -> float:
    x = 0.5 * torch.randn(1, 1, 4000)
    with torch.inference_mode():
        wanted = core(x)
        got = stream(core, fused=True, weights=weights).push(x)
    return float((got - wanted).std() / wanted.std())


def _record(
    times: dict[tuple[str, int], dict[str, np.ndarray]],
    long: dict[str, np.ndarray],
    drawn: dict[tuple[int, int, int], dict[str, tuple[float, float]]],
) -> Record:
    names = list(dict.fromkeys(name for each in times.values() for name in each))
    first: list[Sequence[str]] = []
    for (model, block), each in times.items():
        medians = {name: float(np.median(found)) for name, found in each.items()}
        cells = [f"{1e6 * medians[name]:.4g}" if name in medians else "" for name in names]
        speeds = [f"{block / RATE / medians[name]:.3g}" if name in medians else "" for name in names]
        first.append((model, str(block), *cells, *speeds))
    second = [
        (
            model,
            *(f"{1e6 * n:.1f}" for n in (np.median(t), np.quantile(t, 0.999), t.max())),
            f"{t.max() / np.median(t):.1f}",
        )
        for model, t in long.items()
    ]
    third = [
        (f"{layers} x {channels}", f"{rate}", kind, f"{1e6 * each:.4g}", f"{1 / rate / each:.3g}", f"{off:.1e}")
        for (layers, channels, rate), kinds in drawn.items()
        for kind, (each, off) in kinds.items()
    ]
    tables: Sequence[Any] = [
        (("model", "block", *(f"{name}, us" for name in names), *(f"{name}, x" for name in names)), first),
        ((f"{LONG} s in blocks of 64", "median, us", "99.9%, us", "worst, us", "worst / median"), second),
        (("WaveNet", "rate", "weights", "us a sample", "times real time", "outputs off by"), third),
    ]
    document = {
        "blocks": [
            {"model": model, "block": block, "seconds": {name: float(np.median(t)) for name, t in each.items()}}
            for (model, block), each in times.items()
        ],
        "long": {
            model: {"median": float(np.median(t)), "p999": float(np.quantile(t, 0.999)), "worst": float(t.max())}
            for model, t in long.items()
        },
        "generation": [
            {"layers": layers, "channels": channels, "rate": rate, "weights": kind, "seconds": each, "off": off}
            for (layers, channels, rate), kinds in drawn.items()
            for kind, (each, off) in kinds.items()
        ],
    }
    facts = [
        f"times real time at {RATE} Hz for amplifiers",
        "outputs off by: standard deviation over that of the outputs",
    ]
    return Record("audio", "Networks for sound, block by block", EXPLANATION, tables, facts, document)
