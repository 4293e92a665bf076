"""Which inputs an output position depends on, by automatic differentiation: a judge that knows no formula.

A derivative of the network as it stands would miss inputs: a ReLU that is off, a saturated gate, the loser of a maximum
and terms of opposite sign all give zero where there is a dependence. So a copy of the network is differentiated in
which nothing can vanish: its parameters are positive, and functions that could hide an input have positive linear
substitutes (`inspection.alive`). What is left is a sum of positive terms, and zero means that there is no path. So that
long chains neither underflow nor overflow, each module's output is scaled on its way on, and the gradient that comes
back through it is replaced by positive numbers where it is not zero.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import nn

from inspection.alive import Alive, Statistics

Position = tuple[int, ...]

#: First and last input on each axis after batch and channels; None where no input matters.
Hull = tuple[tuple[int, int], ...] | None


@dataclass(frozen=True)
class Output:
    """One tensor that a module gave: its shape, and the hull of the inputs behind each position that was judged.

    A position is an index on the axes after batch and channels, `()` where there are none.
    """

    shape: tuple[int, ...]
    hulls: dict[Position, Hull]


def sample(size: tuple[int, ...], random: int = 4) -> list[Position]:
    """Corners, the centre, the middles of the borders, and some positions drawn with a fixed seed."""
    generator = torch.Generator().manual_seed(sum(size))
    chosen = [*product(*((0, n - 1) for n in size)), tuple(n // 2 for n in size)]
    for axis, n in enumerate(size):
        chosen += [tuple(end if a == axis else m // 2 for a, m in enumerate(size)) for end in (0, n - 1)]
    for _ in range(random):
        chosen.append(tuple(int(torch.randint(n, (), generator=generator)) for n in size))
    return list(dict.fromkeys(chosen))


def every(size: tuple[int, ...]) -> list[Position]:
    """All positions."""
    return list(product(*map(range, size)))


def dependence(
    network: nn.Module,
    shape: Sequence[int],
    *,
    modules: Iterable[str] | None = None,
    positions: Callable[[tuple[int, ...]], Iterable[Position]] = sample,
    channels_last: Iterable[str] = (),
    statistics: Statistics = "exact",
    complex_input: bool = False,
) -> dict[str, list[Output]]:
    """The hulls of the inputs behind positions of module outputs.

    `shape` is the whole shape of the input, with its batch and its channels. `modules` are names as in
    `network.named_modules()`, "" for the network itself; None means all. Each has one `Output` for every tensor that it
    gives, call by call, and no entry if it is not called. Positions stand on axes 2 and after, and all of the batch and
    of the channels counts for one; of the modules named in `channels_last` the channels are the last axis. `positions`
    gives those to judge for a size. `statistics` says whether the statistics of a normalisation come from what is
    normalised ("exact") or are constants ("held"), so that each element depends on itself alone.
    """
    generator = torch.Generator().manual_seed(0)
    network = copy.deepcopy(network).double().eval()
    names = {name for name, _ in network.named_modules()}
    wanted = names if modules is None else set(modules)
    if unknown := wanted - names:
        raise KeyError(f"the network has no modules {sorted(unknown)}")
    _make_positive(network, generator)
    recorded: dict[str, list[torch.Tensor]] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(_recorder(name, recorded if name in wanted else {}, generator))
    x = _positive(shape, generator)
    if complex_input:
        x = torch.complex(x, x.flip(-1))
    x.requires_grad_()
    last = set(channels_last)
    with one_thread():
        with torch.enable_grad(), Alive(statistics):
            network(x.clone())
        return {
            name: [_judge(y, x, -1 if name in last else 1, positions, generator) for y in tensors]
            for name, tensors in recorded.items()
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """Networks of few channels are far slower on threads that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _judge(
    y: torch.Tensor,
    x: torch.Tensor,
    channel_axis: int,
    positions: Callable[[tuple[int, ...]], Iterable[Position]],
    generator: torch.Generator,
) -> Output:
    shape = tuple(y.shape)
    if y.dim() > 1:
        y = y.movedim(channel_axis, 1)
    chosen = list(positions(tuple(y.shape[2:])))
    if not y.requires_grad:
        return Output(shape, dict.fromkeys(chosen))
    seeds = torch.zeros(len(chosen), *y.shape, dtype=y.dtype)
    for seed, position in zip(seeds, chosen, strict=True):
        here = (..., *position)
        seed[here] = _positive(seed[here].shape, generator).to(y.dtype)
    (gradients,) = torch.autograd.grad(
        y, x, seeds, retain_graph=True, is_grads_batched=True, allow_unused=True, materialize_grads=True
    )
    if not torch.isfinite(gradients).all():
        raise FloatingPointError("a derivative is not finite")
    return Output(shape, {p: _hull(g) for p, g in zip(chosen, gradients, strict=True)})


def _hull(gradient: torch.Tensor) -> Hull:
    touched = gradient != 0
    if not touched.any():
        return None
    ends = []
    for axis in range(2, touched.dim()):
        along = touched.movedim(axis, 0).flatten(1).any(dim=1).nonzero()
        ends.append((int(along[0]), int(along[-1])))
    return tuple(ends)


def _positive(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    return torch.rand(tuple(shape), dtype=torch.float64, generator=generator) + 0.5


def _make_positive(network: nn.Module, generator: torch.Generator) -> None:
    """All parameters between 0.5 and 1.5, divided by the number of them that meet in one output."""
    for parameter in network.parameters():
        met = parameter[0].numel() if parameter.dim() > 1 else 1
        parameter.data = _positive(parameter.shape, generator) / met
        parameter.requires_grad_(False)


class Passage(torch.autograd.Function):
    """Scaled forward; backward, positive numbers wherever the gradient is not zero, so that its size is forgotten."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, refreshed: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(refreshed)
        x = x.detach()
        return x / x.abs().max().clamp_min(1e-100)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (refreshed,) = ctx.saved_tensors
        return (gradient != 0) * refreshed, None


def _recorder(
    name: str, recorded: dict[str, list[torch.Tensor]], generator: torch.Generator
) -> Callable[[nn.Module, Any, Any], Any]:
    """A forward hook that notes every tensor of an output and sends it on through a `Passage`."""

    def note(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            recorded.setdefault(name, []).append(value)
            # Random, since equal numbers could cancel in a function that has no substitute, such as softmax.
            return Passage.apply(value, _positive(value.shape, generator).to(value.dtype))
        if type(value) in (tuple, list):
            return type(value)(note(entry) for entry in value)
        if isinstance(value, dict):
            return {key: note(entry) for key, entry in value.items()}
        return value

    return lambda module, args, output: note(output)
