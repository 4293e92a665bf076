"""torch's own samples for its convolutions, right and wrong ones, through `trous.functional`."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest
import torch

import trous.functional
from compare import assert_close
from trous import TrousError
from trous.arrays import dtype_name

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch's test machinery warns while it is imported
    op_db = importlib.import_module("torch.testing._internal.common_methods_invocations").op_db

NAMES = [f"conv{kind}{ndim}d" for kind in ("", "_transpose") for ndim in (1, 2, 3)]
INFOS = {info.name.rpartition(".")[2]: info for info in op_db if info.name.removeprefix("nn.functional.") in NAMES}

#: Every dtype that torch lists and trous takes; int64, which torch lists too, is refused with a hint.
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128)

#: Slow: bfloat16 stands for all of sixteen bits, complex128 for complex numbers, which are pairs of real ones.
TWINS = (torch.float16, torch.complex64)


def outcome(function: Any, sample: Any, dtype: torch.dtype) -> list[torch.Tensor]:
    """The output, and the gradients of everything in the sample that takes one, computed in `dtype`."""
    arrays = [sample.input, *(a for a in sample.args if isinstance(a, torch.Tensor))]
    arrays = [a.detach().to(dtype).requires_grad_() for a in arrays]
    y = function(*arrays, **sample.kwargs)
    dy = torch.randn(y.shape, dtype=sample.input.dtype, generator=torch.Generator().manual_seed(1)).to(dtype)
    return [y.detach(), *torch.autograd.grad(y, arrays, dy)]


def parts(tensor: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def test_the_samples_are_there() -> None:
    assert sorted(INFOS) == sorted(NAMES)
    for info in INFOS.values():
        assert set(DTYPES) | {torch.int64} == set(info.dtypes)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # torch, of its own copy
@pytest.mark.parametrize("dtype", [pytest.param(d, marks=[pytest.mark.slow] * (d in TWINS), id=str(d)) for d in DTYPES])
@pytest.mark.parametrize("name", NAMES)
def test_samples(name: str, dtype: torch.dtype) -> None:
    count = 0
    for sample in INFOS[name].sample_inputs("cpu", dtype):
        results = outcome(getattr(trous.functional, name), sample, dtype)
        expected = outcome(
            getattr(torch.nn.functional, name), sample, torch.complex128 if dtype.is_complex else torch.float64
        )
        terms = max(sample.input.numel(), results[0].numel(), sample.args[0].numel())
        for what, got, want in zip(("y", "dx", "dw", "dbias"), results, expected, strict=False):
            got, want = parts(got), parts(want)
            # torch's strided samples leave most inputs without a gradient
            assert_close(got, want, f"{what} of sample {count}", terms=terms, dtype=dtype_name(got), zeros=True)
        count += 1
    assert count >= 8


@pytest.mark.parametrize("name", NAMES[:3])
def test_error_samples(name: str) -> None:
    count = 0
    for error in INFOS[name].error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises(RuntimeError):
            getattr(torch.nn.functional, name)(sample.input, *sample.args, **sample.kwargs)
        with pytest.raises(TrousError):
            getattr(trous.functional, name)(sample.input, *sample.args, **sample.kwargs)
        count += 1
    assert count == 10
