"""Fused streams against the whole signal, and against streams that are not fused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from problems import INSTRUCTION_SETS
from streaming.fused.stacks import Apply, Skips, stack
from streaming.networks import Residual
from trous import TrousError, stream
from trous.backends.cpu import target
from trous.streaming.fused.stream import FusedStream

SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 12)) for seed in range(500)]


def whole(module: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        y: Tensor = module(x)
    return y


def in_blocks(live: FusedStream, x: Tensor, random: Random) -> Tensor:
    sizes = []
    while sum(sizes) < x.shape[-1]:
        sizes.append(min(random.choice((0, 1, 1, 2, 7, 20, 64, 150)), x.shape[-1] - sum(sizes)))
    return torch.cat([*(live.push(block) for block in x.split(sizes, -1)), live.flush()], -1)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_blocks_as_at_once(seed: int) -> None:
    """To rounding, and to the last bit however it is cut; as early as a stream that is not fused."""
    random = Random(seed)
    module = stack(random, channels := random.choice((1, 2, 8)))
    x = torch.randn(random.choice((1, 2)), channels, 700, dtype=torch.float64)
    expected, live, plain = whole(module, x), stream(module, fused=True), stream(module)
    first = in_blocks(live, x, random)
    torch.testing.assert_close(first, expected, rtol=1e-11, atol=1e-11)
    assert torch.equal(in_blocks(live, x, random), first)
    assert torch.equal(in_blocks(live.again(), x, random), first)
    plain.push(x[..., :1])
    assert live.delay == max(0, plain.delay)
    assert live.context == plain.context


def integral(module: nn.Module, random: Random) -> nn.Module:
    """With small integers for weights, so that sums are exact."""
    for parameter in module.parameters():
        parameter.data = torch.tensor([float(random.randint(-2, 2)) for _ in range(parameter.numel())]).view_as(
            parameter
        )
    return module.float().eval()


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_integers_bit_for_bit(instruction_set: str, checked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every instruction set, and no access outside an array."""
    monkeypatch.setenv("TROUS_CHECK", "01"[checked])
    random = Random(1)
    layers = nn.Conv1d(2, 5, 3, dilation=40), nn.ReLU(), Residual(nn.Conv1d(5, 5, 3, padding=1)), nn.Conv1d(5, 33, 1)
    module = integral(nn.Sequential(*layers, nn.Conv1d(33, 33, 2, groups=33), nn.Conv1d(33, 6, 2, groups=3)), random)
    x = torch.randint(-3, 4, (2, 2, 400)).float()
    with target.use(instruction_set):
        got = in_blocks(stream(module, fused=True), x, random)
    assert torch.equal(got, whole(module, x))


def test_code_that_leaves_its_arrays_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    live = stream(nn.Conv1d(1, 4, 3, dilation=90), fused=True)
    live.push(torch.zeros(1, 1, 0))
    assert live._stack is not None
    live._stack.table[-3] += 1 << 20  # where the last tap finds its samples
    with pytest.raises(RuntimeError, match="left its arrays"):
        live.push(torch.zeros(1, 1, 200))


def test_a_stack_of_one_form_is_compiled_once() -> None:
    """Dilations, weights, and depth where convolutions are what skips add up, are numbers that code reads."""

    def function(module: nn.Module) -> int:
        live = stream(module, fused=True)
        live.push(torch.zeros(1, 4, 0))
        return id(live.compiled.function)

    assert len({function(Skips(4, 1, dilations)) for dilations in ([1, 2, 4], [3, 9], [1, 5, 25, 125])}) == 1
    assert function(Skips(4, 2, [1, 2, 4])) != function(Skips(4, 1, [1, 2, 4]))


