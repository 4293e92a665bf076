"""Which inputs an output reads, and through which weights, from the definition of the two layers: no plan in sight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from trous import Conv, ConvTranspose

Triple = tuple[int, int, int]


def axis_triples(spec: Conv | ConvTranspose, axis: int, inputs: int, outputs: int) -> Iterator[Triple]:
    """(output, input, kernel index) of every multiplication along an axis."""
    arguments, before = spec.axis_arguments(axis), spec.axis_padding(axis)[0]
    for o, i, k in product(range(outputs), range(inputs), range(arguments["kernel"])):
        narrow, wide = (i, o) if isinstance(spec, ConvTranspose) else (o, i)
        if narrow * arguments["stride"] + k * arguments["dilation"] - before == wide:
            yield o, i, k


def triples(spec: Conv | ConvTranspose, size: tuple[int, ...]) -> set[Triple]:
    """The same for all axes, as flat indices."""
    outputs = spec.output_size(size)
    kernel = tuple(spec.axis_arguments(axis)["kernel"] for axis in range(len(size)))
    each = [list(axis_triples(spec, axis, n, out)) for axis, (n, out) in enumerate(zip(size, outputs, strict=True))]
    found = set()
    for chosen in product(*each):
        o, i, k = zip(*chosen, strict=True)
        pairs = ((o, outputs), (i, size), (k, kernel))
        found.add(tuple(int(np.ravel_multi_index(index, shape)) for index, shape in pairs))
    return found
