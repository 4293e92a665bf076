"""Activations and residuals of the public functions: the numbers, and all that torch asks of an operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import trous
from compare import assert_identical
from problems import HAND_PICKED, Arrays, integers
from test_functional import call
from trous.arrays import is_channels_last
from trous.entry import check
from trous.problem import Problem, random_problems

PROBLEMS = (*HAND_PICKED[::3], *random_problems(6, 10))

#: The argument, and torch's function. The slope is a power of two, so that products of integers with it are exact.
EXACT = (("relu", torch.relu), (("leaky_relu", 0.25), lambda a: torch.nn.functional.leaky_relu(a, 0.25)))
ACTIVATIONS = (*EXACT, ("leaky_relu", torch.nn.functional.leaky_relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid))


def name_of(part: Any) -> str:
    """Of an activation or of torch's function: what two processes agree on."""
    return getattr(part, "__name__", str(part))


SMALL = ("conv,n2,c2-2,x5,k3,s2,p1,g2,f64,bias", "conv_transpose,c2-1,x2x3,k2,s2x1,f64,bias")


def residual_of(y: Any) -> Any:
    """Integers that turn the sign of about half the sums."""
    numbers = torch.arange(y.numel()).reshape(y.shape) % 7 - 3
    return (numbers * y.detach().float().abs().mean().ceil()).to(y.dtype)


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_torch_and_numpy_equal_torch_s_functions(problem: Problem) -> None:
    given = integers(problem)
    y = call(problem, given)
    residual = residual_of(y)
    for activation, function in EXACT:
        expected = (
            function(y.float() + residual.float()).to(y.dtype) if y.dtype != torch.float64 else function(y + residual)
        )
        if y.element_size() == 2:  # rounded once: the sum without rounding is that of float32
            expected = function(call(problem, given.map(lambda a: a.float())) + residual.float()).to(y.dtype)
        ours = call(problem, given, activation=activation, residual=residual)
        assert_identical(ours, expected, problem, zeros=True, empty=True)
        assert is_channels_last(ours) == is_channels_last(y)
        if y.dtype != torch.bfloat16:
            arrays = given.map(lambda a: a.numpy())
            assert_identical(
                call(problem, arrays, activation=activation, residual=residual.numpy()),
                expected, problem, zeros=True, empty=True,
            )  # fmt: skip


@pytest.mark.parametrize(("activation", "function"), ACTIVATIONS, ids=name_of)
def test_without_a_batch_and_without_a_residual(activation: Any, function: Any) -> None:
    x, w = torch.randn(3, 40), torch.randn(5, 3, 3)
    ours = trous.conv(x, w, activation=activation)
    torch.testing.assert_close(ours, function(torch.nn.functional.conv1d(x, w)))
    np.testing.assert_allclose(trous.conv(x.numpy(), w.numpy(), activation=activation), ours.numpy(), rtol=1e-6)
    residual = torch.randn(5, 38)
    ours = trous.conv(x, w, residual=residual, activation=activation)
    torch.testing.assert_close(ours, function(torch.nn.functional.conv1d(x, w) + residual))


def test_a_residual_of_any_strides() -> None:
    x, w = torch.randint(-4, 5, (2, 3, 9, 8)).float(), torch.randint(-4, 5, (5, 3, 3, 3)).float()
    y = torch.nn.functional.conv2d(x, w)
    values = residual_of(y)
    spread = torch.arange(6.0).expand(2, 5, 7, 6)
    last = values.to(memory_format=torch.channels_last)
    turned = values.transpose(2, 3).contiguous().transpose(2, 3)
    for residual in (values, spread, last, turned, torch.stack([values, values], -1)[..., 1]):
        ours = trous.conv(x, w, residual=residual, activation="relu")
        assert_identical(ours, torch.relu(y + residual), zeros=True)
        assert_identical(
            trous.conv(x.numpy(), w.numpy(), residual=residual.numpy(), activation="relu"), ours.numpy(), zeros=True
        )
    backwards = values.numpy()[:, ::-1, :, ::-1]
    expected = torch.relu(y + torch.from_numpy(backwards.copy())).numpy()
    assert_identical(trous.conv(x.numpy(), w.numpy(), residual=backwards, activation="relu"), expected, zeros=True)


