"""The frameworks at hand, asked for a layer by what `to_<framework>` says, and the definition to compare them with.

Where a framework cannot say a spec, `follow` does around the layer what the error advises, and nothing else.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from ast import literal_eval
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from compare import assert_identical
from problems import operation
from trous import Conv, ConvTranspose, TrousError, conventions
from trous.backends import loops
from trous.conventions import Operator
from trous.problem import Problem, random_problems

KINDS = ("conv", "conv_transpose")

#: How many random problems of a kind: some in every run, all that the documentation speaks of in the slow tests.
SOME = [40, pytest.param(1000, marks=pytest.mark.slow)]
MORE = [100, pytest.param(1000, marks=pytest.mark.slow)]
MANY = [250, pytest.param(1000, marks=pytest.mark.slow)]


os.environ.setdefault("KERAS_BACKEND", "torch")

_runs = count()


@cache
def library(name: str) -> ModuleType:
    """A module of a framework, imported when first asked for, whatever it warns of meanwhile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


def cases(kind: str, number: int, seed: int) -> Iterator[Problem]:
    """Random problems with a batch that is not empty, which no contract is about."""
    for problem in random_problems(seed, number, kinds=(kind,), most_work=5_000):
        yield replace(problem, batch=max(problem.batch, 1), bias=False)


