"""Whole networks, accelerated, beside torch's memory formats and torch.compile: eval, batch 1, checked before timed.

    python benchmarks/networks.py [NAME ...] [--compile] [--threads N] [--seconds S]

The networks are those of tests/models. Prints a table in Markdown: milliseconds, and how many times faster than the
best of torch.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import os
import sys
from collections.abc import Callable
from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import trous
from trous.bench.timing import interleaved

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from models import convtasnet, fsrcnn, gtcrn, hifigan
from models.meshnet import MeshNet
from models.unet import UNet

DATA = Path(os.environ.get("TROUS_DATA", "."), "models")
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def real_gtcrn() -> nn.Module:
    network = gtcrn.GTCRN()
    if (weights := DATA / "gtcrn" / "model_trained_on_dns3.tar").is_file():
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["model"])
    return network


def real_meshnet() -> nn.Module:
    network = MeshNet()
    if (weights := DATA / "brainchop" / "meshnet.pth").is_file():
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network


def brain(size: int) -> torch.Tensor:
    """The middle of the MRI, or noise where it is not there."""
    if not (path := DATA / "brainchop" / "t1_crop.nii.gz").is_file():
        return torch.rand(1, 1, size, size, size)
    voxels = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=352).reshape(256, 256, 256)
    middle = slice(128 - size // 2, 128 + size // 2)
    return torch.from_numpy(voxels[middle, middle, middle] / voxels.max())[None, None].float()


#: How to build a network, and an input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "GTCRN, 1 s": (real_gtcrn, lambda: torch.randn(1, gtcrn.BINS, 63, dtype=torch.complex64)),
    "U-Net 2-D, 256x256": (
        partial(UNet, 2, 1, 2, (32, 64, 128, 256), padding=1, normed=True),
        lambda: torch.randn(1, 1, 256, 256),
    ),
    "U-Net 3-D, 64x64x64": (
        partial(UNet, 3, 1, 3, (16, 32, 64), padding=1, normed=True),
        lambda: torch.randn(1, 1, 64, 64, 64),
    ),
    "HiFi-GAN V1, 64 frames": (partial(hifigan.Generator, lambda layer: layer), lambda: torch.randn(1, 80, 64)),
    "FSRCNN x3, 128x128": (partial(fsrcnn.network, 3), lambda: torch.rand(1, 1, 128, 128)),
    "Conv-TasNet, 1 s": (convtasnet.Separator, lambda: torch.randn(1, 512, 1000)),
    "MeshNet, 96x96x96": (real_meshnet, lambda: brain(96)),
}


def contenders(network: nn.Module, x: torch.Tensor, compiled: bool) -> dict[str, Callable[[], Any]]:
    """Ours first. Formats that an input of this rank does not have are left out."""
    found: dict[str, Callable[[], Any]] = {"trous": partial(trous.accelerate(copy.deepcopy(network)), x)}
    found["torch"] = partial(network, x)
    if not x.is_complex() and x.ndim in FORMATS:
        last = copy.deepcopy(network).to(memory_format=FORMATS[x.ndim])
        found["torch last"] = partial(last, x.to(memory_format=FORMATS[x.ndim]))
    if compiled:
        found["compile"] = partial(torch.compile(copy.deepcopy(network)), x)
    return found


@torch.inference_mode()
def measure(name: str, compiled: bool, seconds: float) -> dict[str, float]:
    """Seconds of each contender, once ours agrees with torch."""
    torch.manual_seed(0)
    build, example = NETWORKS[name]
    network, x = build().eval().requires_grad_(False), example()
    calls = contenders(network, x, compiled)
    expected = calls["torch"]()
    for contender, call in calls.items():
        distance = (call() - expected).abs().max() / expected.abs().max()
        if not distance < 1e-4:
            raise SystemExit(f"{name}: {contender} differs from torch by {distance:.1e} of the largest output")
    return interleaved(calls, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"the beginnings of names; all are {', '.join(NETWORKS)}")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes a minute for each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=5.0, help="for each network")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    names = [
        name for name in NETWORKS if not given.names or name.lower().startswith(tuple(map(str.lower, given.names)))
    ]
    columns = ["trous", "torch", "torch last", *(["compile"] if given.compile else [])]
    print(f"{given.threads} threads, torch {torch.__version__}\n")
    print(f"| network | {' | '.join(columns)} | over the best |\n|---|{'---|' * (len(columns) + 1)}")
    ratios = []
    for name in names:
        times = measure(name, given.compile, given.seconds)
        ratios.append(min(t for contender, t in times.items() if contender != "trous") / times["trous"])
        cells = [f"{times[column] * 1e3:.2f}" if column in times else "" for column in columns]
        print(f"| {name} | {' | '.join(cells)} | {ratios[-1]:.2f} |", flush=True)
    print(f"\ngeometric mean {exp(sum(map(log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    main()
