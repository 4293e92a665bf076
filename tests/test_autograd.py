"""Gradients of every order, and what the rest of torch asks of an operator: compile, export, autocast."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad

import trous
from problems import HAND_PICKED, Arrays, Results, assert_all_identical, definition, integers, operation
from test_functional import call
from trous.autograd import derivatives
from trous.entry import check
from trous.problem import Problem, random_problems

PROBLEMS = (*HAND_PICKED, *random_problems(5, 20, dtypes=("float32", "float64")))

#: A spread for the derivatives that are checked against differences, small enough for a Jacobian.
SMALL = (
    "conv,n2,c2-4,x7,k3,s2,p1,g2,f64,bias",
    "conv,c2-3,x5x6,k3x2,p2x1,d2x1,f64,bias",
    "conv,c1-2,x3x4x3,k2x2x2,s1x2x1,p1,f64",
    "conv,c2-2,x9,k2,s3,pcausal,f64",
    "conv_transpose,n2,c4-2,x4,k3,s2,p1,op1,g2,f64,bias",
    "conv_transpose,c2-3,x3x4,k3x2,s2x3,d2x1,f64,bias",
    "conv_transpose,c2-1,x2x3x2,k2x1x2,s2,f64",
    "conv_transpose,c2-2,x4,k3,s2,d2,psame,f64",
)


def leaves(given: Arrays) -> Arrays:
    return given.map(lambda array: array.clone().requires_grad_())


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_gradients_equal_the_definition(problem: Problem) -> None:
    given = integers(problem)
    op, x_w = operation(problem), leaves(given)
    y = call(problem, x_w)
    dx, dw, *dbias = torch.autograd.grad(y, [a for a in x_w[:3] if a is not None], given.dy)
    assert_all_identical(Results(y, dx, dw), definition(op, given), op, problem)
    if dbias:
        assert torch.equal(dbias[0], given.dy.transpose(0, 1).flatten(1).sum(1))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # forward mode's own imports
@pytest.mark.parametrize("text", SMALL)
def test_first_and_second_derivatives_agree_with_differences(text: str) -> None:
    problem = Problem.parse(text)
    given = integers(problem).map(lambda a: torch.rand(a.shape, dtype=torch.float64, requires_grad=True))
    arrays = [a for a in given[:3] if a is not None]

    def function(*arrays: Any) -> Any:
        x, w, bias = (*arrays, None)[:3]
        return call(problem, Arrays(x, w, bias, None))

    assert torch.autograd.gradcheck(function, arrays, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, arrays)


def test_complex_gradients() -> None:
    x, w, bias = (torch.rand(s, dtype=torch.complex128, requires_grad=True) for s in ((1, 2, 5), (2, 2, 2), (2,)))
    assert torch.autograd.gradcheck(lambda x, w, b: trous.conv(x, w, b, stride=2), (x, w, bias))


@pytest.mark.parametrize("needs", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_what_is_needed_is_computed_and_kept(needs: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [torch.rand(s) for s in ((2, 3, 9), (4, 3, 3), (4,))]
    x, w, bias = (a.requires_grad_(n) for a, n in zip(arrays, needs, strict=True))
    y = trous.conv(x * 1, w, bias)
    kept = [tensor is not None for tensor in y.grad_fn.saved_tensors]
    assert kept == [needs[1], needs[0]]
    calls = []
    for name in ("run", "weight_grad"):
        original = getattr(derivatives, name)
        monkeypatch.setattr(derivatives, name, lambda *a, n=name, f=original: (calls.append(n), f(*a))[1])
    y.sum().backward()
    assert calls == ["run"] * needs[0] + ["weight_grad"] * needs[1]
    assert [a.grad is not None for a in arrays] == list(needs)


def test_activations_of_a_frozen_layer_are_not_kept() -> None:
    x, w = torch.rand(1, 2, 5, requires_grad=True), torch.rand(3, 2, 3)
    inner = x * 2
    alive = weakref.ref(inner)
    y = trous.conv(inner, w)
    del inner
    gc.collect()
    assert alive() is None
    y.sum().backward()
    assert x.grad is not None


def test_batch_of_none() -> None:
    x, w = torch.rand(0, 3, 8, 8, requires_grad=True), torch.rand(4, 3, 3, 3, requires_grad=True)
    y = trous.conv(x, w, stride=2)
    y.sum().backward()
    assert y.shape == (0, 4, 3, 3)
    assert x.grad.shape == x.shape
    assert torch.equal(w.grad, torch.zeros_like(w))


def test_the_same_every_time() -> None:
    x, w = torch.rand(2, 8, 40, 40, requires_grad=True), torch.rand(8, 8, 3, 3, requires_grad=True)

    def results() -> list[torch.Tensor]:
        y = trous.conv_transpose(x, w, stride=2)
        return [y, *torch.autograd.grad(y.square().sum(), (x, w))]

    for once, again in zip(results(), results(), strict=True):
        assert torch.equal(once, again)


@pytest.mark.parametrize("text", ["conv,n2,c4-6,x9x8,k3x2,s2,p1,g2", "conv_transpose,n2,c4-6,x5x4,k3x2,s2,p1,op1,last"])
def test_torch_s_checks_of_an_operator(text: str) -> None:
    """Schema, fake tensors, autograd registration, and the trace with symbolic sizes."""
    given = leaves(integers(Problem.parse(text)))
    key = [(a.shape, a.dtype, a.device) for a in given[:2]]
    spec = Problem.parse(text).spec
    transposed = isinstance(spec, trous.ConvTranspose)
    arguments = (spec.stride, spec.padding, getattr(spec, "output_padding", 0), spec.dilation, spec.groups, None)
    geometry = check(*key, None, transposed, *arguments).geometry
    torch.library.opcheck(torch.ops.trous.run.default, (given.x, given.w, None, *geometry))
    pair = (given.dy, given.x) if transposed else (given.x, given.dy)
    shared = geometry.stride, geometry.before, geometry.dilation, geometry.groups
    torch.library.opcheck(torch.ops.trous.weight_grad.default, (*pair, given.w.shape[2:], *shared))


class Mirrored(torch.nn.Sequential):
    """Layers, the last of which returns to the size of the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *others, last = self
        y = x
        for layer in others:
            y = layer(y)
        return last(y, output_size=x.shape[2:])


