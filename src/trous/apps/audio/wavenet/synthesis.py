"""Sound from a trained network, block by block: memory for a block, whatever the length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, repeat

import numpy as np
import torch
from torch import Tensor

from trous.apps.audio.wavenet.generation import Generator
from trous.apps.audio.wavenet.network import WaveNet
from trous.errors import TrousError
from trous.streaming import stream

#: Samples that are generated at a time.
BLOCK = 1024


@torch.no_grad()
def sounds(
    network: WaveNet,
    frames: int,
    seed: int = 0,
    temperature: float = 1.0,
    speech: Iterable[np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """Sound from the network: float32 arrays `(1, n)`, `frames` samples in all, the same for the same seed.

    Args:
        network: what `trous.apps.audio.wavenet.files.load` gives.
        frames: samples at the network's rate.
        seed: of the random numbers.
        temperature: 1 draws by the network's probabilities, less what is likelier, 0 the likeliest.
        speech: of a network that is conditioned: blocks `(1, n)` of the sound whose mel spectrogram it is to follow, at
            the network's rate; `frames` samples at least.

    Raises:
        TrousError: speech for a network that takes none, none for one that does; a negative temperature.
    """
    if (speech is None) is not (network.conditions is None):
        rule = "must be given to a network that is conditioned on it, and to no other"
        raise TrousError("speech", rule, "none" if speech is None else "some")
    if not 0 <= temperature < float("inf"):
        raise TrousError("temperature", "must be a number from 0", temperature)
    start = network.architecture.silence
    conditions = recut(_conditions(network, speech), chain([start], repeat(BLOCK)))
    levels = network.output.encode(torch.zeros(1, start))
    sampler = partial(network.output.sample, temperature=temperature)
    going = Generator(network.core, sampler, levels, next(conditions)[..., 1:])
    random = np.random.default_rng(seed)
    for begun in range(0, frames, BLOCK):
        count = min(BLOCK, frames - begun)
        uniforms = torch.from_numpy(random.random((count, 1, network.output.uniforms)))
        made = going.block(next(conditions)[..., :count], uniforms)
        yield network.output.decode(made).numpy()


def _conditions(network: WaveNet, speech: Iterable[np.ndarray] | None) -> Iterator[Tensor]:
    """What samples are conditioned on, silence around them as in training; of no channels, and without end, where that
    is nothing."""
    if network.conditions is None or speech is None:
        yield from repeat(torch.zeros(1, 0, BLOCK))
        return
    live, hop, received = stream(network.conditions), network.architecture.hop, 0
    yield live.push(torch.zeros(1, 1, network.architecture.silence))
    for block in speech:
        received += block.shape[1]
        yield live.push(torch.from_numpy(block)[None])
    yield live.push(torch.zeros(1, 1, -received % hop + network.architecture.around * hop))
    yield live.flush()


def recut(pieces: Iterator[Tensor], sizes: Iterable[int]) -> Iterator[Tensor]:
    """Pieces along the last dimension as pieces of these sizes; the last may be shorter."""
    kept = next(pieces)
    for size in sizes:
        parts = [kept]
        while sum(part.shape[-1] for part in parts) < size and (more := next(pieces, None)) is not None:
            parts.append(more)
        kept = torch.cat(parts, -1)
        if not kept.shape[-1]:
            return
        yield kept[..., :size]
        kept = kept[..., size:]