def test_complex_numbers_take_a_residual() -> None:
    x, w = torch.randn(1, 2, 9, dtype=torch.complex128), torch.randn(3, 2, 3, dtype=torch.complex128)
    residual = torch.randn(1, 3, 7, dtype=torch.complex128)
    expected = torch.nn.functional.conv1d(x, w) + residual
    torch.testing.assert_close(trous.conv(x, w, residual=residual), expected)
    np.testing.assert_allclose(trous.conv(x.numpy(), w.numpy(), residual=residual.numpy()), expected.numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("needs_grad", [False, True])
def test_sixteen_bits_are_rounded_once(dtype: torch.dtype, needs_grad: bool) -> None:
    x, w = torch.randn(2, 3, 50).to(dtype).requires_grad_(needs_grad), torch.randn(4, 3, 3).to(dtype)
    residual = torch.randn(2, 4, 48).to(dtype)
    fine = torch.tanh(torch.nn.functional.conv1d(x.double(), w.double()) + residual.double())
    # Rounding float32 sums rounds like exact ones, but for numbers halfway between two.
    near = (fine.to(dtype) == trous.conv(x, w, residual=residual, activation="tanh")).float().mean()
    assert near > 0.99


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # forward mode's own imports
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("text", SMALL)
@pytest.mark.parametrize("activation", ["relu", ("leaky_relu", 0.25), "tanh", "sigmoid"], ids=str)
def test_first_and_second_derivatives_agree_with_differences(activation: Any, text: str, with_residual: bool) -> None:
    problem = Problem.parse(text)
    # All sums far from 0, where relu and leaky_relu have a corner, on one side of it and then on the other.
    for sign in (1.0, -1.0):
        given = integers(problem).map(lambda a: 0.3 + 0.2 * torch.rand(a.shape, dtype=torch.float64))
        given = Arrays(given.x, given.w * sign, given.bias * sign, given.dy)
        arrays = [a.requires_grad_() for a in given[:3]]
        if with_residual:
            arrays.append((0.1 * sign * given.dy).requires_grad_())

        def function(x: Any, w: Any, bias: Any, residual: Any = None) -> Any:
            return call(problem, Arrays(x, w, bias, None), activation=activation, residual=residual)

        assert torch.autograd.gradcheck(function, arrays, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, arrays)


@pytest.mark.parametrize(("activation", "function"), ACTIVATIONS, ids=name_of)
def test_gradients_are_torch_s_at_both_sides_of_zero(activation: Any, function: Any) -> None:
    x, w, bias = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((2, 3, 20), (4, 3, 3), (4,)))
    residual = torch.randn(2, 4, 18, dtype=torch.float64, requires_grad=True)
    leaves = (x, w, bias, residual)

    def steps(y: Any) -> list[Any]:
        first = torch.autograd.grad(y.pow(3).sum(), leaves, create_graph=True)
        return [y, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), leaves)]

    ours = trous.conv(x, w, bias, residual=residual, activation=activation)
    theirs = function(torch.nn.functional.conv1d(x, w, bias) + residual)
    torch.testing.assert_close(steps(ours), steps(theirs))
    with torch.no_grad():
        assert torch.equal(trous.conv(x, w, bias, residual=residual, activation=activation), ours)


@pytest.mark.parametrize("slope", [0.0, -0.5])
def test_slopes_that_the_output_does_not_tell(slope: float) -> None:
    x, w = torch.randn(2, 3, 20, requires_grad=True), torch.randn(4, 3, 3, requires_grad=True)
    ours = trous.conv(x, w, activation=("leaky_relu", slope))
    theirs = torch.nn.functional.leaky_relu(torch.nn.functional.conv1d(x, w), slope)
    pairs = [(y, *torch.autograd.grad(y.square().sum(), (x, w))) for y in (ours, theirs)]
    torch.testing.assert_close(*pairs)


@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_what_is_needed_is_kept(needs: tuple[bool, ...]) -> None:
    x, w, residual = (
        torch.rand(s, requires_grad=n) for s, n in zip(((2, 3, 9), (4, 3, 3), (2, 4, 7)), needs, strict=True)
    )
    for activation in (None, "relu"):
        y = trous.conv(x, w, residual=residual, activation=activation)
        kept = [tensor is not None for tensor in y.grad_fn.saved_tensors]
        assert kept == [needs[1], needs[0], activation is not None]
        y.sum().backward()
        assert [a.grad is not None for a in (x, w, residual)] == list(needs)


