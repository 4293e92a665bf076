"""Comparison that raises: bit for bit, or within the one table of tolerances (docs/numerics.md).

A comparison of nothing proves nothing. Empty data, data that is mostly zeros and numbers that are not finite are
refused as `NothingCompared`, unless the caller says that they are what the test is about.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from trous.arrays import dtype_name, is_torch


class NothingCompared(AssertionError):
    """The expected data could not show a difference, so agreeing with it means nothing."""


class Rounding(NamedTuple):
    """Unit roundoff of the type that sums are made in and of the type they are stored in; the smallest step near 0."""

    sum: float
    store: float
    tiny: float


#: The table of docs/numerics.md, which also derives it.
ROUNDING: dict[str, Rounding] = {
    "float64": Rounding(2.0**-53, 2.0**-53, 0.0),
    "float32": Rounding(2.0**-24, 2.0**-24, 0.0),
    "float16": Rounding(2.0**-24, 2.0**-11, 2.0**-24),
    "bfloat16": Rounding(2.0**-24, 2.0**-8, 0.0),
}
#: Deviations of a sum of rounding errors that are allowed: far enough that millions of outputs stay inside.
DEVIATIONS = 8.0
#: Expected data with more zeros than this is refused.
MOST_ZEROS = 0.5


def tolerance(expected: np.ndarray, dtype: str, terms: int) -> np.ndarray:
    """Allowed difference of each element, for sums of `terms` products in `dtype`; see docs/numerics.md."""
    rounding = ROUNDING[dtype]
    finite = expected[np.isfinite(expected)]
    typical = float(np.sqrt(np.mean(np.abs(finite) ** 2))) if finite.size else 0.0
    summing = DEVIATIONS * rounding.sum * sqrt(max(terms, 1)) * np.maximum(np.abs(expected), typical)
    return summing + 2 * rounding.store * np.abs(expected) + rounding.tiny


def assert_identical(
    actual: Any, expected: Any, what: object = "", *, zeros: bool = False, empty: bool = False, nonfinite: bool = False
) -> None:
    """Raise unless both have the same shape, dtype and bits, signs of zeros included. NaN equals NaN.

    `zeros`, `empty` and `nonfinite` say that the expected data may be mostly zeros, have no elements, hold NaN or Inf.
    """
    got, want = _checked(actual, expected, dtype_name(expected), what, zeros, empty, nonfinite)
    if got.dtype.kind in "fc":
        same = (got == want) & (np.signbit(got.real) == np.signbit(want.real)) | np.isnan(got) & np.isnan(want)
    else:
        same = got == want
    _raise_unless(same, got, want, what, "differ")


def assert_close(
    actual: Any,
    expected: Any,
    what: object = "",
    *,
    terms: int,
    dtype: str | None = None,
    zeros: bool = False,
    empty: bool = False,
    nonfinite: bool = False,
) -> None:
    """Raise unless all elements agree to the table's tolerance for sums of `terms` products.

    `dtype` is what `actual` must have when `expected` is more precise than that; otherwise both must have the same.
    """
    dtype = dtype or dtype_name(expected)
    got, want = _checked(actual, expected, dtype, what, zeros, empty, nonfinite)
    wide = np.promote_types(np.promote_types(got.dtype, want.dtype), np.float64)
    got, want = got.astype(wide), want.astype(wide)
    with np.errstate(invalid="ignore"):
        near = (np.abs(got - want) <= tolerance(want, dtype, terms)) & np.isfinite(got) & np.isfinite(want)
    same = near | (got == want) | np.isnan(got) & np.isnan(want)
    _raise_unless(same, got, want, what, f"differ by more than {dtype} sums of {terms} products may")


def _checked(
    actual: Any, expected: Any, dtype: str, what: object, zeros: bool, empty: bool, nonfinite: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Both as NumPy arrays of a type that holds them exactly, once shape, dtype and substance are in order."""
    if tuple(actual.shape) != tuple(expected.shape):
        raise AssertionError(f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    if dtype_name(actual) != dtype:
        raise AssertionError(f"{what}: dtype {dtype_name(actual)}, expected {dtype}")
    got, want = _exact(actual), _exact(expected)
    if want.size == 0 and not empty:
        raise NothingCompared(f"{what}: empty, of shape {want.shape}")
    if not nonfinite and not np.isfinite(want).all():
        raise NothingCompared(f"{what}: expected data holds NaN or Inf")
    if not zeros and want.size and np.mean(want == 0) > MOST_ZEROS:
        raise NothingCompared(f"{what}: {np.mean(want == 0):.0%} of the expected data are zeros")
    return got, want


def _exact(x: Any) -> np.ndarray:
    if is_torch(x):
        x = x.detach().cpu().resolve_conj().resolve_neg()
        return (x.float() if dtype_name(x) == "bfloat16" else x).numpy()
    return np.asarray(x)


def _raise_unless(same: np.ndarray, got: np.ndarray, want: np.ndarray, what: object, how: str) -> None:
    if same.all():
        return
    wrong = np.argwhere(~same)
    first = tuple(int(n) for n in wrong[0])
    raise AssertionError(
        f"{what}: {len(wrong)} of {same.size} elements {how}, first at {first}: {got[first]}, expected {want[first]}"
    )
