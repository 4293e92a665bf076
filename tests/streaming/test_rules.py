"""Single operators, streamed by single samples and in blocks, against the whole signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import trous
from trous import TrousError, stream


class Does(nn.Module):
    """A function as a module, with a matrix that it may use."""

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.matrix = nn.Parameter(torch.randn(3, 3, dtype=torch.float64))

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self.matrix)


def check(function: Callable[[Tensor, Tensor], Any], x: Tensor, dim: int = -1) -> None:
    torch.manual_seed(0)
    module = Does(function).eval()
    expected, live = module(x), stream(module, dim=dim)
    for sizes in ([1] * x.shape[dim], [5, 0, 3, x.shape[dim] - 8]):
        parts = [*(live.push(block) for block in x.split(sizes, dim)), live.flush()]
        torch.testing.assert_close(torch.cat(parts, dim), expected, rtol=1e-12, atol=1e-12)


LAST: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "einsum with a matrix": lambda x, m: torch.einsum("bct,dc->bdt", x, m),
    "einsum of two signals": lambda x, m: torch.einsum("bct,bdt->bcdt", x, x.tanh()).flatten(1, 2),
    "product of two signals": lambda x, m: (x.transpose(1, 2)[..., None] @ x.transpose(1, 2)[:, :, None]).sum(3).mT,
    "attention over channels": lambda x, m: F.scaled_dot_product_attention(*[x.transpose(1, 2)[..., None]] * 3)[
        ..., 0
    ].transpose(1, 2),
    "channels by number": lambda x, m: x[:, [2, 0, 0]],
    "gather of channels": lambda x, m: torch.index_select(x, 1, torch.tensor([1, 1])),
    "running sum": lambda x, m: x.cumsum(-1),
    "running product": lambda x, m: (x.tanh() + 1).cumprod(-1),
    "running sum of channels": lambda x, m: x.cumsum(1),
    "frames": lambda x, m: x.unfold(-1, 4, 3).sum(-1),
    "spectrum": lambda x, m: torch.fft.irfft(torch.fft.rfft(x.unfold(-1, 4, 2)) * 1j).sum(-1),
    "zeros in front": lambda x, m: torch.cat([x.new_zeros(*x.shape[:2], 3), x], -1),
    "zeros beside": lambda x, m: torch.cat([x, torch.zeros_like(x)], 1) + torch.zeros(x.shape[-1]),
    "linear": lambda x, m: F.interpolate(x, scale_factor=3, mode="linear"),
    "linear, fewer": lambda x, m: F.interpolate(x, scale_factor=0.5, mode="linear"),
    "linear by a third": lambda x, m: F.interpolate(x, scale_factor=1 / 3, mode="linear"),
    "nearest, fewer": lambda x, m: F.interpolate(x, scale_factor=0.5),
    "nearest exact": lambda x, m: F.interpolate(x, scale_factor=3, mode="nearest-exact"),
    "reflected": lambda x, m: F.pad(x, (3, 2), mode="reflect"),
    "reflected at the end": lambda x, m: F.pad(x, (0, 2), mode="reflect"),
    "replicated": lambda x, m: F.pad(x, (3, 2), mode="replicate"),
    "residual in the same pass": lambda x, m: trous.conv(
        x, m[..., None].expand(3, 3, 5), dilation=2, padding="causal", residual=x, activation="relu"
    ),
    "nothing": lambda x, m: x,
}


@pytest.mark.parametrize("name", LAST)
@torch.no_grad()
def test_along_the_last_dimension(name: str) -> None:
    check(LAST[name], torch.randn(2, 3, 22, dtype=torch.float64))


PLANES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "padded on both axes": lambda x, m: F.pad(x, (1, 2, 3, 1), value=0.5),
    "reflected on both axes": lambda x, m: F.pad(x, (1, 2, 3, 1), mode="reflect"),
    "replicated across": lambda x, m: F.pad(x, (1, 2, 0, 0), mode="replicate"),
    "enlarged along": lambda x, m: F.interpolate(x, scale_factor=(2, 1), mode="bilinear"),
    "enlarged across": lambda x, m: F.interpolate(x, scale_factor=(1, 2), mode="bicubic"),
    "enlarged on both axes": lambda x, m: F.interpolate(x, scale_factor=(3, 1.5), mode="bilinear"),
    "nearest on both axes": lambda x, m: F.interpolate(x, scale_factor=(2, 3)),
    "convolved": lambda x, m: F.conv2d(x, m[..., None].expand(3, 3, 3)[..., None], padding=(2, 0), stride=(2, 1)),
    "bands merged with channels": lambda x, m: x.permute(0, 2, 1, 3).flatten(2).unflatten(2, (3, -1)).transpose(1, 2),
}


@pytest.mark.parametrize("name", PLANES)
@torch.no_grad()
def test_along_the_first_of_two_axes(name: str) -> None:
    check(PLANES[name], torch.randn(2, 3, 22, 4, dtype=torch.float64), dim=2)


@torch.no_grad()
def test_samples_along_another_dimension() -> None:
    """A network on `(batch, time, channels)`, on `(time, channels)` alone, and on a single row."""
    torch.manual_seed(3)
    smooth = Does(lambda x, m: F.conv1d((x @ m).mT, m[..., None].expand(3, 3, 4), padding=3).mT).eval()
    for shape, dim in (((2, 20, 3), 1), ((20, 3), 0)):
        x, live = torch.randn(shape, dtype=torch.float64), stream(smooth, dim=dim)
        got = torch.cat([*(live.push(block) for block in x.split(3, dim)), live.flush()], dim)
        torch.testing.assert_close(got, smooth(x))
    row, alone = torch.randn(20, dtype=torch.float64), Does(lambda x, m: F.avg_pool1d(x[None], 3, 2)[0].tanh())
    live = stream(alone)
    got = torch.cat([*(live.push(block) for block in row.split(3)), live.flush()])
    torch.testing.assert_close(got, alone(row))


@torch.no_grad()
def test_several_outputs_each_as_early_as_can_be() -> None:
    def parts(x: Tensor, matrix: Tensor) -> Any:
        late = F.conv1d(x, matrix[..., None].expand(3, 3, 5), padding=2)
        return {"now": x * 2, "pair": (late, F.avg_pool1d(late, 2)), "size": 3}

    x, module = torch.randn(1, 3, 11, dtype=torch.float64), Does(parts)
    live, expected = stream(module), module(x)
    got = [*(live.push(block) for block in x.split(1, -1)), live.flush()]
    assert [y["now"].shape[-1] for y in got] == [1] * 11 + [0]
    assert [y["pair"][0].shape[-1] for y in got] == [0, 0, *[1] * 9, 2]
    assert [y["pair"][1].shape[-1] for y in got] == [0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert all(y["size"] == 3 for y in got)
    torch.testing.assert_close(torch.cat([y["now"] for y in got], -1), expected["now"])
    for n in (0, 1):
        torch.testing.assert_close(torch.cat([y["pair"][n] for y in got], -1), expected["pair"][n])
    assert live.delay == 3


@torch.no_grad()
def test_symbols_looked_up() -> None:
    class Symbols(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.conv = nn.Embedding(256, 4), nn.Conv1d(4, 2, 2)

        def forward(self, symbols: Tensor) -> Tensor:
            return self.conv(F.pad(self.table(symbols).transpose(1, 2), (1, 0)))

    module, symbols = Symbols(), torch.randint(256, (2, 15))
    live = stream(module)
    got = torch.cat([*(live.push(block) for block in symbols.split(4, -1)), live.flush()], -1)
    torch.testing.assert_close(got, module(symbols))


@torch.no_grad()
def test_mirrored_samples_wait_for_what_they_mirror() -> None:
    for mode, given in (("reflect", [0, 0, 0, 7, 1]), ("replicate", [4, 1, 1, 1, 1])):
        live = stream(Does(lambda x, m, mode=mode: F.pad(x, (3, 2), mode=mode)))  # type: ignore[misc]
        x = torch.randn(1, 1, 5)
        assert [live.push(block).shape[-1] for block in x.split(1, -1)] == given
        assert live.flush().shape[-1] == 2
        assert live.delay == -3  # the output of place `o` is input `o - 3`
    short = stream(Does(lambda x, m: F.pad(x, (1, 2), mode="reflect")))
    short.push(torch.randn(1, 1, 2))
    with pytest.raises(TrousError, match="must be smaller than the axis"):
        short.flush()
    short.push(torch.randn(1, 1, 1))  # it was not long enough, and goes on
    assert short.flush().shape[-1] == 2


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x, m: F.interpolate(x, scale_factor=2, mode="linear", align_corners=True), "aligns corners"),
        (lambda x, m: torch.cat([x, x.tanh()], -1), "puts signals one behind the other"),
        (lambda x, m: x[..., [0, 1]], "picks samples by their place"),
        (lambda x, m: x @ x.mT, "sums over the whole signal"),
        (lambda x, m: torch.zeros_like(x).cumsum(-1)[..., 1:] + torch.arange(x.shape[-1] - 1), "with the length"),
        (lambda x, m: torch.full((2,), 1.0), "must return tensors that depend on its input"),
    ],
)
def test_what_cannot_be_streamed_says_why(function: Callable[[Tensor, Tensor], Any], why: str) -> None:
    with pytest.raises(TrousError, match=why):
        stream(Does(function)).push(torch.randn(2, 3, 9, dtype=torch.float64))
