"""JAX and Flax run what we write, and we read what they run: pairs, words, both meanings of padding, both kernels."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from compare import assert_identical
from conventions.running import KINDS, SOME, arrays, assert_round_trip, assert_same, cases, library, run, sweep
from trous import Conv, ConvTranspose, TrousError, conventions
from trous.conventions import Operator, from_flax, from_jax, to_flax, to_jax, weight_from_jax, weight_to_jax
from trous.problem import Problem


@pytest.mark.parametrize("count", SOME)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", ["jax", "flax"])
def test_random_specs(framework: str, kind: str, count: int, seed: int, rng: np.random.Generator) -> None:
    """Every spec can be said, and XLA on a CPU refuses none; those that may end the process are only read back."""
    problems = list(cases(kind, count, seed % 7))
    runnable = [problem for problem in problems if not may_abort(problem)]
    assert sweep(framework, iter(runnable), rng) == {"said": len(runnable)}
    for problem in problems:
        assert assert_round_trip(framework, problem)
    assert len(runnable) == count if kind == "conv" else 0.7 * count < len(runnable) < count


def may_abort(problem: Problem) -> bool:
    """Whether XLA may fail a check of its own and abort: a transposed layer of several axes, one of which has a stride
    and no padding in JAX's sense. Most of these run; which do not, we could not tell more closely."""
    if problem.kind == "conv" or problem.spec.groups > 1 or problem.ndim == 1:
        return False
    attributes = to_jax(problem.spec, problem.ndim).attributes
    axes = zip(attributes["strides"], attributes["padding"], strict=True)
    return any(stride > 1 and max(pair) <= 0 for stride, pair in axes)


@pytest.mark.slow
def test_xla_still_aborts() -> None:
    """In a process of its own. Once this fails, nothing need be left out above."""
    problem = Problem.parse("conv_transpose,n2,c1-3,x1x10,k3x2,s7x2,p2x1,op2x0")
    assert may_abort(problem)
    attributes = to_jax(problem.spec, 2).attributes
    code = "import numpy as np, jax\nx, w = np.ones((2, 1, 10, 1), 'f'), np.ones((3, 2, 1, 3), 'f')\n"
    code += f"jax.lax.conv_transpose(x, w, **{attributes!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGABRT
    assert "Window dimensions do not match RHS shape" in done.stderr


def draw(framework: str, rng: np.random.Generator) -> tuple[str, dict[str, Any], tuple[int, ...], tuple[int, ...]]:
    """An operator with words or numbers of its own: name, attributes, kernel, size."""
    ndim = int(rng.integers(1, 4))

    def numbers(least: int, most: int) -> tuple[int, ...]:
        return tuple(rng.integers(least, most + 1, ndim).tolist())

    kernel, stride, dilation, size = numbers(1, 4), numbers(1, 3), numbers(1, 2), numbers(4, 7)
    transposed = rng.random() < 0.6
    words = ["SAME", "VALID", *([] if transposed else ["SAME_LOWER"])]
    padding = words[rng.integers(len(words))]
    if rng.random() < 0.5:
        padding = tuple(zip(numbers(0, 3), numbers(0, 3), strict=True))
    attributes: dict[str, Any] = {"padding": padding}
    if framework == "flax":
        attributes |= {"kernel_size": kernel, "strides": stride, "kernel_dilation": dilation}
        if not transposed and ndim == 1 and rng.random() < 0.5:
            attributes["padding"] = "CAUSAL"
        return "ConvTranspose" if transposed else "Conv", attributes, kernel, size
    axes = "DHW"[-ndim:]
    attributes |= {"rhs_dilation": dilation, "dimension_numbers": (f"N{axes}C", f"{axes}IO", f"N{axes}C")}
    if transposed:
        consistent = bool(rng.integers(2))
        return "conv_transpose", attributes | {"strides": stride, "use_consistent_padding": consistent}, kernel, size
    return "conv_general_dilated", attributes | {"window_strides": stride}, kernel, size


@pytest.mark.parametrize("count", SOME)
@pytest.mark.parametrize("framework", ["jax", "flax"])
def test_words_and_numbers_of_their_own(framework: str, count: int, rng: np.random.Generator) -> None:
    compared, unlike = 0, 0
    while compared < count:
        name, attributes, kernel, size = draw(framework, rng)
        told = {} if framework == "flax" else {"kernel": kernel}
        try:
            spec = getattr(conventions, f"from_{framework}")(name, attributes, size=size, **told)
            problem = Problem(spec, 1, 2, 3, size)
            assert problem.output_shape
        except TrousError as error:  # outputs before the first, beyond output_padding, or none at all
            assert error.argument in ("padding", "output_padding", "kernel")
            unlike += 1
            continue
        if may_abort(problem):
            continue
        x, w = arrays(problem, rng)
        assert_same(run(framework, Operator(name, attributes), x, w, spec), problem, x, w, attributes)
        compared += 1
    assert unlike < count


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_transposed_kernel(ndim: int, rng: np.random.Generator) -> None:
    """`transpose_kernel=True` takes the weight of the convolution, as Keras does; the numbers are the same."""
    problem = Problem(ConvTranspose((3,) * ndim, stride=2, padding=1), 1, 2, 3, (4,) * ndim)
    x, w = arrays(problem, rng)
    name, attributes = to_jax(problem.spec)
    for transpose_kernel in (False, True):
        weight = weight_to_jax(w, problem.spec, transpose_kernel=transpose_kernel)
        assert weight.shape == (3,) * ndim + ((3, 2) if transpose_kernel else (2, 3))
        y = getattr(library("jax.lax"), name)(
            np.moveaxis(x, 1, -1), weight, **attributes, transpose_kernel=transpose_kernel
        )
        assert_same(np.moveaxis(np.asarray(y), -1, 1), problem, x, w)
        assert_identical(weight_from_jax(weight, problem.spec, transpose_kernel=transpose_kernel), w)