def layers() -> torch.nn.Module:
    return Mirrored(
        trous.nn.Conv2d(3, 8, 3, 2, "same"),
        torch.nn.ReLU(),
        trous.nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect", groups=8),
        trous.nn.ConvTranspose2d(8, 3, 3, 2, 1, padding_mode="circular"),
    )


def step(function: Any, x: torch.Tensor, model: torch.nn.Module) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    y = function(x)
    return [y, *torch.autograd.grad(y.square().sum(), (x, *model.parameters()))]


def test_compile_in_one_graph_for_every_size() -> None:
    model = layers()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for shape in ((2, 3, 16, 18), (5, 3, 32, 10), (4, 3, 9, 21)):
            x = torch.rand(shape)
            torch.testing.assert_close(step(compiled, x, model), step(model, x, model))
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor's own imports
def test_compile_by_inductor() -> None:
    """Nothing but the operators, so that inductor has no C++ to compile, which takes it half a minute."""
    model = torch.nn.Sequential(
        trous.nn.Conv2d(3, 8, 3, 2, bias=False), trous.nn.ConvTranspose2d(8, 3, 4, 2, bias=False)
    )
    x = torch.rand(2, 3, 16, 18).to(memory_format=torch.channels_last)
    torch.testing.assert_close(step(torch.compile(model, fullgraph=True), x, model), step(model, x, model))
    torch.compiler.reset()


def test_export_with_any_batch_and_width() -> None:
    model, x = torch.nn.Sequential(*layers()).eval(), torch.rand(2, 3, 16, 18)
    dynamic = {0: torch.export.Dim("batch", min=1, max=64), 3: torch.export.Dim("width", min=8, max=512)}
    program = torch.export.export(model, (x,), dynamic_shapes=(dynamic,))
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "trous.run.default" in targets
    for shape in ((2, 3, 16, 18), (7, 3, 16, 40)):
        x = torch.rand(shape)
        torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("to", [torch.bfloat16, torch.float16])
