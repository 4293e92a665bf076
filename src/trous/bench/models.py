"""Whole networks through `accelerate`, eval mode, batch 1, beside PyTorch and torch.compile in all their formats."""

from __future__ import annotations

import gzip
import os
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trous.bench.lineup import lineup, race
from trous.bench.peers import OURS, PEERS, Peer, Prepared, Refused
from trous.bench.record import Record, Track
from trous.errors import TrousError

if TYPE_CHECKING:
    import torch
    from torch import nn

PYTORCH, COMPILED = PEERS[:2]

#: Root mean square difference from PyTorch, relative to the output's, that a network in float32 may have.
TOLERANCE = 1e-4

#: Voxels a side of the part of the MRI that MeshNet is given, from its centre.
CUBE = 96

#: Files of published weights under TROUS_DATA, and the entry in them.
GTCRN_WEIGHTS = "models/gtcrn/model_trained_on_dns3.tar", "model"
MESHNET_WEIGHTS = "models/brainchop/meshnet.pth", None

EXPLANATION = (
    "Milliseconds of one call, medians, contenders taking turns; networks in eval mode, batch 1, float32. trous is the "
    "network after `trous.accelerate`; `last` has network and input in channels-last memory, which 1-D networks have "
    "no format for. Outputs agreed before. `best`: how many times faster the better format of trous is than the best "
    "of PyTorch and torch.compile."
)


@dataclass(frozen=True)
class Network:
    """How to build a network and its input; `dims` decides which channels-last format there is."""

    name: str
    dims: int
    build: Callable[[], nn.Module]
    example: Callable[[], torch.Tensor]


def networks() -> dict[str, Network]:
    """By key. Real weights and data are taken from the folder TROUS_DATA where it is named, random ones otherwise."""
    import torch

    from trous.bench.networks import convtasnet, fsrcnn, gtcrn, hifigan, meshnet, unet

    noise = torch.randn
    flat, solid = (partial(unet.UNet, dims, 1, dims, padding=1, normed=True) for dims in (2, 3))
    return {
        "gtcrn": Network("GTCRN, 1 s of speech", 2, partial(_trained, gtcrn.GTCRN, *GTCRN_WEIGHTS), _speech),
        "unet2d": Network(
            "U-Net, 256 x 256", 2, partial(flat, widths=(32, 64, 128, 256)), partial(noise, 1, 1, 256, 256)
        ),
        "unet3d": Network(
            "U-Net, 64 x 64 x 64", 3, partial(solid, widths=(16, 32, 64)), partial(noise, 1, 1, 64, 64, 64)
        ),
        "hifigan": Network(
            "HiFi-GAN v1, 64 frames", 1, partial(hifigan.Generator, lambda layer: layer), partial(noise, 1, 80, 64)
        ),
        "fsrcnn": Network("FSRCNN x3, 128 x 128", 2, partial(fsrcnn.network, 3), partial(noise, 1, 1, 128, 128)),
        "convtasnet": Network("Conv-TasNet separator, 1 s", 1, convtasnet.Separator, partial(noise, 1, 512, 1000)),
        "meshnet": Network(
            f"MeshNet, {CUBE}^3 voxels", 3, partial(_trained, meshnet.MeshNet, *MESHNET_WEIGHTS), _volume
        ),
    }


