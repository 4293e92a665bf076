"""Random 1-D networks: chains of layers of every kind that can be streamed, with branches and joins."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor, nn

import trous.nn


class Residual(nn.Module):
    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


class Beside(nn.Module):
    """Two branches of one length, one above the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Gated(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        return torch.tanh(left) * torch.sigmoid(right)


class Chomp(nn.Module):
    """What causal networks cut off at the end of a signal padded on both sides."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : -self.count]


class PerSample(nn.Module):
    """A linear layer over the channels of every sample."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x.transpose(1, 2)).transpose(1, 2)


class Recurrent(nn.Module):
    """The outputs of a recurrent layer that takes `(batch, time, channels)`, without its last state."""

    def __init__(self, inside: nn.RNNBase) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x.transpose(1, 2))[0].transpose(1, 2)


class Between(nn.Module):
    """A signal between samples that have been learned."""

    def __init__(self, channels: int, before: int, after: int) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.randn(channels, before))
        self.after = nn.Parameter(torch.randn(channels, after))

    def forward(self, x: Tensor) -> Tensor:
        ends = [end.expand(len(x), -1, -1) for end in (self.before, self.after)]
        return torch.cat([ends[0], x, ends[1]], -1)


class Added(nn.Module):
    """A layer that adds its own input in the same pass."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.inside, self.dilation = nn.Conv1d(channels, channels, 3), dilation

    def forward(self, x: Tensor) -> Tensor:
        same = {"padding": "same", "dilation": self.dilation}
        return trous.conv(x, self.inside.weight, self.inside.bias, **same, residual=x, activation="tanh")


def network(random: Random, channels: int) -> nn.Module:
    """A chain of two to six layers."""
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
    kernel, stride, dilation = random.randint(1, 5), random.randint(1, 3), random.randint(1, 3)
    reach, out = dilation * (kernel - 1), random.choice((2, 4))
    match random.randrange(20):
        case 0:
            return nn.Conv1d(channels, out, kernel, stride, random.randint(0, 4), dilation), out
        case 1:
            padding = random.choice(("same", "causal", "full", ((random.randint(0, 3), random.randint(0, 3)),)))
            return trous.nn.Conv1d(channels, out, kernel, stride, padding, dilation, activation="tanh"), out
        case 2:
            extra = random.randrange(max(stride, dilation))
            padding = random.randint(0, reach // 2)
            return nn.ConvTranspose1d(channels, out, kernel, stride, padding, extra, dilation=dilation), out
        case 3:
            kernel = max(kernel, stride)
            return trous.nn.ConvTranspose1d(channels, out, kernel, stride, "same", dilation=1), out
        case 4:
            pool = random.randint(2, 4), stride, random.randint(0, 1), random.random() < 0.5, random.random() < 0.5
            return nn.AvgPool1d(*pool), channels
        case 5:
            return nn.MaxPool1d(3, stride, random.randint(0, 1), dilation, ceil_mode=random.random() < 0.5), channels
        case 6:
            return nn.Upsample(scale_factor=random.randint(2, 3)), channels
        case 7:
            return nn.Sequential(nn.BatchNorm1d(channels), nn.LeakyReLU(0.1, inplace=True)), channels
        case 8:
            return PerSample(nn.Linear(channels, out)), out
        case 9:
            odd = kernel | 1
            inside = nn.Conv1d(channels, channels, odd, padding=dilation * (odd // 2), dilation=dilation)
            return Residual(nn.Sequential(inside, nn.Tanh())), channels
        case 10:
            branches = [nn.Conv1d(channels, 2, 3, padding=d, dilation=d) for d in (1, random.randint(2, 9))]
            return Beside(*branches), 4
        case 11:
            causal = nn.Conv1d(channels, 4, 2, padding=dilation, dilation=dilation)
            return nn.Sequential(causal, Chomp(dilation), Gated()), 2
        case 12:
            return nn.ConstantPad1d((random.randint(-2, 4), random.randint(-2, 4)), 0.5), channels
        case 13:
            pad, odd = (
                random.choice((nn.ReflectionPad1d, nn.ReplicationPad1d)),
                (random.randint(0, 5), random.randint(0, 5)),
            )
            return pad(odd), channels
        case 14:
            mode = random.choice(("reflect", "replicate"))
            return nn.Conv1d(channels, out, kernel, stride, reach // 2, dilation, padding_mode=mode), out
        case 15:
            return nn.Upsample(scale_factor=random.randint(2, 3), mode="linear"), channels
        case 16:
            return Recurrent(nn.GRU(channels, out, batch_first=True)), out
        case 17:
            return Between(channels, random.randint(0, 4), random.randint(0, 4)), channels
        case 18:
            return Added(channels, dilation), channels
        case _:
            depthwise = nn.Conv1d(channels, channels, kernel, 1, reach // 2, dilation, groups=channels)
            return depthwise, channels
