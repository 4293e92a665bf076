"""What a network says of the next sample: how likely a value is, and a value drawn by uniform random numbers.

A network sees and draws samples as *levels* from -1 to 1. `encode` and `decode` go from sound to levels and back.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

from trous.apps.audio.wavenet.architecture import Architecture

#: Uniform numbers are kept so far from 0 and 1 where a logarithm of them is taken.
EDGE = 1e-5


class Output(Protocol):
    """`channels` of the network's output, and how many `uniforms` a sample takes."""

    channels: int
    uniforms: int

    def encode(self, sound: Tensor) -> Tensor:
        """Sound from -1 to 1 as levels of the same shape."""

    def decode(self, levels: Tensor) -> Tensor:
        """Levels as sound."""

    def bits(self, outputs: Tensor, levels: Tensor) -> Tensor:
        """Of outputs `(batch, channels, n)` and levels `(batch, n)` the bits `(batch, n)` that each level costs: the
        negative logarithm of its probability, to base 2."""

    def sample(self, outputs: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        """Levels `(batch,)` drawn by outputs `(batch, channels)` and numbers `(batch, uniforms)` from 0 to below 1.

        A temperature below 1 prefers what is likely, 0 takes it.
        """


class MuLaw:
    """Probabilities of the 256 levels of 8-bit mu-law, by a softmax (van den Oord et al. 2016, section 2.2).

    level = sign(x) ln(1 + 255 |x|) / ln 256,    rounded to k * 2/255 - 1 for a class k from 0 to 255
    """

    classes = channels = 256
    uniforms = 1

    def encode(self, sound: Tensor) -> Tensor:
        mu = self.classes - 1
        companded = torch.sign(sound) * torch.log1p(mu * sound.abs().clamp(max=1)) / math.log1p(mu)
        return self._level(self._number(companded))

    def decode(self, levels: Tensor) -> Tensor:
        mu = self.classes - 1
        return torch.sign(levels) * torch.expm1(levels.abs() * math.log1p(mu)) / mu

    def bits(self, outputs: Tensor, levels: Tensor) -> Tensor:
        return cross_entropy(outputs, self._number(levels), reduction="none") / math.log(2)

    def sample(self, outputs: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        return self._level(drawn(outputs, uniforms[:, 0], temperature)).to(outputs.dtype)

    def _number(self, levels: Tensor) -> Tensor:
        return ((levels + 1) * ((self.classes - 1) / 2) + 0.5).long()

    def _level(self, number: Tensor) -> Tensor:
        return number * (2 / (self.classes - 1)) - 1


class Mixture:
    """A mixture of logistic distributions over the 65,536 levels of 16 bits (Salimans et al. 2017, arXiv:1701.05517,
    section 2.1). Channels: the logarithms of the components' weights, their means, the logarithms of their scales.

    A level `x` has the probability of what lies within half a step, `d = 1/65535`, of it; the lowest and the highest
    that of all beyond, too. With `a = (x + d - mean) / scale` and `b = (x - d - mean) / scale` it is

        sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))

    of which the right side loses no digits, however narrow or far away a component is.
    """

    levels = 2**16
    uniforms = 2
    #: The least logarithm of a scale: a sixth of a step.
    least = -12.0

    def __init__(self, components: int):
        self.components = components
        self.channels = 3 * components

    def encode(self, sound: Tensor) -> Tensor:
        return sound.clamp(-1, 1)

    def decode(self, levels: Tensor) -> Tensor:
        return levels

    def bits(self, outputs: Tensor, levels: Tensor) -> Tensor:
        weights, means, scales = outputs.chunk(3, 1)
        inverse = torch.exp(-scales.clamp(min=self.least))
        half = 1 / (self.levels - 1)
        away = (levels[:, None] - means) * inverse
        below, above = logsigmoid(away + half * inverse), logsigmoid(half * inverse - away)
        inside = below + above + torch.log(-torch.expm1(-2 * half * inverse))
        x = levels[:, None]
        lowest, highest = x < half - 1, x > 1 - half  # all that lies below the upper edge, above the lower one
        probability = torch.where(lowest, below, torch.where(highest, above, inside))
        return -torch.logsumexp(weights.log_softmax(1) + probability, 1) / math.log(2)

    def sample(self, outputs: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        weights, means, scales = outputs.chunk(3, 1)
        chosen = drawn(weights, uniforms[:, 0], temperature)[:, None]
        u = uniforms[:, 1].clamp(EDGE, 1 - EDGE)
        scale = temperature * torch.exp(scales.gather(1, chosen)[:, 0].clamp(min=self.least))
        level = means.gather(1, chosen)[:, 0] + scale * (torch.log(u) - torch.log1p(-u)).to(scale.dtype)
        return level.clamp(-1, 1)


def drawn(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """The number of a class `(batch,)`, by the inverse of the cumulated softmax of logits `(batch, classes)`.

    It is the first class up to which the probabilities sum to more than the uniform number. Sums are float64.
    """
    if temperature == 0:
        return logits.argmax(1)
    scaled = logits.double()
    sums = torch.exp((scaled - scaled.amax(1, keepdim=True)) / temperature).cumsum(1)
    return (sums <= uniforms.double()[:, None] * sums[:, -1:]).sum(1)


def output(architecture: Architecture) -> Output:
    """What the architecture's outputs mean."""
    return MuLaw() if architecture.output == "mulaw" else Mixture(architecture.components)