@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("text", ["conv,n2,c4-6,x9x8,k3x2,s2,p1,g2", "conv_transpose,n2,c4-6,x5x4,k3x2,s2,p1,op1,last"])
def test_torch_s_checks_of_an_operator(text: str, activation: str | None) -> None:
    problem = Problem.parse(text)
    given = integers(problem).map(lambda a: (a * 0.01).requires_grad_())
    key = [(a.shape, a.dtype, a.device) for a in given[:2]]
    spec = problem.spec
    transposed = isinstance(spec, trous.ConvTranspose)
    arguments = (spec.stride, spec.padding, getattr(spec, "output_padding", 0), spec.dilation, spec.groups, None)
    geometry = check(*key, None, transposed, *arguments).geometry
    everything = (given.x, given.w, None, given.dy, activation, 0.01, *geometry)
    torch.library.opcheck(torch.ops.trous.run_finished.default, everything)


class Finished(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = trous.nn.Conv2d(3, 6, 3, 2, "same", activation="relu")
        self.last = trous.nn.ConvTranspose2d(6, 3, 4, 2, 1, activation=("leaky_relu", 0.2))
        self.weight = torch.nn.Parameter(torch.rand(3, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.last(self.first(x))
        return trous.conv(y, self.weight, padding="same", residual=y, activation="sigmoid")


def step(function: Any, x: torch.Tensor, model: torch.nn.Module) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y = function(x)
    return [y, *torch.autograd.grad(y.square().sum(), (x, *model.parameters()))]


def test_compile_in_one_graph_for_every_size() -> None:
    model = Finished()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for shape in ((2, 3, 16, 18), (5, 3, 32, 10), (4, 3, 8, 20)):
            x = torch.rand(shape)
            torch.testing.assert_close(step(compiled, x, model), step(model, x, model))
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))
    torch.compiler.reset()


def test_export_keeps_the_pass_whole() -> None:
    model, x = Finished().eval(), torch.rand(2, 3, 16, 18)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert targets.count("trous.run_finished.default") == 3
    for shape in ((2, 3, 16, 18), (7, 3, 16, 18)):
        x = torch.rand(shape)
        torch.testing.assert_close(program.module()(x), model(x))


def test_symbolic_trace() -> None:
    model = Finished()
    graph = torch.fx.symbolic_trace(model)
    x = torch.rand(2, 3, 6, 8)
    assert torch.equal(graph(x), model(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(("activation", "function"), ACTIVATIONS, ids=name_of)
def test_torch_func(activation: Any, function: Any) -> None:
    x, w, residual = torch.randn(5, 4, 7).double(), torch.randn(4, 2, 3).double(), torch.randn(5, 4, 3).double()
    many = torch.randn(5, 4, 2, 3).double()

    def ours(x: Any, w: Any, residual: Any = None) -> Any:
        return trous.conv(x, w, stride=2, groups=2, residual=residual, activation=activation)

    def theirs(x: Any, w: Any, residual: Any = None) -> Any:
        y = torch.nn.functional.conv1d(x, w, stride=2, groups=2)
        return function(y if residual is None else y + residual)

    def results(layer: Any) -> list[Any]:
        def loss(w: Any, x: Any) -> Any:
            return layer(x, w).pow(3).sum()

        return [
            torch.func.vmap(layer, (0, None, 0))(x[:, None], w, residual[:, None]),
            torch.func.vmap(layer, (None, 0))(x, many),
            torch.func.vmap(torch.func.grad(loss), (None, 0))(w, x),
            torch.func.hessian(loss)(w, x[0]),
            torch.func.jvp(lambda r: layer(x, w, r), (residual,), (torch.ones_like(residual),)),
        ]

    torch.testing.assert_close(results(ours), results(theirs))


def test_autocast_takes_the_residual_along() -> None:
    x, w, residual = torch.randn(2, 3, 9), torch.randn(4, 3, 3), torch.randn(2, 4, 7)
    with torch.autocast("cpu", torch.bfloat16):
        y = trous.conv(x, w, residual=residual, activation="relu")
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), torch.relu(torch.nn.functional.conv1d(x, w) + residual), rtol=0.05, atol=0.05)


def test_arrays_of_other_libraries() -> None:
    x, w = np.arange(-4.0, 4.0).reshape(1, 1, 8), np.ones((1, 1, 3))

    class Foreign:
        def __init__(self, array: Any):
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    residual = np.ones((1, 1, 6))
    expected = np.maximum(trous.conv(x, w) + 1, 0)
    assert_identical(trous.conv(x, w, residual=Foreign(residual), activation="relu"), expected)
    with pytest.raises(trous.TrousError, match="residual must be an array of the library of x"):
        trous.conv(x, w, residual=torch.ones(1, 1, 6))
    with pytest.raises(trous.TrousError, match="residual must be a torch tensor, as x is"):
        trous.conv(torch.from_numpy(x), torch.from_numpy(w), residual=residual)