@dataclass(frozen=True)
class NetworkAsk:
    """A network for a contender's process; the output that it must come near lies in the .npy file `expected`."""

    key: str
    expected: Path
    frozen: bool = False

    def prepare(self, peer: Peer, last: bool, threads: int) -> Prepared:
        import torch

        import trous
        from trous.bench.peers import compiled

        network, x = load(self.key)
        if last:
            network, x = channels_last(network, x, networks()[self.key].dims)
        if peer.key == OURS.key:
            trous.accelerate(network, frozen=self.frozen)
        compiled.freeze(self.frozen)
        call = torch.compile(network) if peer.key == COMPILED.key else network
        return Prepared(torch.inference_mode()(partial(call, x)), lambda y: [as_array(y)])

    def wrong(self, results: Sequence[np.ndarray]) -> str | None:
        right = np.load(self.expected)
        if results[0].shape != right.shape:
            return f"output has shape {results[0].shape}, not {right.shape}"
        off = float(np.sqrt(np.mean((results[0] - right) ** 2) / np.mean(right**2)))
        return None if off < TOLERANCE else f"output differs by {off:.1e} of its size"

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Result:
    """Median seconds of one call by contender, and why others are out."""

    key: str
    name: str
    seconds: dict[str, float]
    out: dict[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times faster trous is than the best of the others, each in its better format."""
        ours = min(seconds for name, seconds in self.seconds.items() if name in OURS.contenders)
        return min(seconds for name, seconds in self.seconds.items() if name not in OURS.contenders) / ours


def measure(
    keys: Sequence[str],
    peers: Sequence[Peer] = (PYTORCH, COMPILED),
    *,
    frozen: bool = False,
    threads: int,
    seconds: float,
    limit: float,
    track: Track[str] = lambda keys, _: keys,
) -> list[Result]:
    """The networks of `keys`, all where none is named, beside those `peers`; with `frozen` weights are constants for
    trous and torch.compile. Raises TrousError for an unknown one."""
    known = networks()
    if unknown := set(keys) - known.keys():
        raise TrousError("network", f"must be one of {', '.join(known)}", ", ".join(sorted(unknown)))
    results = []
    with lineup([OURS, *peers], threads, limit) as contenders, tempfile.TemporaryDirectory() as folder:
        for key in track([key for key in known if not keys or key in keys], lambda key: key):
            ask = NetworkAsk(key, Path(folder, f"{key}.npy"), frozen)
            np.save(ask.expected, _expected(key, threads))
            able = [c for c in contenders if known[key].dims > 1 or not c.last]
            results.append(Result(key, known[key].name, *race(able, ask, seconds)))
    return results


def record(results: Sequence[Result], threads: int, frozen: bool = False) -> Record:
    contenders = [name for peer in (OURS, PYTORCH, COMPILED) for name in peer.contenders]
    names = [name for name in contenders if any(name in r.seconds for r in results)]
    rows = [
        (r.name, *(f"{1e3 * r.seconds[n]:.2f}" if n in r.seconds else "" for n in names), f"{r.ratio:.2f}")
        for r in results
    ]
    mean = exp(sum(log(r.ratio) for r in results) / len(results))
    worst = min(results, key=lambda r: r.ratio)
    facts = [f"best: geometric mean {mean:.2f}, worst {worst.ratio:.2f} ({worst.key})"]
    if frozen:
        facts.append(
            "frozen weights: `accelerate(network, frozen=True)`, and torch.compile takes parameters for constants"
        )
    facts += [f"{name} on {r.key}: {reason}" for r in results for name, reason in r.out.items()]
    document = {
        "threads": threads,
        "frozen": frozen,
        "results": [
            {"id": r.key, "name": r.name, "seconds": r.seconds, "out": r.out, "ratio": r.ratio} for r in results
        ],
    }
    title = f"Networks, float32, eval, batch 1, {threads} threads{', frozen weights' if frozen else ''}"
    return Record(
        "models-frozen" if frozen else "models", title, EXPLANATION, [(("ms", *names, "best"), rows)], facts, document
    )


def load(key: str) -> tuple[nn.Module, torch.Tensor]:
    """The network in eval mode and its input, the same in every process."""
    import torch

    torch.manual_seed(0)
    network = networks()[key]
    return network.build().eval(), network.example()


def channels_last(network: nn.Module, x: torch.Tensor, dims: int) -> tuple[nn.Module, torch.Tensor]:
    """Both in the memory format for so many dimensions; an input that is a spectrum is brought there by the network."""
    import torch

    if dims == 1:
        raise Refused("torch has no channels-last format for 1-D networks")
    memory: Any = torch.channels_last if dims == 2 else torch.channels_last_3d
    if x.ndim == dims + 2:
        x = x.contiguous(memory_format=memory)
    moved: Any = network  # whose stubs know no memory format
    return moved.to(memory_format=memory), x


def as_array(y: torch.Tensor) -> np.ndarray:
    import torch

    return (torch.view_as_real(y) if y.is_complex() else y).contiguous().numpy()


def _expected(key: str, threads: int) -> np.ndarray:
    import torch

    torch.set_num_threads(threads)
    network, x = load(key)
    with torch.inference_mode():
        return as_array(network(x))


def _data(*parts: str) -> Path | None:
    """A file of the folder TROUS_DATA, if it is there."""
    path = Path(os.environ.get("TROUS_DATA", ""), *parts)
    return path if os.environ.get("TROUS_DATA") and path.is_file() else None


def _speech() -> torch.Tensor:
    """The spectrum of 1 s at 16 kHz: the beginning of a noisy clip, or noise."""
    import torch

    from trous.bench.networks.gtcrn import HOP, WINDOW

    clip = np.random.default_rng(0).standard_normal(16_000)
    if path := _data("models", "gtcrn", "mix.wav"):
        with wave.open(str(path)) as kept:
            clip = np.frombuffer(kept.readframes(len(clip)), "<i2") / 2**15
    samples = torch.from_numpy(clip).float()[None]
    return torch.stft(samples, WINDOW, HOP, window=torch.hann_window(WINDOW).sqrt(), return_complex=True)


def _volume() -> torch.Tensor:
    """The middle of an MRI, from 0 to 1, or noise."""
    import torch

    volume: Any = np.random.default_rng(0).random((CUBE,) * 3)
    if path := _data("models", "brainchop", "t1_crop.nii.gz"):
        raw = gzip.decompress(path.read_bytes())  # NIfTI-1: a header of 352 bytes, then 256^3 bytes
        whole = np.frombuffer(raw, np.uint8, 256**3, 352).reshape((256,) * 3)
        cut = slice(128 - CUBE // 2, 128 + CUBE // 2)
        volume = whole[cut, cut, cut] / whole.max()
    return torch.from_numpy(volume).float()[None, None]


def _trained(build: Callable[[], nn.Module], file: str, entry: str | None) -> nn.Module:
    """With the published weights, where they are."""
    import torch

    network = build()
    if path := _data(*file.split("/")):
        saved = torch.load(path, weights_only=True, map_location="cpu")
        network.load_state_dict(saved[entry] if entry else saved)
    return network
