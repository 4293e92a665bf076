"""Stacks of dilated layers of stride 1: the field that they see, without gaps, and the fewest layers for a field.

An output of layers with one `kernel` and dilations `d1, d2, ...` reads the inputs `k1*d1 + k2*d2 + ...` with every `ki`
in `0 .. kernel-1`. They span the *field*, `1 + (kernel-1)*(d1 + d2 + ...)` positions, whatever the order of the layers.

**Gaps.** With the dilations in ascending order, every position of the field is read if and only if no dilation is
larger than the field of those before it (for one layer: larger than 1). *If:* by induction the layers before read all
of `0 .. field-1`; the next one repeats this run at distances of `d <= field`, so the runs touch. *Only if:* let
`d > field` be the first that breaks the rule. The position `field` lies inside the whole field. A sum that takes a
multiple of `d`, or of one behind it, is `d` at least, and one that takes none `field - 1` at most: nothing reads it.

**Fewest layers.** So a layer makes `field + d*(kernel-1)` of a field, at most `kernel*field`, and the more the larger
the field was: to take the largest dilation each time gives the largest field for any number of layers, which is
`kernel**layers` where no dilation is too large.
"""

from __future__ import annotations

from collections.abc import Iterable


def field(kernel: int, dilations: Iterable[int]) -> int:
    """Inputs from the first to the last that one output reads.

    >>> field(3, [1, 3, 9])
    27
    """
    return 1 + (kernel - 1) * sum(dilations)


def is_gapless(kernel: int, dilations: Iterable[int]) -> bool:
    """Whether one output reads every input of its field.

    >>> is_gapless(3, [1, 2, 4]), is_gapless(3, [2, 2, 2])
    (True, False)
    """
    seen = 1
    for dilation in sorted(dilations):
        if kernel > 1 and dilation > seen:
            return False
        seen += dilation * (kernel - 1)
    return True


def layers_for(wanted: int, kernel: int, max_dilation: int) -> int:
    """The fewest layers that see `wanted` inputs without gaps, one at least; `kernel` is 2 at least."""
    layers, seen = 0, 1
    while seen < wanted and seen < max_dilation:
        seen *= kernel
        layers += 1
    return max(1, layers + max(0, -(-(wanted - seen) // (max_dilation * (kernel - 1)))))


def dilations_for(wanted: int, kernel: int, max_dilation: int) -> tuple[int, ...]:
    """The dilations of those layers, ascending: each as large as it may be, but for one that is no larger than needed.

    All fields of a kernel are 1 more than a multiple of `kernel - 1`; this one is the least of them that holds the
    wanted. Making one dilation smaller leaves no gap, since those behind it have had room to spare.

    >>> dilations_for(50, kernel=2, max_dilation=64), dilations_for(50, kernel=2, max_dilation=8)
    ((1, 2, 4, 8, 16, 18), (1, 2, 2, 4, 8, 8, 8, 8, 8))
    """
    found: list[int] = []
    for _ in range(layers_for(wanted, kernel, max_dilation) - 1):
        found.append(min(field(kernel, found), max_dilation))
    last = max(1, -(-(wanted - field(kernel, found)) // (kernel - 1)))
    return tuple(sorted([*found, last]))
