"""Random stacks of what the fused engine runs: layers of stride 1, gates, residuals, skips, crops and functions."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import trous.nn
from streaming.networks import Beside, Chomp, Gated, PerSample, Residual


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Skips(nn.Module):
    """Gated residual layers whose outputs are summed up, as in WaveNet."""

    def __init__(self, channels: int, out: int, dilations: list[int]) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(nn.Conv1d(channels, 2 * channels, 2, dilation=d) for d in dilations)
        self.inside = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in dilations)
        self.aside = nn.ModuleList(nn.Conv1d(channels, out, 1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        total = None
        for dilated, inside, aside in zip(self.dilated, self.inside, self.aside, strict=True):
            a, b = dilated(F.pad(x, (dilated.dilation[0], 0))).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            total = aside(z) if total is None else total + aside(z)
            x = x + inside(z)
        assert total is not None
        return total


FUNCTIONS = (
    torch.relu,
    lambda x: F.leaky_relu(x, 0.2),
    torch.tanh,
    lambda x: F.hardtanh(x, -0.5, 0.75),
    F.hardswish,
    lambda x: F.silu(x) - 0.5 * x,
    lambda x: x / (1 + x.abs()),
    lambda x: torch.maximum(x, -2 * x),
    lambda x: x[:, :1] * x + x.flip(1),
    lambda x: torch.clamp(x, max=0.5) ** 2,
)


def stack(random: Random, channels: int) -> nn.Module:
    """A chain of two to six layers in float64."""
    torch.manual_seed(random.randrange(1 << 30))
    layers: list[nn.Module] = []
    for _ in range(random.randint(2, 6)):
        made, channels = layer(random, channels)
        layers.append(made)
    model = nn.Sequential(*layers).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.running_mean, -1, 1)
    return model.eval()


def layer(random: Random, channels: int) -> tuple[nn.Module, int]:
    kernel, dilation = random.randint(1, 4), random.choice((1, 2, 3, 17, 70))
    reach, out = dilation * (kernel - 1), random.choice((1, 2, 5, 8, 16, 20, 33))
    match random.randrange(13):
        case 0 | 1:
            return nn.Conv1d(channels, out, kernel, 1, random.randint(0, reach), dilation), out
        case 2:
            padding = random.choice(("same", "causal", "full", ((random.randint(0, 3), random.randint(0, 3)),)))
            return trous.nn.Conv1d(channels, out, kernel, 1, padding, dilation, activation="tanh"), out
        case 3:
            return nn.ConvTranspose1d(channels, out, kernel, 1, random.randint(0, reach // 2), dilation=dilation), out
        case 4:
            return nn.Sequential(nn.BatchNorm1d(channels), nn.PReLU(channels)), channels
        case 5:
            return PerSample(nn.Linear(channels, out)), out
        case 6:
            inside = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
            return Residual(nn.Sequential(inside, nn.Tanh())), channels
        case 7:
            return Beside(*(nn.Conv1d(channels, 3, 3, padding=d, dilation=d) for d in (1, random.randint(2, 9)))), 6
        case 8:
            causal = nn.Conv1d(channels, 2 * out, 2, padding=dilation, dilation=dilation)
            return nn.Sequential(causal, Chomp(dilation), Gated()), out
        case 9:
            return nn.ConstantPad1d((random.randint(-2, 4), random.randint(-2, 4)), 0.0), channels
        case 10:
            groups = random.choice([n for n in range(1, channels + 1) if channels % n == 0])
            return nn.Conv1d(channels, 2 * groups, kernel, 1, reach // 2, dilation, groups), 2 * groups
        case 11:
            return Skips(channels, out, random.choices((1, 2, 4, 30), k=random.randint(1, 4))), out
        case _:
            return Apply(random.choice(FUNCTIONS)), channels