@pytest.mark.parametrize(
    "spec",
    [Conv((3, 2), 2, ((1, 2), (0, 1)), 1, 2), ConvTranspose((3, 4), (2, 1), 1), ConvTranspose(3, 2, 1, groups=2)],
)
def test_the_other_flax(spec: Conv | ConvTranspose, rng: np.random.Generator) -> None:
    """nnx takes the attributes of linen."""
    nnx = library("flax.nnx")
    problem = Problem(spec, 2, 4, 6, (6, 5))
    x, w = arrays(problem, rng)
    name, attributes = to_flax(spec, 2)
    layer = getattr(nnx, name)(4, 6, use_bias=False, rngs=nnx.Rngs(0), **attributes)
    weight = conventions.weight_to_flax(w, spec)
    assert layer.kernel.shape == weight.shape
    layer.kernel[...] = weight
    assert_same(np.moveaxis(np.asarray(layer(np.moveaxis(x, 1, -1))), -1, 1), problem, x, w)


def test_a_stride_of_one_may_be_either() -> None:
    """With groups a transposed layer is a convolution of a spread input; spread by 1 nothing tells them apart."""
    spec = ConvTranspose(4, padding=1, groups=2)
    operator = to_jax(spec, 1)
    assert operator.name == "conv_general_dilated"
    assert from_jax(*operator, kernel=4, transposed=True).plan() == spec.plan()
    assert from_jax(*operator, kernel=4) == Conv((4,), padding=2, groups=2)
    assert from_flax(*to_flax(spec, 1), transposed=True).plan() == spec.plan()


def test_causal_above_its_window_crops() -> None:
    """JAX has negative padding, so it can say the one convolution that no numbers of ours can."""
    spec = Conv(2, stride=5, padding="causal")
    assert to_jax(spec, 1).attributes["padding"] == ((-3, 4),)
    assert from_jax(*to_jax(spec, 1), kernel=2) == Conv((2,), stride=5, padding="causal")


GENERAL, TRANSPOSE = "conv_general_dilated", "conv_transpose"


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("conv", {}, "name must be one of conv_general_dilated, conv_transpose"),
        (GENERAL, {"window_strides": (1,)}, "attributes of conv_general_dilated must have padding"),
        (
            GENERAL,
            {"window_strides": (1,), "padding": "SAME", "stride": 1},
            "attributes of conv_general_dilated must be",
        ),
        (GENERAL, {"window_strides": (2,), "padding": "SAME"}, 'size must be given: how much "same" pads at stride 2'),
        (GENERAL, {"window_strides": (1,), "padding": "FULL"}, "padding must be SAME, SAME_LOWER, VALID or pairs"),
        (GENERAL, {"window_strides": (1,), "padding": ((-1, 0),)}, r"crop the input by \(\(1, 0\),\) first and pad"),
        (
            GENERAL,
            {"window_strides": (1,), "padding": ((1, 2, 3),)},
            r"padding must be an integer or a \(before, after",
        ),
        (
            GENERAL,
            {"window_strides": (1,), "padding": ((0, 0), (0, 0))},
            "padding must have one entry for each of 1 axes",
        ),
        (
            GENERAL,
            {"window_strides": (2,), "padding": ((0, 0),), "lhs_dilation": (2,)},
            "lhs_dilation must be 1 beside",
        ),
        (
            GENERAL,
            {"window_strides": (1,), "padding": "SAME", "lhs_dilation": (2,)},
            "padding must be pairs beside lhs",
        ),
        (GENERAL, {"window_strides": (1,), "padding": "SAME", "batch_group_count": 2}, "batch_group_count must be 1"),
        (TRANSPOSE, {"strides": (1,), "padding": "same"}, "padding must be SAME, VALID or pairs"),
        (TRANSPOSE, {"strides": (1,), "padding": ((3, 0),)}, r"crop 0 there and put \(1,\) outputs that hold the bias"),
        (TRANSPOSE, {"strides": (2,), "padding": ((0, 4),)}, r"output_padding must stay below .* append the outputs"),
        (
            TRANSPOSE,
            {"strides": (1,), "padding": "SAME", "feature_group_count": 2},
            "attributes of conv_transpose must",
        ),
    ],
)
def test_what_is_no_layer(name: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        from_jax(name, attributes, kernel=(3,))


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("Dense", {}, "name must be one of Conv, ConvTranspose"),
        ("Conv", {"kernel_size": (3,), "padding": "CIRCULAR"}, 'jax.numpy.pad, mode "wrap", first'),
        ("Conv", {"kernel_size": (3, 3), "padding": "CAUSAL"}, "padding must not be CAUSAL with more than one axis"),
        ("Conv", {"kernel_size": (3,), "stride": 2}, "attributes of Conv must be among kernel_size, strides"),
        ("ConvTranspose", {"kernel_size": (3,), "feature_group_count": 2}, "attributes of ConvTranspose must be among"),
    ],
)
def test_what_is_no_module(name: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        from_flax(name, attributes)


def test_the_kernel_has_to_be_given() -> None:
    with pytest.raises(TrousError, match="kernel must be given"):
        from_jax(TRANSPOSE, {"strides": (1,), "padding": "SAME"})
