"""Recurrent layers: along the signal their state goes on from block to block, across it they are like any layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from streaming.networks import Recurrent
from trous import TrousError, stream


class TimeFirst(nn.Module):
    """`(batch, channels, time)` to a layer that takes `(time, batch, channels)`, and back."""

    def __init__(self, inside: nn.RNNBase) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x.permute(2, 0, 1))[0].permute(1, 2, 0)


class AcrossBands(nn.Module):
    """`(batch, channels, time, bands)`: a recurrence over the bands of every sample, and its last state beside."""

    def __init__(self, inside: nn.GRU) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, time, bands = x.shape
        y, last = self.inside(x.permute(0, 2, 3, 1).reshape(batch * time, bands, channels))
        y = y.reshape(batch, time, bands, -1).permute(0, 3, 1, 2)
        return y + last.transpose(0, 1).reshape(batch, time, -1).transpose(1, 2)[..., None]


class Begun(nn.Module):
    """A recurrence that begins with what it has learned."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.LSTM(3, 3, batch_first=True)
        self.start = nn.Parameter(torch.randn(2, 1, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        h, c = self.start.expand(2, 1, x.shape[0], 3)
        return self.inside(x.transpose(1, 2), (h, c))[0].transpose(1, 2)


def check(module: nn.Module, x: Tensor, dim: int = -1) -> None:
    module = module.double().eval()
    live = stream(module, dim=dim)
    for sizes in ([1] * x.shape[dim], [5, 0, 3, x.shape[dim] - 8]):
        got = torch.cat([*(live.push(block) for block in x.split(sizes, dim)), live.flush()], dim)
        torch.testing.assert_close(got, module(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "module",
    [
        Recurrent(nn.GRU(3, 4, num_layers=2, batch_first=True)),
        Recurrent(nn.RNN(3, 4, batch_first=True, bias=False)),
        Recurrent(nn.RNN(3, 4, nonlinearity="relu", batch_first=True)),
        TimeFirst(nn.LSTM(3, 4, proj_size=2)),
        nn.Sequential(nn.Conv1d(3, 3, 4, 2), TimeFirst(nn.LSTM(3, 3)), nn.ConvTranspose1d(3, 2, 4, 2)),
        Begun(),
    ],
)
@torch.no_grad()
def test_along_the_signal(module: nn.Module) -> None:
    torch.manual_seed(1)
    check(module, torch.randn(2, 3, 20, dtype=torch.float64))


@torch.no_grad()
def test_across_it_both_ways() -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 3, 20, 5, dtype=torch.float64)
    check(AcrossBands(nn.GRU(3, 4, batch_first=True, bidirectional=True)), x, dim=2)
    networks = nn.Sequential(nn.Conv2d(3, 3, (3, 1), padding=(2, 0)), AcrossBands(nn.GRU(3, 3, batch_first=True)))
    check(networks, x, dim=2)


@torch.no_grad()
def test_a_stream_goes_on_from_a_saved_state() -> None:
    module = Recurrent(nn.GRU(3, 4, batch_first=True)).eval()
    x = torch.randn(2, 3, 20)
    live, later = stream(module), stream(module)
    live.push(x[..., :7])
    later.load_state_dict(live.state_dict())
    torch.testing.assert_close(later.push(x[..., 7:]), module(x)[..., 7:])
    assert (later.delay, later.context) == (0, None)


class LastState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.GRU(2, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y, last = self.inside(x.transpose(1, 2))
        return y.transpose(1, 2) + last.permute(1, 2, 0)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (Recurrent(nn.GRU(2, 2, batch_first=True, bidirectional=True)), "reads the whole signal backwards"),
        (LastState(), "has a state at the end that is known for a whole signal only"),
    ],
)
def test_what_needs_the_end_is_refused(module: nn.Module, why: str) -> None:
    with pytest.raises(TrousError, match=why):
        stream(module).push(torch.randn(1, 2, 8))
