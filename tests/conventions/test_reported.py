"""What users of the frameworks trip over, each layer in all five: the same numbers, by advice where one needs it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compare import assert_identical
from conventions.running import arrays, assert_same, by_hand, definition, run
from trous import Conv, ConvTranspose, TrousError
from trous.conventions import (
    FRAMEWORKS,
    Operator,
    from_flax,
    from_jax,
    from_keras,
    from_pytorch,
    to_keras,
    to_onnx,
    to_pytorch,
)
from trous.problem import Problem

LAYERS = [
    Problem.parse(line.split("#")[0].strip())
    for line in """
    conv,c2-3,x9x8,k3x3,s2,p0:1x0:1                 # "same" of TensorFlow at an even size, which torch has not
    conv,c2-3,x9x8,k4x4,s2,psame                    # ours, at any size
    conv,c2-3,x12,k3,d4,pcausal                     # causal
    conv,c2-3,x12,k2,s5,pcausal                     # causal with inputs that nobody reads
    conv,c1-1,x50x50,k3x5,s2x1,p4x2,d3x1            # stride beside dilation
    conv_transpose,c2-3,x5x6,k4x4,s2,psame          # "same" for a transposed layer
    conv_transpose,c16-2,x16x16,k3x3,s2,p0:1x0:1    # which Keras on torch once shifted by one
    conv_transpose,c16-2,x16x16,k3x3,s2,p1,op1      # and torch's usual layer, which is the shifted one
    conv_transpose,c1-2,x7,k4,p1:2                  # as many outputs as inputs under an even kernel
    conv_transpose,c1-2,x9x9,k3x3,s2,p0:2x2:1       # the mirror of an encoder that pads unevenly
    conv_transpose,c1-3,x9x9,k2x2,p3,op1,d2         # output_padding that only the dilation allows
    conv_transpose,c1-1,x1x4x4,k1x4x4,s1x4x4,p0x2x2 # 1x12x12 outputs
    conv_transpose,c1-1,x4x6,k16x16,s8,p4x8,op0x1   # a size that no word of Keras reaches
    conv_transpose,c4-6,x7,k5,s3,d2,p2,g2           # groups, stride and dilation
    """.strip().splitlines()
]


@pytest.mark.parametrize("problem", LAYERS, ids=str)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_layer_in_all_frameworks(framework: str, problem: Problem, rng: np.random.Generator) -> None:
    x, w = arrays(problem, rng)
    if framework == "onnx" and "p3,op1,d2" in str(problem):
        assert to_onnx(problem.spec).attributes["output_padding"] == [0, 0]  # or the runtime would refuse it
    assert_same(by_hand(framework, problem.spec, x, w), problem, x, w)


def test_same_of_keras_is_not_torch_s_usual_layer(rng: np.random.Generator) -> None:
    """Both double the size; torch's outputs are those of Keras moved by one, so a shape tells nothing."""
    theirs = from_keras("Conv2DTranspose", {"kernel_size": 3, "strides": 2, "padding": "same"})
    usual = from_pytorch("ConvTranspose2d", {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1})
    assert theirs == ConvTranspose((3, 3), 2, ((0, 1), (0, 1)))
    here, there = (Problem(spec, 4, 16, 2, (16, 16)) for spec in (theirs, usual))
    assert here.output_shape == there.output_shape
    x, w = arrays(here, rng)
    moved = definition(there, x, w)
    assert not np.array_equal(definition(here, x, w), moved)
    assert_identical(definition(here, x, w)[:, :, 1:, 1:], moved[:, :, :-1, :-1])


def test_one_in_jax_and_one_in_torch() -> None:
    """An integer pads the spread input in JAX and Flax and crops the output in torch: 1 is 1 under a kernel of 3 and
    nowhere else. With use_consistent_padding JAX means what torch means."""
    for kernel, crop in ((3, 1), (4, 2), (5, 3)):
        spec = from_flax("ConvTranspose", {"kernel_size": (kernel,), "strides": (2,), "padding": 1})
        assert spec == ConvTranspose((kernel,), 2, crop)
        consistent = {"strides": (2,), "padding": ((1, 1),), "use_consistent_padding": True}
        assert from_jax("conv_transpose", consistent, kernel=kernel) == ConvTranspose((kernel,), 2, 1)


def test_a_size_out_of_keras_reach() -> None:
    """46x62 to 368x489 at stride 8: torch says it, Keras has neither word nor output_padding for it."""
    spec = ConvTranspose(16, 8, (4, 8), (0, 1))
    assert spec.output_size((46, 62)) == (368, 489)
    assert to_pytorch(spec).attributes["output_padding"] == (0, 1)
    with pytest.raises(TrousError, match=r'use padding "valid", output_padding \(0, 0\) and crop the output by \(\(4'):
        to_keras(spec)


def test_same_as_many_outputs_under_an_even_kernel() -> None:
    """torch asks for output_padding 1 at stride 1 and forbids it; so do we, and say how else."""
    with pytest.raises(ValueError, match="output_padding must be smaller than stride"):
        ConvTranspose(4, padding=2, output_padding=1)
    spec = ConvTranspose(4, padding=((1, 2),))
    assert spec.output_size(7) == 7
    with pytest.raises(
        TrousError, match=r"use padding \(1,\), output_padding \(0,\) and crop the output by \(\(0, 1\),"
    ):
        to_pytorch(spec)


def test_what_a_backend_forgot_to_refuse() -> None:
    with pytest.raises(TrousError, match=r"output_padding must stay below stride or dilation, \(1, 1\)"):
        from_pytorch("ConvTranspose2d", {"kernel_size": 3, "stride": 1, "output_padding": 2})


def test_a_stem_of_tensorflow_in_torch(rng: np.random.Generator) -> None:
    """k3 s2 "same" at 224: torch pads behind only, and its usual padding 1 is another layer."""
    same = {"kernel_size": 3, "strides": 2, "padding": "same"}
    spec = from_keras("Conv2D", same, size=224)
    with pytest.raises(TrousError, match=r"torch.nn.functional.pad\(x, \(0, 1, 0, 1\)\)"):
        to_pytorch(spec, size=224)
    small = Problem(spec, 1, 3, 4, (8, 8))
    x, w = arrays(small, rng)
    keras = run("keras", Operator("Conv2D", same), x, w, spec)
    padded = torch.nn.functional.pad(torch.from_numpy(x), (0, 1, 0, 1))
    assert_identical(torch.conv2d(padded, torch.from_numpy(w), stride=2).numpy(), keras)


def test_every_encoder_has_a_mirror() -> None:
    """The transposed layer of the same numbers, whatever they are: torch says it with what the error advises."""
    for before, after in ((0, 1), (1, 0), (2, 0), (1, 2)):
        encoder, decoder = Conv(4, 2, ((before, after),)), ConvTranspose(4, 2, ((before, after),))
        assert decoder.plan() == encoder.plan().adjoint()
        x, w = np.ones((1, 1, 6), np.float32), np.arange(4, dtype=np.float32).reshape(1, 1, 4)
        assert_same(by_hand("pytorch", decoder, x, w), Problem(decoder, 1, 1, 1, (6,)), x, w)
