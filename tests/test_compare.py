"""The comparison must fail in every way that it promises to."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from compare import ROUNDING, NothingCompared, assert_close, assert_identical, tolerance

DATA = np.random.default_rng(1).normal(size=(4, 50)).astype(np.float32)


def close(actual, expected, **options):
    assert_close(actual, expected, **{"terms": 9, **options})


both = pytest.mark.parametrize("compare", [assert_identical, close])


def changed(value, data=DATA, at=(2, 3)):
    data = data.copy() if isinstance(data, np.ndarray) else data.clone()
    data[at] = value
    return data


@both
@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy])
def test_accepts_equal_data(compare, library):
    compare(library(DATA), library(DATA.copy()))
    compare(DATA, library(DATA))


@both
@pytest.mark.parametrize("value", [DATA[2, 3] + 0.01, np.nan, np.inf, 0.0])
def test_finds_one_wrong_element(compare, value):
    with pytest.raises(AssertionError, match=r"1 of 200 elements .* first at \(2, 3\)"):
        compare(changed(value), DATA)
    with pytest.raises(AssertionError, match="1 of 200 elements"):
        compare(torch.from_numpy(changed(value)), torch.from_numpy(DATA))


def test_identical_finds_the_last_bit():
    with pytest.raises(AssertionError, match="1 of 200"):
        assert_identical(changed(np.nextafter(DATA[2, 3], np.float32(9))), DATA)
    close(changed(np.nextafter(DATA[2, 3], np.float32(9))), DATA)


def test_identical_finds_the_sign_of_zero():
    with pytest.raises(AssertionError, match="1 of 200"):
        assert_identical(changed(-0.0), changed(0.0))


@both
@pytest.mark.parametrize("shape", [(50, 4), (200,), (4, 50, 1)])
def test_shape_must_agree(compare, shape):
    with pytest.raises(AssertionError, match="shape"):
        compare(DATA.reshape(shape), DATA)


def test_a_shape_that_broadcasts_does_not_agree():
    ones = np.ones((4, 50), np.float32)
    with pytest.raises(AssertionError, match="shape"):
        assert_identical(ones[:1], ones)


@both
def test_dtype_must_agree(compare):
    with pytest.raises(AssertionError, match="dtype"):
        compare(DATA.astype(np.float64), DATA)
    with pytest.raises(AssertionError, match="dtype"):
        compare(torch.from_numpy(DATA).bfloat16(), torch.from_numpy(DATA).half())


def test_a_more_precise_reference_needs_the_dtype_said():
    close(DATA, DATA.astype(np.float64), dtype="float32")
    with pytest.raises(AssertionError, match="dtype"):
        close(DATA, DATA.astype(np.float64))


@both
def test_refuses_empty_data(compare):
    with pytest.raises(NothingCompared, match="empty"):
        compare(DATA[:0], DATA[:0])
    compare(DATA[:0], DATA[:0], empty=True)
    with pytest.raises(AssertionError, match="shape"):
        compare(DATA[:, :0], DATA[:0], empty=True)


@both
def test_refuses_mostly_zeros(compare):
    sparse = np.where(np.arange(200).reshape(4, 50) < 101, np.float32(0), DATA)
    with pytest.raises(NothingCompared, match="zeros"):
        compare(sparse, sparse)
    compare(sparse, sparse, zeros=True)
    with pytest.raises(AssertionError, match="1 of 200"):
        compare(changed(1.0, sparse), sparse, zeros=True)


@both
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_numbers_that_are_not_finite(compare, value):
    with pytest.raises(NothingCompared, match="NaN or Inf"):
        compare(changed(value), changed(value))
    compare(changed(value), changed(value), nonfinite=True)


@both
def test_not_finite_must_be_at_the_same_place_and_of_the_same_kind(compare):
    for got, want in (
        (np.nan, 1.0),
        (1.0, np.nan),
        (np.inf, -np.inf),
        (np.nan, np.inf),
        (np.inf, np.nan),
        (1e30, np.inf),
    ):
        with pytest.raises(AssertionError, match="1 of 200"):
            compare(changed(got), changed(want), nonfinite=True)


@pytest.mark.parametrize("dtype", list(ROUNDING))
def test_the_table_admits_rounding_and_nothing_more(dtype):
    """Sums of a thousand products made in the type are inside the tolerance, one that lost a third is not."""
    terms = 1000
    generator = np.random.default_rng(2)
    x, w = (torch.from_numpy(generator.normal(size=(2000, terms))).to(getattr(torch, dtype)) for _ in range(2))
    summed = torch.zeros(2000, dtype=torch.promote_types(x.dtype, torch.float32))
    for k in range(terms):  # one after the other: the order that rounds worst
        summed += x[:, k].to(summed.dtype) * w[:, k].to(summed.dtype)
    exact = (x.double() * w.double()).sum(1)
    close(summed.to(x.dtype), exact, terms=terms, dtype=dtype)
    wrong = exact.clone()
    wrong[7] += 0.3 * float(exact.std())
    with pytest.raises(AssertionError, match="1 of 2000"):
        close(summed.to(x.dtype), wrong, terms=terms, dtype=dtype)


@pytest.mark.parametrize("dtype", list(ROUNDING))
def test_the_page_states_the_table(dtype):
    """docs/numerics.md prints the tolerance of an element as large as the root mean square, for three lengths."""
    page = (Path(__file__).parents[1] / "docs" / "numerics.md").read_text()
    (row,) = re.findall(rf"^\| {dtype} \| 2\^-\d+ \| 2\^-\d+ \|(.*)\|$", page, re.MULTILINE)
    stated = [float(cell) for cell in row.split("|")]
    ours = [float(tolerance(np.ones(1), dtype, terms)[0]) for terms in (1, 100, 10_000)]
    assert stated == pytest.approx(ours, rel=0.03)


def test_tolerance_grows_with_the_root_of_the_length():
    ones = np.ones(3)
    assert tolerance(ones, "float32", 400)[0] < 20 * tolerance(ones, "float32", 1)[0]
    assert tolerance(ones, "float32", 400)[0] > 10 * tolerance(ones, "float32", 1)[0]
    assert tolerance(ones, "float32", 100)[0] < 1e-5