def arrays(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Input and weight of integers from 1 to 4, whose sums are exact in float32."""
    shapes = problem.input_shape, problem.weight_shape
    x, w = (rng.integers(1, 5, shape).astype(np.float32) for shape in shapes)
    return x, w


def definition(problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    y = np.full(problem.output_shape, np.nan, np.float32)
    loops.forward(operation(problem), x, w, None, y)
    return y


def assert_same(got: np.ndarray, problem: Problem, x: np.ndarray, w: np.ndarray, what: object = "") -> None:
    assert_identical(got, definition(problem, x, w), f"{problem} {what}", zeros=True)


def spell(framework: str, problem: Problem, *, sized: bool = True) -> Operator:
    to = getattr(conventions, f"to_{framework}")
    return to(problem.spec, problem.ndim, problem.size if sized else None)


def read(framework: str, operator: Operator, problem: Problem, *, sized: bool = True) -> Any:
    """The spec that comes back: what the attributes do not say is told."""
    told: dict[str, Any] = {"size": problem.size if sized else None}
    if framework == "jax":
        told["kernel"] = problem.spec.kernel
    if framework in ("jax", "flax"):
        told["transposed"] = problem.kind == "conv_transpose"
    return getattr(conventions, f"from_{framework}")(*operator, **told)


def assert_round_trip(framework: str, problem: Problem) -> bool:
    """Whether the framework can say the spec at every size; what comes back then has the same plan. With the size it
    can say no less, and what comes back does the same at that size."""
    here, plan = spell_or_none(framework, problem, sized=True), problem.spec.plan(problem.ndim)
    everywhere = spell_or_none(framework, problem, sized=False)
    if everywhere is not None:
        back = read(framework, everywhere, problem, sized="same" not in everywhere.attributes.values())
        assert (type(back), back.groups, back.plan()) == (type(problem.spec), problem.spec.groups, plan), problem
    assert here is not None or everywhere is None, problem
    if here is not None:
        back = read(framework, here, problem)
        assert (type(back), back.groups) == (type(problem.spec), problem.spec.groups), problem
        assert [axis.taps for axis in back.plan().axes] == [axis.taps for axis in plan.axes], problem
        assert back.output_size(problem.size) == problem.output_size, problem
    return everywhere is not None


def spell_or_none(framework: str, problem: Problem, *, sized: bool) -> Operator | None:
    try:
        return spell(framework, problem, sized=sized)
    except TrousError:
        return None


def run(framework: str, operator: Operator, x: np.ndarray, w: np.ndarray, spec: Conv | ConvTranspose) -> np.ndarray:
    """What the framework makes of channels-first arrays with our weight."""
    if next(_runs) % 200 == 199 and "jax" in sys.modules:
        library("jax").clear_caches()  # or the code of all of them stays, until the system maps no more
    weight = getattr(conventions, f"weight_to_{framework}")(w, spec)
    return RUN[framework](operator, x, weight, w.shape[1] * spec.groups if isinstance(spec, ConvTranspose) else len(w))


def _pytorch(operator: Operator, x: np.ndarray, weight: np.ndarray, out_channels: int) -> np.ndarray:
    kind = "conv_transpose" if "Transpose" in operator.name else "conv"
    function = getattr(torch.nn.functional, f"{kind}{operator.name[-2:]}")
    arguments = {name: value for name, value in operator.attributes.items() if name != "kernel_size"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        # In float64, for which torch makes no code anew at each shape.
        y = function(torch.from_numpy(x).double(), torch.from_numpy(weight).double(), **arguments)
    return y.float().numpy()


def _onnx(operator: Operator, x: np.ndarray, weight: np.ndarray, out_channels: int) -> np.ndarray:
    onnxruntime, helper, numpy_helper = map(library, ("onnxruntime", "onnx.helper", "onnx.numpy_helper"))
    node = helper.make_node(operator.name, ["x", "w"], ["y"], **operator.attributes)
    ends = helper.make_tensor_value_info("x", 1, x.shape), helper.make_tensor_value_info("y", 1, None)
    graph = helper.make_graph([node], "layer", [ends[0]], [ends[1]], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _jax(operator: Operator, x: np.ndarray, weight: np.ndarray, out_channels: int) -> np.ndarray:
    return _first(getattr(library("jax.lax"), operator.name)(_last(x), weight, **operator.attributes))


def _flax(operator: Operator, x: np.ndarray, weight: np.ndarray, out_channels: int) -> np.ndarray:
    layer = getattr(library("flax.linen"), operator.name)(out_channels, use_bias=False, **operator.attributes)
    apply = library("jax").jit(layer.apply)  # compiled once, not operator by operator
    return _first(apply({"params": {"kernel": weight}}, _last(x)))


def _keras(operator: Operator, x: np.ndarray, weight: np.ndarray, out_channels: int) -> np.ndarray:
    keras = library("keras")
    kind = getattr(keras.layers, operator.name)
    layer = kind(out_channels, use_bias=False, kernel_initializer="zeros", **operator.attributes)
    layer.build(_last(x).shape)
    layer.set_weights([weight])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy, at what Keras does with torch
        return _first(keras.ops.convert_to_numpy(layer(_last(x))))


RUN = {"pytorch": _pytorch, "onnx": _onnx, "jax": _jax, "flax": _flax, "keras": _keras}


def _last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def _first(x: Any) -> np.ndarray:
    return np.moveaxis(np.asarray(x), -1, 1)


def sweep(framework: str, problems: Iterator[Problem], rng: np.random.Generator, refused: Any = None) -> Counter[str]:
    """Run every problem, through the advice where the framework cannot say it, and count which way each went.

    `refused(problem, operator)` says where the runtime at hand is known to refuse what its attributes say: there it
    must, and nowhere else.
    """
    ways: Counter[str] = Counter()
    for problem in problems:
        x, w = arrays(problem, rng)
        assert_round_trip(framework, problem)
        try:
            operator = spell(framework, problem)
        except TrousError as error:
            assert_same(follow(framework, error, problem, x, w), problem, x, w, error)
            ways[f"advice: {error.argument}"] += 1
            continue
        if refused is not None and refused(problem, operator):
            with pytest.raises(Exception, match=refused.message):
                run(framework, operator, x, w, problem.spec)
            ways["refused"] += 1
            continue
        assert_same(run(framework, operator, x, w, problem.spec), problem, x, w, operator)
        ways["said"] += 1
    return ways


def follow(framework: str, error: TrousError, problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The result by what the error's text advises."""
    said, spec = str(error), problem.spec
    if error.argument == "groups":
        assert "use one layer for each group and concatenate the outputs" in said
        alone, groups = replace(spec, groups=1), spec.groups
        parts = zip(np.split(x, groups, 1), np.split(w, groups, 0), strict=True)
        return np.concatenate([by_hand(framework, alone, *part) for part in parts], 1)
    if error.argument == "stride":
        return _at_stride_1(framework, said, problem, x, w)
    pairs = literal_eval(re.search(r"by (\(\(.*?\),?\))", said)[1])
    if isinstance(spec, Conv):
        assert f"pad the input by {pairs} first" in said
        return by_hand(framework, replace(spec, padding=0), resize(x, pairs), w)
    words = re.search(r'use padding ("valid"|\(.*?\)), output_padding (\(.*?\)) and crop the output by', said)
    attributes = {"padding": literal_eval(words[1]), "output_padding": literal_eval(words[2])}
    name, attributes = _nearest(framework, spec, problem.ndim, attributes)
    return resize(run(framework, Operator(name, attributes), x, w, spec), [(-b, -a) for b, a in pairs])


def by_hand(framework: str, spec: Conv | ConvTranspose, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The spec at the size of `x`, by advice where it takes some."""
    channels = (len(w), w.shape[1] * spec.groups)[:: 1 if isinstance(spec, ConvTranspose) else -1]
    problem = Problem(spec, len(x), *channels, x.shape[2:])
    try:
        operator = spell(framework, problem)
    except TrousError as error:
        return follow(framework, error, problem, x, w)
    return run(framework, operator, x, w, spec)


def _nearest(framework: str, spec: Any, ndim: int, attributes: dict[str, Any]) -> Operator:
    """The layer without padding, which every framework can say, with these attributes instead."""
    plain = replace(spec, padding=0, output_padding=0)
    name, start = getattr(conventions, f"to_{framework}")(plain, ndim)
    return Operator(name, start | attributes)


def _at_stride_1(framework: str, said: str, problem: Problem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Keras, where a stride stands beside a dilation."""
    spec = problem.spec
    axes = [spec.axis_arguments(axis) for axis in range(problem.ndim)]
    strides = tuple(a["stride"] for a in axes)
    if isinstance(spec, Conv):
        assert f"use stride 1, padded as here, and keep every output whose index {strides} divides" in said
        padded = resize(x, [spec.axis_padding(axis) for axis in range(problem.ndim)])
        whole = by_hand(framework, replace(spec, stride=1, padding=0), padded, w)
        return whole[(..., *(slice(None, None, s) for s in strides))]
    zeros = literal_eval(re.search(r"put (\(.*?\)) zeros between the inputs and use stride 1", said)[1])
    spread = np.zeros(
        (*x.shape[:2], *((n - 1) * (z + 1) + 1 for n, z in zip(x.shape[2:], zeros, strict=True))), x.dtype
    )
    spread[(..., *(slice(None, None, z + 1) for z in zeros))] = x
    whole = by_hand(framework, replace(spec, stride=1, padding=0, output_padding=0), spread, w)
    crops = [(b, a - extra) for b, a, extra in (spec.axis_padding(axis) for axis in range(problem.ndim))]
    return resize(whole, [(-b, -a) for b, a in crops])


def resize(x: np.ndarray, pairs: Any) -> np.ndarray:
    """Zeros around the axes of positions; a negative number crops."""
    grown = np.pad(x, [(0, 0), (0, 0), *((max(b, 0), max(a, 0)) for b, a in pairs)])
    cuts = (slice(max(-b, 0), n - max(-a, 0)) for (b, a), n in zip(pairs, grown.shape[2:], strict=True))
    return grown[(slice(None), slice(None), *cuts)]
