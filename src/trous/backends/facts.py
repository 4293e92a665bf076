"""What a back-end can tell about the code that it takes for a problem: the facts behind `trous.explain`."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Ways to do the work that a family names, the best first.
WAYS = 4


@dataclass(frozen=True)
class Estimate:
    """What a model of cost says of one way to do the work."""

    way: str
    cost: float
    parts: dict[str, float] = field(default_factory=dict)  #: by what it is for; they add up to the cost


@dataclass(frozen=True)
class FamilyFacts:
    """What a family of kernels tells about a problem that it suits."""

    register_tile: str
    cut: dict[str, int | tuple[int, ...]]  #: how the work is cut; the last of several numbers is for the last axis
    estimates: tuple[Estimate, ...] = ()  #: of the ways that were compared, the one taken first; none without a model
    unit: str = ""  #: of their costs


@dataclass(frozen=True)
class KernelFacts:
    """The kernel of a forward pass, why it is this one, and how it does the work."""

    family: str
    refusals: tuple[str, ...]  #: "family: reason" for each family that was asked before
    name: str
    instruction_set: str
    sums_in: str  #: dtype
    epilogue: str  #: where activation and residual are worked in; "" without them
    items: int  #: of work, which threads share
    threads: int
    kept: dict[str, int]  #: bytes that each thread keeps beside the arrays, by what they hold
    facts: FamilyFacts

    @property
    def kept_bytes(self) -> int:
        return sum(self.kept.values())