@pytest.mark.parametrize(("weights", "bound"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_rounded_weights(weights: torch.dtype, bound: float) -> None:
    """As the network whose weights were rounded before; biases are not."""
    module, x = Skips(16, 3, [1, 2, 4]), torch.randn(1, 16, 200)
    got = in_blocks(stream(module, fused=True, weights=weights), x, Random(0))
    for name, parameter in module.named_parameters():
        if name.endswith("weight"):
            rounded = parameter.data.to(weights).float()
            assert (rounded - parameter.data).abs().max() <= bound * parameter.abs().max()
            parameter.data = rounded
    torch.testing.assert_close(got, whole(module, x), rtol=1e-5, atol=1e-5)


def test_samples_along_another_dimension() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    x = torch.randn(2, 50, 3)
    live = stream(module, dim=1, fused=True)
    got = torch.cat([live.push(block) for block in x.split(7, 1)] + [live.flush()], 1)
    torch.testing.assert_close(got, whole(module, x))
    unbatched = nn.Conv1d(3, 4, 2)
    live, x = stream(unbatched, fused=True), torch.randn(3, 40)
    torch.testing.assert_close(torch.cat([live.push(x), live.flush()], -1), whole(unbatched, x))


@pytest.mark.parametrize("batch", [1, 3])
def test_channels_that_a_reshape_merges_with_the_samples(batch: int) -> None:
    module = nn.Sequential(
        nn.Conv1d(2, 3, 2),
        Apply(lambda x: torch.tanh(x.transpose(1, 2).flatten(1)).unflatten(1, (-1, 3)).transpose(1, 2)),
    )
    x = torch.randn(batch, 2, 50)
    torch.testing.assert_close(in_blocks(stream(module, fused=True), x, Random(0)), whole(module, x))


def test_parts_of_a_longer_signal() -> None:
    """Blocks that are no memory of their own, and what is asked to be differentiated."""
    module, x = nn.Conv1d(4, 2, 3), torch.randn(1, 300, 4, requires_grad=True)
    for signal in (x.transpose(1, 2), x.detach().transpose(1, 2).contiguous(), x.transpose(1, 2)[..., ::3]):
        live = stream(module, fused=True)
        got = torch.cat([live.push(block) for block in signal.split(11, -1)], -1)
        torch.testing.assert_close(got, whole(module, signal))
        assert not got.requires_grad


def test_going_on_elsewhere(tmp_path: Path) -> None:
    module, x = Skips(3, 2, [1, 30]).double(), torch.randn(2, 3, 100, dtype=torch.float64)
    live = stream(module, fused=True)
    first = live.push(x[..., :41])
    torch.save(live.state_dict(), tmp_path / "state.pt")
    other = stream(module, fused=True)
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    got = torch.cat([first, other.push(x[..., 41:]), other.flush()], -1)
    torch.testing.assert_close(got, whole(module, x))
    unbegun = stream(module, fused=True).state_dict()
    other.load_state_dict(unbegun)
    torch.testing.assert_close(torch.cat([other.push(x), other.flush()], -1), whole(module, x))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda saved: "nothing", "must be what state_dict gave"),
        (lambda saved: {}, "must be what state_dict gave"),
        (lambda saved: saved | {"form": ((1, 3, 0), "float", None)}, "must have the form of a block"),
        (lambda saved: saved | {"memories": [torch.zeros(3)]}, "must be the state of a stream through the same module"),
        (lambda saved: saved | {"memories": []}, "must be the state of a stream through the same module"),
        (lambda saved: saved | {"received": None}, "must be the state of a stream through the same module"),
    ],
)
def test_what_is_no_state_changes_nothing(change: Callable[[Any], Any], why: str) -> None:
    module, x = Skips(3, 2, [1, 30]), torch.randn(1, 3, 100)
    live = stream(module, fused=True)
    first = live.push(x[..., :41])
    with pytest.raises(TrousError, match=f"saved {why}"):
        live.load_state_dict(change(live.state_dict()))
    torch.testing.assert_close(torch.cat([first, live.push(x[..., 41:])], -1), whole(module, x))
    elsewhere = stream(Skips(3, 2, [1, 90]), fused=True)
    with pytest.raises(TrousError, match="saved must be the state of a stream through the same module"):
        elsewhere.load_state_dict(live.state_dict())


def test_reset_and_weights_of_the_first_block() -> None:
    module, x = nn.Conv1d(1, 1, 3, padding=1), torch.randn(1, 1, 20)
    live = stream(module, fused=True)
    live.push(torch.full((1, 1, 9), torch.nan))
    live.reset()
    expected = whole(module, x)
    nn.init.zeros_(module.weight)
    assert torch.equal(torch.cat([live.push(x), live.flush()], -1).isnan(), torch.zeros(1, 1, 20, dtype=torch.bool))
    torch.testing.assert_close(torch.cat([live.push(x), live.flush()], -1), expected)


def test_not_a_number_goes_as_far_as_its_reach() -> None:
    module, x = Skips(4, 1, [1, 8]), torch.randn(1, 4, 60)
    x[0, 2, 20] = torch.nan
    got = in_blocks(stream(module, fused=True), x, Random(0))
    assert torch.equal(got.isnan(), whole(module, x).isnan())


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.Conv1d(1, 1, 3, stride=2), "changes the rate of samples"),
        (nn.ConvTranspose1d(1, 1, 4, stride=2), "changes the rate of samples"),
        (nn.MaxPool1d(3, 1), "is no convolution and reads along the signal"),
        (nn.GELU(), "is an operator without code"),
        (nn.ConstantPad1d(2, 1.0), "pads with another number than 0"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, nn.Module) else "",
)
def test_what_has_no_code_says_why(module: nn.Module, why: str) -> None:
    with pytest.raises(TrousError, match=why):
        stream(module, fused=True).push(torch.zeros(1, 1, 64))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flip(0),
        lambda x: torch.roll(x, 1, 0),
        lambda x: torch.cat([x, 2 * x], 0),
        lambda x: x - x[:1],
        lambda x: x[:1],
        lambda x: x.transpose(0, 1),
        lambda x: x * torch.ones(3, 1, 1),
    ],
)
def test_signals_of_a_batch_that_meet(function: Callable[[Tensor], Tensor]) -> None:
    live = stream(nn.Sequential(nn.Conv1d(2, 2, 1), Apply(function)), fused=True)
    with pytest.raises(TrousError, match="brings signals of the batch together"):
        live.push(torch.zeros(3, 2, 8))


def test_what_is_refused() -> None:
    with pytest.raises(TrousError, match="block must be float32 or float64 on the CPU"):
        stream(nn.ReLU(), fused=True).push(torch.zeros(1, 1, 4, dtype=torch.float16))
    with pytest.raises(TrousError, match="weights must be None unless the stream is fused"):
        stream(nn.ReLU(), weights=torch.float16)
    with pytest.raises(TrousError, match=r"weights must be torch\.bfloat16 or torch\.float16"):
        stream(nn.ReLU(), fused=True, weights=torch.int8)
    live = stream(nn.Conv1d(2, 2, 1), fused=True)
    with pytest.raises(TrousError, match="flush must follow a block"):
        live.flush()
    live.push(torch.zeros(1, 2, 3))
    with pytest.raises(TrousError, match="block must be like the first"):
        live.push(torch.zeros(1, 3, 3))
    assert F.relu(live.push(torch.zeros(1, 2, 3))).shape == (1, 2, 3)