def test_autocast_does_what_torch_s_convolution_does(dtype: torch.dtype, to: torch.dtype) -> None:
    x, w, bias = (torch.rand(s, dtype=dtype, requires_grad=True) for s in ((2, 3, 9), (4, 3, 3), (4,)))
    with torch.autocast("cpu", to):
        ours, theirs = trous.conv(x, w, bias), torch.nn.functional.conv1d(x, w, bias)
    assert ours.dtype == theirs.dtype == (torch.float64 if dtype == torch.float64 else to)
    torch.testing.assert_close(ours, theirs)
    grads = torch.autograd.grad(ours, (x, w, bias), torch.ones_like(ours))
    assert {grad.dtype for grad in grads} == {dtype}
    with torch.autocast("cpu", to):
        assert trous.conv(x.float(), w.to(torch.float16), bias.to(torch.bfloat16)).dtype == to
        with torch.autocast("cpu", enabled=False):
            assert trous.conv(x, w, bias).dtype == dtype


def test_autocast_leaves_a_mix_with_float64_to_the_error() -> None:
    with torch.autocast("cpu"), pytest.raises(trous.TrousError, match="w must have the dtype of x, float64"):
        trous.conv(torch.rand(1, 1, 5, dtype=torch.float64), torch.rand(1, 1, 3))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # forward mode's own imports
def test_forward_mode_and_forward_over_reverse() -> None:
    x, w, bias = torch.rand(2, 3, 9), torch.rand(4, 3, 3), torch.rand(4)
    directions = tuple(torch.rand_like(a) for a in (x, w, bias))
    functions = trous.functional.conv1d, torch.nn.functional.conv1d
    ours, theirs = (torch.func.jvp(f, (x, w, bias), directions) for f in functions)
    torch.testing.assert_close(ours, theirs)

    def product(function: Any) -> list[Any]:
        """The Hessian of a scalar times a direction: the tangent of its gradient."""
        with forward_ad.dual_level():
            duals = [
                forward_ad.make_dual(a.clone().requires_grad_(), d)
                for a, d in zip((x, w), directions[:2], strict=False)
            ]
            gradients = torch.autograd.grad(function(*duals).pow(3).sum(), duals)
            return [forward_ad.unpack_dual(g).tangent for g in gradients]

    torch.testing.assert_close(product(functions[0]), product(functions[1]))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
def test_torch_func(name: str) -> None:
    """Gradients of each sample, layers side by side, Hessians."""
    x, w, bias = torch.rand(5, 4, 7).double(), torch.rand(4, 2, 3).double(), torch.rand(4).double()
    many = torch.rand(5, 4, 2, 3).double()

    def results(module: Any) -> list[Any]:
        def layer(x: Any, w: Any, bias: Any = None) -> Any:
            return getattr(module, name)(x, w, bias, stride=2, groups=2)

        def loss(w: Any, x: Any) -> Any:
            return layer(x, w, bias).pow(3).sum()

        return [
            torch.func.vmap(layer, (0, None, None))(x[:, None], w, bias),
            torch.func.vmap(layer, (None, 0, None))(x, many, bias),
            torch.func.vmap(layer, (1, 0))(x[:, None].expand(-1, 5, -1, -1), many),
            torch.func.vmap(torch.func.grad(loss), (None, 0))(w, x),
            torch.func.vmap(torch.func.grad(loss), (0, 0))(many, x),
            torch.func.hessian(loss)(w, x[0]),
        ]

    torch.testing.assert_close(results(trous.functional), results(torch.nn.functional))


def test_vmap_over_none() -> None:
    assert torch.func.vmap(lambda x: trous.conv(x, torch.ones(4, 2, 3)))(torch.ones(0, 5, 2, 9)).shape == (0, 5, 4, 7)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_tracing_is_refused_in_words() -> None:
    """It would write the sizes of its example into the graph."""
    with pytest.raises(trous.TrousError, match=r"x must not come from torch\.jit\.trace: use torch\.export"):
        torch.jit.trace(trous.nn.Conv1d(2, 3, 3), torch.rand(1, 2, 9))


def test_inference_mode_and_no_grad() -> None:
    x, w = torch.rand(1, 2, 5), torch.rand(3, 2, 3, requires_grad=True)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            assert not trous.conv(x, w).requires_grad
    assert trous.conv(x, w).requires_grad
