"""The problem: a spec with batch, channels, sizes, dtype and layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from trous.errors import TrousError
from trous.plan import BoundPlan
from trous.problem.text import DTYPES, KINDS, parse_fields, problem_text
from trous.spec import Spec


@dataclass(frozen=True)
class Problem:
    """One layer at one size. `str(problem)` and `Problem.parse` are each other's inverse.

    x is `(batch, in_channels, *size)`; the weight has torch's layout for its kind. Raises TrousError for channels that
    groups do not divide and for sizes that do not match the spec; `output_size` raises where no output is left.

    >>> str(Problem(ConvTranspose(4, stride=2, padding=1), 1, 64, 32, (16, 16)))
    'conv_transpose,n1,c64-32,x16x16,k4x4,s2,p1'
    """

    spec: Spec
    batch: int
    in_channels: int
    out_channels: int
    size: tuple[int, ...]
    dtype: str = "float32"
    channels_last: bool = False
    bias: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(self.size))
        if not 1 <= len(self.size) <= 3:
            raise TrousError("size", "must have 1, 2 or 3 axes", self.size)
        if self.spec.ndim not in (None, len(self.size)):
            raise TrousError("size", f"must have one entry for each of {self.spec.ndim} axes", self.size)
        if min(self.size) < 0:
            raise TrousError("size", "must not be negative", self.size)
        if self.batch < 0:
            raise TrousError("batch", "must not be negative", self.batch)
        for name in ("in_channels", "out_channels"):
            channels = getattr(self, name)
            if channels < 1:
                raise TrousError(name, "must be at least 1", channels)
            if channels % self.spec.groups:
                raise TrousError(name, f"must be divisible by groups ({self.spec.groups})", channels)
        if self.dtype not in DTYPES.values():
            raise TrousError("dtype", f"must be one of {', '.join(DTYPES.values())}", self.dtype)
        if isinstance(self.spec.kernel, int):  # the size settles how many axes there are, so that equality can see it
            object.__setattr__(self, "spec", replace(self.spec, kernel=(self.spec.kernel,) * len(self.size)))

    @property
    def kind(self) -> str:
        """ "conv" or "conv_transpose"."""
        return next(name for name, kind in KINDS.items() if isinstance(self.spec, kind))

    @property
    def ndim(self) -> int:
        return len(self.size)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, self.in_channels, *self.size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """`(out, in/groups, *kernel)` for a convolution, `(in, out/groups, *kernel)` for a transposed one."""
        first, second = self.out_channels, self.in_channels
        if self.kind == "conv_transpose":
            first, second = second, first
        return (first, second // self.spec.groups, *self.spec.kernel)

    @cached_property
    def output_size(self) -> tuple[int, ...]:
        return self.spec.output_size(self.size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.batch, self.out_channels, *self.output_size)

    @cached_property
    def bound(self) -> BoundPlan:
        """The plan with its sizes."""
        return self.spec.plan(self.ndim).bind(self.size, self.output_size)

    @property
    def multiplications(self) -> int:
        """Multiply-adds executed, padding not counted."""
        return self.batch * self.in_channels * self.out_channels // self.spec.groups * self.bound.multiplications

    def __str__(self) -> str:
        return problem_text(self)

    @classmethod
    def parse(cls, text: str) -> Problem:
        """The problem that `text` says, its fields in any order after the kind. Raises TrousError naming the bad field.

        >>> Problem.parse("conv,c8-16,x32x32,k3x3,psame").output_shape
        (1, 16, 32, 32)
        """
        spec, sizes = parse_fields(text)
        try:
            problem = cls(KINDS[spec.pop("kind")](**spec), **sizes)
            problem.output_shape  # noqa: B018 - for its errors: what parses can also be run
        except TrousError as error:
            raise error.within(text) from None
        return problem
