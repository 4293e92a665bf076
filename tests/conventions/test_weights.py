"""Weights there and back, each layout as its framework has it, and shapes that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import assert_identical
from conventions.running import KINDS, cases
from trous import Conv, ConvTranspose, TrousError, conventions
from trous.conventions import FRAMEWORKS, weight_from_jax, weight_from_keras, weight_to_jax, weight_to_keras


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_there_and_back(framework: str, kind: str, seed: int, rng: np.random.Generator) -> None:
    to, back = (getattr(conventions, f"weight_{way}_{framework}") for way in ("to", "from"))
    compared = 0
    for problem in cases(kind, 100, seed):
        w = rng.standard_normal(problem.weight_shape).astype(np.float32)
        if framework == "keras" and kind == "conv_transpose" and problem.spec.groups > 1:
            with pytest.raises(TrousError, match="groups must be 1 for a transposed layer in Keras"):
                to(w, problem.spec)
            continue
        weight = to(w, problem.spec)
        assert weight.flags.c_contiguous and weight.size == w.size
        assert_identical(back(weight, problem.spec), w)
        compared += 1
    assert compared > 50


def test_layouts() -> None:
    """By one number each: output channel 5 of 6, input channel 1 of 4, kernel index (0, 2) of (2, 3)."""
    conv, transposed = np.zeros((6, 4, 2, 3)), np.zeros((4, 6, 2, 3))
    conv[5, 1, 0, 2] = transposed[1, 5, 0, 2] = 1
    spec, transpose = Conv((2, 3)), ConvTranspose((2, 3))
    assert weight_to_keras(conv, spec)[0, 2, 1, 5] == 1
    assert weight_to_keras(transposed, transpose)[0, 2, 5, 1] == 1
    assert weight_to_jax(conv, spec)[0, 2, 1, 5] == 1
    assert weight_to_jax(transposed, transpose)[1, 0, 1, 5] == 1  # turned round
    assert weight_to_jax(transposed, transpose, transpose_kernel=True)[0, 2, 5, 1] == 1


def test_a_plain_weight_is_not_copied() -> None:
    w = np.zeros((4, 2, 3), np.float16)
    assert conventions.weight_to_pytorch(w, Conv(3)) is w
    assert conventions.weight_from_onnx(w, ConvTranspose(3)) is w


@pytest.mark.parametrize(
    ("call", "shape", "spec", "message"),
    [
        (weight_to_jax, (4, 2, 3), Conv(5), r"weight must hold a kernel of \(5,\), got \(4, 2, 3\)"),
        (weight_to_jax, (4, 2, 3, 3), Conv((3,)), r"weight must hold a kernel of \(3,\), got"),
        (weight_from_keras, (3, 2, 4), Conv((3, 3)), r"weight must hold a kernel of \(3, 3\), got"),
        (weight_to_keras, (4, 2), Conv(1), r"weight must have two axes of channels and one to three of the kernel"),
        (weight_to_keras, (5, 2, 3), Conv(3, groups=2), r"weight must have channels that groups \(2\) divide"),
        (weight_from_jax, (3, 2, 5), ConvTranspose(3, groups=2), r"weight must have output channels that groups"),
    ],
)
def test_what_is_no_weight(call: Any, shape: tuple[int, ...], spec: Conv | ConvTranspose, message: str) -> None:
    with pytest.raises(TrousError, match=message):
        call(np.zeros(shape), spec)


def test_what_cannot_be_asked() -> None:
    w = np.zeros((4, 2, 3))
    with pytest.raises(TrousError, match=r"transpose_kernel must be False with groups \(2\)"):
        weight_to_jax(w, ConvTranspose(3, groups=2), transpose_kernel=True)
    with pytest.raises(TrousError, match=r"spec must be a trous.Conv or a trous.ConvTranspose, got 3"):
        weight_to_jax(w, 3)  # type: ignore[arg-type]
