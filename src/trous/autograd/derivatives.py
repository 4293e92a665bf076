"""Derivatives of every order, in both modes, within the operators.

The tap plan is closed under the adjoint. `trous::run` has as gradient for x itself with `transposed` turned round, at
the size of x, and as gradient for w `trous::weight_grad`; that one is linear in x and in dy, and both its gradients are
`trous::run` again. With an activation in the pass, its gradient comes from the output first, and the rest is as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from trous.autograd import operators
from trous.autograd.plain import form, is_plain, needs_grad
from trous.backends.epilogue import Epilogue
from trous.backends.execute import ready_at
from trous.settings import state


def run(x: Tensor, w: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
    """`trous::run` under every transformation of torch, and past the dispatcher where there is nothing else to do."""
    if bias is None and is_plain(x, w) and not needs_grad(x, w):
        call = ready_at(state(), form(x), form(w), *operators.hashable(geometry))
        if call is not None:
            return call(x, w, None, None)
    if not _transforming():
        return torch.ops.trous.run(x, w, bias, *geometry)
    y = _Run.apply(x, w, _Rest(geometry))
    return y if bias is None else y + bias.reshape(-1, *[1] * (x.ndim - 2))


def run_finished(
    x: Tensor, w: Tensor, bias: Tensor | None, residual: Tensor | None, epilogue: Epilogue, *geometry: Any
) -> Tensor:
    """`activation(run(x, w, bias) + residual)`, in one pass but for torch's transformations, and for slopes below 0."""
    if not _transforming() and epilogue.slope > 0:
        return torch.ops.trous.run_finished(x, w, bias, residual, epilogue.activation, epilogue.slope, *geometry)
    y = run(x, w, bias, *geometry)
    return activated(y if residual is None else y + residual, epilogue)


def activated(total: Tensor, epilogue: Epilogue) -> Tensor:
    """The activation by torch."""
    match epilogue.activation:
        case None:
            return total
        case "leaky_relu":
            return torch.nn.functional.leaky_relu(total, epilogue.slope)
        case name:
            return getattr(torch, name)(total)


def weight_grad(x: Tensor, dy: Tensor, *rest: Any) -> Tensor:
    """`trous::weight_grad` likewise."""
    if is_plain(x, dy) and not needs_grad(x, dy):
        return operators.weight_grad(x, dy, *rest)
    return _WeightGrad.apply(x, dy, _Rest(rest)) if _transforming() else torch.ops.trous.weight_grad(x, dy, *rest)


