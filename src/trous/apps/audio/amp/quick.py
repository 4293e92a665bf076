"""A network's output and gradients as few matrix products: what a training on a processor spends its time on.

The layers have 2 to 16 channels, and a signal thousands of samples. So a layer is little arithmetic for every sample
that is brought to the processor, and a framework's layer brings each several times. Here an array of layers is one
operation. With `H` of `(channels + 2, samples)`, whose last two rows are the dry signal and ones, a layer is

    Z = tanh(sum over taps of W[tap] H[:, offset + ...])        H' = H + R Z + r

one product for each tap, its last with the mixed-in signal and the bias as two more columns of `W`. Outputs are only
those that have all of their field, so that an array's sum is needed where the whole network's outputs are. Gradients
are added into one buffer, in which every layer's input is a view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trous.apps.audio.nam.wavenet import WaveNet
from trous.errors import TrousError
from trous.spec import Conv

#: Of a layer: the convolution's weight and bias, the mixed-in signal's weight, the residual's weight and bias.
_TENSORS = 5


def quick(network: WaveNet, signal: Tensor) -> Tensor:
    """The network's outputs that have all of their field: `(samples,)` to `(samples - reach,)`.

    Gradients are for the weights, not for the signal, and once.

    Raises TrousError for networks other than those that `trous.apps.audio.nam.fresh` makes.
    """
    check(network)
    assert network.reach is not None
    count = signal.shape[-1] - network.reach
    hidden, total = signal[None], None
    for array in _arrays(network):
        hidden, summed = _Array.apply(_flat(array.rechannel) @ hidden, signal[None], count, array, *_weights(array))
        summed = summed if total is None else summed + total
        total = _flat(array.head) @ summed
        if array.head.bias is not None:
            total = total + array.head.bias[:, None]
        signal = signal[-hidden.shape[1] :]
    assert total is not None
    return total[0] * network.head_scale


def check(network: WaveNet) -> None:
    """Raises TrousError for a network that has more than arrays of plain layers."""
    layers: list[Any] = [layer for array in _arrays(network) for layer in array.layers]
    plain = network.condition is None and not len(network.head) and network.in_channels == network.out_channels == 1
    plain = plain and all(array.head.kernel_size == (1,) for array in _arrays(network))
    if not plain or not all(_is_plain(layer) for layer in layers):
        raise TrousError("network", "must be of one of the usual sizes", network.config)


def _arrays(network: WaveNet) -> Iterable[Any]:
    return network.arrays


def _is_plain(layer: Any) -> bool:
    alone = layer.gating == "none" and not len(layer.films) and layer.head is None and layer.residual is not None
    square = all(each.weight.shape[0] == each.weight.shape[1] for each in (layer.conv, layer.residual) if each)
    return alone and square and isinstance(layer.activation, nn.Tanh)


def _flat(layer: Any) -> Tensor:
    """The weight of a convolution whose kernel is 1, as a matrix."""
    weight: Tensor = layer.weight[..., 0]
    return weight


def _weights(array: Any) -> Iterator[Tensor]:
    for layer in array.layers:
        yield from (layer.conv.weight, layer.conv.bias, _flat(layer.mixin), _flat(layer.residual), layer.residual.bias)


def _offsets(layer: Any) -> tuple[int, ...]:
    """What the taps read: samples from the first that an output depends on."""
    return _planned(layer.conv.kernel_size[0], layer.conv.dilation[0])


@cache
def _planned(kernel: int, dilation: int) -> tuple[int, ...]:
    return tuple(tap.offset for tap in Conv(kernel, dilation=dilation).plan(1).axes[0].taps)


class _Array(torch.autograd.Function):
    """The layers of an array: what the last one hands on, and the sum of activations at the last `count` samples."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, signal: Tensor, count: int, array: Any, *weights: Tensor) -> Any:
        channels = len(hidden)
        rows = torch.cat([hidden, signal, torch.ones_like(signal)])
        total = hidden.new_zeros(channels, count)
        kept = []
        for number, layer in enumerate(array.layers):
            weight, bias, mixin, residual, after = weights[_TENSORS * number : _TENSORS * (number + 1)]
            *offsets, last = _offsets(layer)
            samples = rows.shape[1] - last
            active = torch.cat([weight[..., -1], mixin, bias[:, None]], 1) @ rows[:, last:]
            for tap, offset in enumerate(offsets):
                active.addmm_(weight[..., tap], rows[:channels, offset : offset + samples])
            active.tanh_()
            total += active[:, samples - count :]
            kept.append((rows, active))
            behind = torch.empty(channels + 2, samples, dtype=rows.dtype, device=rows.device)
            behind[channels:] = rows[channels:, last:]
            torch.addmm(rows[:channels, last:], residual, active, out=behind[:channels])
            behind[:channels] += after[:, None]
            rows = behind
        ctx.array, ctx.count, ctx.kept, ctx.weights = array, count, kept, weights
        ctx.set_materialize_grads(False)
        return rows[:channels].clone(), total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, grad_total: Tensor) -> Any:
        channels, whole = len(grad_total), ctx.kept[0][0].shape[1]
        buffer = grad_total.new_zeros(channels, whole)
        if grad is not None:
            buffer[:, whole - grad.shape[1] :] = grad
        grads: list[Tensor | None] = []
        for number in reversed(range(len(ctx.kept))):
            weight, _, _, residual, _ = ctx.weights[_TENSORS * number : _TENSORS * (number + 1)]
            rows, active = ctx.kept.pop()
            *offsets, last = _offsets(ctx.array.layers[number])
            samples, first = active.shape[1], whole - rows.shape[1]
            of_behind = buffer[:, whole - samples :]
            of_residual, of_after = of_behind @ active.T, of_behind.sum(1)
            of_active = residual.T @ of_behind
            of_active[:, samples - ctx.count :] += grad_total
            of_sum = torch.ops.aten.tanh_backward(of_active, active)
            of_weight = torch.empty_like(weight)
            of_weight[..., -1] = of_sum @ rows[:channels, last:].T
            of_others = of_sum @ rows[channels:, last:].T
            for tap, offset in enumerate(offsets):
                of_weight[..., tap] = of_sum @ rows[:channels, offset : offset + samples].T
            for tap, offset in enumerate([*offsets, last]):
                buffer[:, first + offset : first + offset + samples].addmm_(weight[..., tap].T, of_sum)
            grads[:0] = of_weight, of_others[:, 1], of_others[:, :1], of_residual, of_after
        return buffer, None, None, None, *grads
