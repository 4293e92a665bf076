"""Streams against the whole signal: the same samples, and none later than it has to be."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor, nn

import trous.nn
from streaming.networks import Chomp, Residual, network
from trous import TrousError, stream
from trous.streaming import tracing
from trous.streaming.live import Stream

SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 20)) for seed in range(500)]


def whole(module: nn.Module, x: Tensor) -> Tensor | None:
    """What the module makes of the whole signal; None where it is too short."""
    try:
        with torch.no_grad():
            return module(x)
    except (RuntimeError, TrousError):
        return None


def signal_for(module: nn.Module, random: Random) -> Tensor:
    length = random.randint(30, 60)
    while (y := whole(module, x := torch.randn(2, 2, length, dtype=torch.float64))) is None or y.shape[-1] < 3:
        length *= 2
    return x


def in_blocks(live: Stream, x: Tensor, random: Random) -> list[tuple[int, Tensor]]:
    """Samples pushed so far and what came of them, block by block, the last by `flush`."""
    at, found = 0, []
    while at < x.shape[-1]:
        count = random.choice((0, 1, 1, 2, 3, 5, 8, 21))
        block = x[..., at : at + count]
        at += block.shape[-1]
        found.append((at, live.push(block)))
    return [*found, (at, live.flush())]


@pytest.mark.parametrize("seed", SEEDS)
def test_in_blocks_as_at_once(seed: int) -> None:
    random = Random(seed)
    module = network(random, 2)
    x = signal_for(module, random)
    expected = whole(module, x)
    assert expected is not None
    live = stream(module)
    for _ in range(2):  # after `flush` it begins anew
        got = torch.cat([y for _, y in in_blocks(live, x, random)], -1)
        assert got.shape == expected.shape
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def has_to_wait(module: nn.Module, x: Tensor, n: int, output: int) -> bool:
    """Whether an output reads sample `n - 1`, or can be another in a signal that ends before that.

    Other signals than `x` are tried as well: a maximum does not show all that it depends on.
    """
    for each in [x, *(torch.randn_like(x) for _ in range(20))]:
        shorter, longer, here = whole(module, each[..., : n - 1]), whole(module, each), slice(output, output + 1)
        assert longer is not None
        if shorter is None or not torch.equal(shorter[..., here], longer[..., here]):
            return True
        marked = each.clone()
        marked[..., n - 1] = float("nan")
        with_mark = whole(module, marked)
        assert with_mark is not None
        if with_mark[..., output].isnan().any():
            return True
    return False


@pytest.mark.parametrize("seed", SEEDS)
def test_no_output_could_come_sooner(seed: int) -> None:
    """Fed sample by sample: what comes with a sample depends on it, or is another in a signal that ends before it."""
    random = Random(seed)
    module = network(random, 2)
    x = signal_for(module, random)
    expected, live, given = whole(module, x), stream(module), 0
    assert expected is not None
    for n in range(1, x.shape[-1] + 1):
        count = live.push(x[..., n - 1 : n]).shape[-1]
        if count and n > 1:  # with none no module runs
            assert has_to_wait(module, x, n, given), (n, given)
        given += count
    if given < expected.shape[-1]:  # what comes at the end is another, or not yet known, in a signal that goes on
        rest = torch.full((2, 2, 64), float("nan"), dtype=x.dtype)
        signals = [x, *(torch.randn_like(x) for _ in range(20))]
        pairs = ((whole(module, each), whole(module, torch.cat([each, rest], -1))) for each in signals)
        assert any(not torch.equal(a[..., given], b[..., given]) for a, b in pairs)  # type: ignore[index]


def causal() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(trous.nn.Conv1d(1, 4, 3, padding="causal", dilation=4), nn.Tanh(), nn.Conv1d(4, 1, 1)).eval()


def test_delay_and_context() -> None:
    live = stream(causal())
    assert live.push(torch.randn(1, 1, 5)).shape == (1, 1, 5)
    assert (live.delay, live.context) == (0, 8)
    centred = stream(nn.Conv1d(1, 1, 9, padding=4))
    centred.push(torch.randn(1, 1, 1))
    assert (centred.delay, centred.context) == (4, 4)
    strided = stream(nn.Sequential(nn.Conv1d(1, 2, 8, 4, 2), nn.ConvTranspose1d(2, 1, 8, 4, 2)))
    strided.push(torch.randn(1, 1, 1))
    # an output waits for the second of the two windows that it lies in, and for the samples to which that one reaches
    assert (strided.delay, strided.context) == (7, 7)


def test_a_period_of_several_strides() -> None:
    """The first of four outputs of the last layer waits for four samples."""
    live = stream(nn.Sequential(nn.Conv1d(1, 1, 2, 2), nn.Conv1d(1, 1, 2, 2), nn.Upsample(scale_factor=4)))
    live.push(torch.randn(1, 1, 1))
    assert live.delay == 3


def test_a_reader_of_what_is_known_early_goes_ahead() -> None:
    """Of the transposed layer output 4i waits for input i, output 4i + 2 for input i - 1, odd ones for none."""
    spread, x = nn.ConvTranspose1d(1, 1, 3, 4, dilation=6), torch.randn(1, 1, 9)
    for cropped, delay in ((0, 0), (2, -1), (1, -2)):
        module = nn.Sequential(spread, nn.ConstantPad1d((-cropped, 0), 0.0), nn.Conv1d(1, 1, 1, 4)).eval()
        live = stream(module)
        got = [live.push(block) for block in x.split(1, -1)]
        assert [y.shape[-1] for y in got] == [1 - delay, *[1] * 8]
        assert live.delay == delay
        torch.testing.assert_close(torch.cat([*got, live.flush()], -1), whole(module, x))


def test_a_signal_ends_only_where_its_branches_meet() -> None:
    """Half the rate and back beside the signal itself: lengths agree where they are even."""
    torch.manual_seed(4)
    inside = nn.Sequential(nn.Conv1d(2, 3, 4, 2, 1), nn.Tanh(), nn.ConvTranspose1d(3, 2, 4, 2, 1))
    module = nn.Sequential(Residual(inside), Chomp(1), nn.Conv1d(2, 1, 3)).eval()
    live, x = stream(module), torch.randn(1, 2, 24)
    got = [live.push(block) for block in x.split([1] * 9 + [4, 2, 9], -1)]
    torch.testing.assert_close(torch.cat([*got, live.flush()], -1), whole(module, x))
    got = [live.push(x[..., :7])]
    with pytest.raises(TrousError, match="must have a length at which all that meet"):
        live.flush()
    got += [live.push(x[..., 7:8]), live.flush()]
    torch.testing.assert_close(torch.cat(got, -1), whole(module, x[..., :8]))


def test_a_state_is_saved_and_gone_on_with(tmp_path: Path) -> None:
    module, x = causal(), torch.randn(2, 1, 40)
    live = stream(module)
    first = live.push(x[..., :17])
    torch.save(live.state_dict(), tmp_path / "state.pt")
    later = stream(module)
    later.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for going_on in (live, later):
        rest = torch.cat([going_on.push(x[..., 17:]), going_on.flush()], -1)
        torch.testing.assert_close(torch.cat([first, rest], -1), whole(module, x))


def test_what_is_no_state_of_the_module_is_refused() -> None:
    module, x = causal(), torch.randn(2, 1, 30)
    live = stream(module)
    got = [live.push(x[..., :11])]
    saved = live.state_dict()
    name = next(iter(saved["kept"]))
    other = stream(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Tanh(), nn.Conv1d(2, 1, 2)))
    other.push(x[..., :11])
    for broken in (
        3,
        {},
        {**saved, "received": "many"},
        {**saved, "received": 3},
        {**saved, "form": 7},
        {**saved, "form": ((2, 3, 0), torch.float32, torch.device("cpu"))},
        {**saved, "kept": [1]},
        {**saved, "kept": {}},
        {**saved, "kept": {**saved["kept"], name: [torch.zeros(2, 1, 3)]}},
        {**saved, "kept": {**saved["kept"], name: [saved["kept"][name][0].double()]}},
        {**saved, "kept": {**saved["kept"], name: ["x"]}},
        other.state_dict(),
    ):
        with pytest.raises(TrousError):
            live.load_state_dict(broken)  # type: ignore[arg-type]
    got += [live.push(x[..., 11:]), live.flush()]
    torch.testing.assert_close(torch.cat(got, -1), whole(module, x))
    live.load_state_dict(stream(module).state_dict())  # which had not begun
    torch.testing.assert_close(live.push(x), whole(module, x))


def test_after_an_error_all_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = causal(), torch.randn(1, 1, 20)
    live = stream(module)
    got = [live.push(x[..., :6])]
    with pytest.raises(TrousError):
        live.push(x[0, :, 6:9])
    last = live._network.nodes[-1]  # type: ignore[union-attr]
    with monkeypatch.context() as patch:
        patch.setitem(vars(last), "run", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                live.push(x[..., 6:9])
    got += [live.push(x[..., 6:]), live.flush()]
    torch.testing.assert_close(torch.cat(got, -1), whole(module, x))


def test_what_is_no_number_goes_no_farther_than_in_the_whole_signal() -> None:
    module = nn.Sequential(nn.Conv1d(1, 2, 3, padding=2, dilation=2), nn.ConvTranspose1d(2, 1, 2, 4, dilation=3)).eval()
    x = torch.randn(1, 1, 40)
    x[..., 7], x[..., 20] = float("nan"), float("inf")
    live = stream(module)
    got = torch.cat([*(live.push(block) for block in x.split(1, -1)), live.flush()], -1)
    torch.testing.assert_close(got, whole(module, x), equal_nan=True)
    assert got.isnan().any() and not got.isnan().all()


def test_a_signal_of_no_samples() -> None:
    module = nn.Sequential(nn.ConstantPad1d((3, 1), 1.0), nn.Conv1d(1, 1, 2)).eval()
    live, nothing = stream(module), torch.empty(1, 1, 0)
    assert live.push(nothing).shape == (1, 1, 0)
    torch.testing.assert_close(live.flush(), whole(module, nothing))
    x = torch.randn(1, 1, 5)
    torch.testing.assert_close(torch.cat([live.push(x), live.flush()], -1), whole(module, x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_smaller_numbers(dtype: torch.dtype) -> None:
    module, x = (
        nn.Sequential(nn.Conv1d(1, 4, 3, padding=2), nn.Tanh(), nn.Conv1d(4, 1, 1)).to(dtype).eval(),
        torch.randn(1, 1, 20),
    )
    live = stream(module)
    got = torch.cat([*(live.push(block) for block in x.to(dtype).split(3, -1)), live.flush()], -1)
    torch.testing.assert_close(got, whole(module, x.to(dtype)))


def test_streams_do_not_know_each_other() -> None:
    module, x = causal(), torch.randn(2, 1, 30)
    one = stream(module)
    one.push(x[..., :11])
    other = one.again()
    got = torch.cat([other.push(x), other.flush()], -1)
    torch.testing.assert_close(got, whole(module, x))
    torch.testing.assert_close(one.push(x[..., 11:]), whole(module, x)[..., 11:])  # type: ignore[index]


def test_what_the_module_learns_is_used() -> None:
    module, x = causal(), torch.randn(1, 1, 20)
    live = stream(module)
    live.push(x)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)
    live.reset()
    torch.testing.assert_close(live.push(x), whole(module, x))


def test_another_batch_after_the_end() -> None:
    module = causal()
    live = stream(module)
    for batch in (1, 3):
        x = torch.randn(batch, 1, 12)
        torch.testing.assert_close(torch.cat([live.push(x), live.flush()], -1), whole(module, x))


def test_a_module_in_training_stays_so() -> None:
    module = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    stream(module).push(torch.randn(1, 1, 9))
    assert all(each.training for each in module.modules())


class Mixed(nn.Module):
    """Channels mixed by matrix products from the left, split, summed, turned round and put together again."""

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.ones(3, 2, dtype=x.dtype) * torch.tensor([[1.0], [2.0], [3.0]], dtype=x.dtype)
        mixed = torch.matmul(weight, x)
        first, second, third = mixed.unbind(1)
        together = torch.stack([first, second + third], 1).flip(1)
        return torch.cat([together, mixed.mean(1, keepdim=True), x.select(1, 0).unsqueeze(1)], 1).softmax(1)


def test_whatever_happens_across_channels() -> None:
    x = torch.randn(2, 2, 23)
    live = stream(Mixed())
    got = torch.cat([live.push(x[..., :9]), live.push(x[..., 9:]), live.flush()], -1)
    torch.testing.assert_close(got, whole(Mixed(), x))


class Flipped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(-1)


class Placed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.arange(x.shape[-1])


class Stepwise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[..., n] * 2 for n in range(x.shape[-1])], -1)


class Written(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(x)
        y[:, :1].mul_(2)
        return y


def test_a_weight_of_two_layers() -> None:
    """Which pad differently: each keeps its own."""
    first, second = (trous.nn.Conv1d(2, 2, 5, 3, pair) for pair in (((4, 0),), ((4, 2),)))
    second.weight = first.weight
    module, x = nn.Sequential(first, nn.Tanh(), second), torch.randn(1, 2, 50)
    with pytest.raises(TrousError, match="alone says how much it pads at the end"):
        stream(module).push(x)
    second.padding = ((1, 2),)
    live = stream(module)
    torch.testing.assert_close(torch.cat([live.push(x), live.flush()], -1), whole(module, x))


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.GroupNorm(1, 2), "native_group_norm needs the mean and the variance of the whole signal"),
        (nn.AdaptiveAvgPool1d(1), "mean takes the whole signal together"),
        (nn.Softmax(-1), "_softmax takes the whole signal together"),
        (Flipped(), "flip takes the whole signal together"),
        (Placed(), "must not compute with the length of the signal"),
        (nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), "must not write into memory"),
        (Written(), "must not write into memory that it reads again"),
        (nn.Upsample(scale_factor=1.1), "enlarges by 11/10 and no whole number"),
        (nn.Conv1d(3, 1, 3), "must be what the module accepts; its forward pass failed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_streamed_says_why(module: nn.Module, why: str) -> None:
    with pytest.raises(TrousError, match=why):
        stream(module).push(torch.randn(1, 2, 8))


def test_a_call_for_every_sample_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_STEPS", 100)
    with pytest.raises(TrousError, match="must call at most 100 operators, whatever the length"):
        stream(Stepwise()).push(torch.randn(1, 2, 8))


def test_bad_calls() -> None:
    with pytest.raises(TrousError, match=r"module must be a torch\.nn\.Module, got 'int'"):
        stream(3)  # type: ignore[arg-type]
    live = stream(causal())
    with pytest.raises(TrousError, match="flush must follow a block"):
        live.flush()
    with pytest.raises(TrousError, match="stream must have seen a block"):
        _ = live.delay
    live.push(torch.randn(1, 1, 4))
    with pytest.raises(TrousError, match="block must be like the first"):
        live.push(torch.randn(2, 1, 4))
    with pytest.raises(TrousError, match="dim must be a dimension of the block"):
        stream(causal(), dim=3).push(torch.randn(1, 1, 4))