def _transforming() -> bool:
    """Whether forward mode or torch.func is at work, which a registered gradient does not serve."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


class Differentiable(torch.autograd.Function):
    """A call that is ready and has to be differentiated, of plain tensors: the operator without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, call: Any, geometry: tuple[Any, ...]) -> Tensor:
        y: Tensor = call(x, w, bias, None)
        _run_setup(ctx, (x, w, bias, *geometry), y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return *_sum_backward(ctx, dy, *ctx.saved_tensors), None, None


def _keep(ctx: Any, first: Tensor, second: Tensor) -> None:
    """Keep of two factors each that the other's gradient needs, and their sizes, which cost nothing."""
    needs_first, needs_second, *_ = ctx.needs_input_grad
    ctx.save_for_backward(first if needs_second else None, second if needs_first else None)
    ctx.sizes = tuple(first.shape[2:]), tuple(second.shape[2:])


def _run_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, w, _, _, *ctx.shared, ctx.transposed = inputs
    _keep(ctx, x, w)


def _run_backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    return *_sum_backward(ctx, dy, *ctx.saved_tensors), None, None, None, None, None, None


def _sum_backward(ctx: Any, dy: Tensor, x: Any, w: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients for x, w and bias."""
    size, kernel = ctx.sizes
    dx = dw = dbias = None
    if ctx.needs_input_grad[0]:
        dx = run(dy, w, None, size, *ctx.shared, not ctx.transposed)
    if ctx.needs_input_grad[1]:
        pair = (dy, x) if ctx.transposed else (x, dy)
        dw = weight_grad(*pair, kernel, *ctx.shared)
    if ctx.needs_input_grad[2]:
        dbias = dy.sum((0, *range(2, dy.ndim)))
    return dx, dw, dbias


def _finished_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, w, _, _, ctx.activation, ctx.slope, _, *ctx.shared, ctx.transposed = inputs
    needs_x, needs_w, *_ = ctx.needs_input_grad
    y = None if ctx.activation is None else output
    ctx.save_for_backward(x if needs_w else None, w if needs_x else None, y)
    ctx.sizes = tuple(x.shape[2:]), tuple(w.shape[2:])


def _finished_backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    *factors, y = ctx.saved_tensors
    dy = _before_activation(ctx.activation, ctx.slope, y, dy)
    dx, dw, dbias = _sum_backward(ctx, dy, *factors)
    return dx, dw, dbias, dy if ctx.needs_input_grad[3] else None, *[None] * 8


def _before_activation(activation: str | None, slope: float, y: Tensor, dy: Tensor) -> Tensor:
    """The gradient of an activation's input, from its output `y`, as torch has it for in-place activations."""
    match activation:
        case "relu":
            return torch.ops.aten.threshold_backward(dy, y, 0)
        case "leaky_relu":
            return torch.ops.aten.leaky_relu_backward(dy, y, slope, True)
        case "tanh":
            return torch.ops.aten.tanh_backward(dy, y)
        case "sigmoid":
            return torch.ops.aten.sigmoid_backward(dy, y)
    return dy


def _weight_grad_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, dy, _, *ctx.shared = inputs
    _keep(ctx, x, dy)


def _weight_grad_backward(ctx: Any, ddw: Tensor) -> tuple[Tensor | None, ...]:
    x, dy = ctx.saved_tensors
    size, output_size = ctx.sizes
    dx = ddy = None
    if ctx.needs_input_grad[0]:
        dx = run(dy, ddw, None, size, *ctx.shared, True)
    if ctx.needs_input_grad[1]:
        ddy = run(x, ddw, None, output_size, *ctx.shared, False)
    return dx, ddy, None, None, None, None, None


torch.library.register_autograd("trous::run", _run_backward, setup_context=_run_setup)
torch.library.register_autograd("trous::run_finished", _finished_backward, setup_context=_finished_setup)
torch.library.register_autograd("trous::weight_grad", _weight_grad_backward, setup_context=_weight_grad_setup)


@dataclass(frozen=True)
class _Rest:
    """Arguments that are no tensors, as one thing: torch.func takes tuples apart and then loses count of them."""

    values: tuple[Any, ...]


class _Run(torch.autograd.Function):
    """`trous::run` where an operator's registered gradient does not reach: forward mode and torch.func."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, rest: _Rest) -> Tensor:
        return torch.ops.trous.run(x, w, None, *rest.values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, ctx.rest = inputs
        _run_setup(ctx, (x, w, None, *ctx.rest.values), output)
        _keep_both(ctx, x, w)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return _run_backward(ctx, dy)[:3]

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, dw: Tensor | None, _: None) -> Tensor:
        x, w = ctx.saved_tensors
        return _product_rule(lambda a, b: run(a, b, None, *ctx.rest.values), x, w, dx, dw)


class _WeightGrad(torch.autograd.Function):
    """The same for `trous::weight_grad`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, dy: Tensor, rest: _Rest) -> Tensor:
        return torch.ops.trous.weight_grad(x, dy, *rest.values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, dy, ctx.rest = inputs
        _weight_grad_setup(ctx, (x, dy, *ctx.rest.values), output)
        _keep_both(ctx, x, dy)

    @staticmethod
    def backward(ctx: Any, ddw: Tensor) -> tuple[Tensor | None, ...]:
        return _weight_grad_backward(ctx, ddw)[:3]

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, ddy: Tensor | None, _: None) -> Tensor:
        x, dy = ctx.saved_tensors
        return _product_rule(lambda a, b: weight_grad(a, b, *ctx.rest.values), x, dy, dx, ddy)


def _keep_both(ctx: Any, first: Tensor, second: Tensor) -> None:
    """torch.func wants the same tensors kept for both directions."""
    ctx.save_for_backward(first, second)
    ctx.save_for_forward(first, second)


def _product_rule(function: Any, a: Tensor, b: Tensor, da: Tensor | None, db: Tensor | None) -> Tensor:
    parts = [function(*pair) for pair in ((da, b), (a, db)) if pair[0] is not None and pair[1] is not None]
    return sum(parts[1:], parts[0])
