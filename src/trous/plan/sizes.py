"""The size rule turned round: which padding takes one size to another.

A plan gives `output = (up*input + extent) // down`. Which extents take `n` to `m`, and how much padding makes such an
extent? Both answers are intervals, so nothing is tried out.

Many sizes at once are no harder. Where inputs and outputs go up in even steps, `m*down - up*n` goes up or down in even
steps also, and an extent that serves the first and the last of them serves all. A list of sizes is therefore given by
its two ends. Derivation: docs/solving.md.
"""

from __future__ import annotations

from math import gcd

#: (input, output) of the first and of the last size of a list in even steps.
Ends = tuple[tuple[int, int], tuple[int, int]]


def conv_extent(kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The extent of a convolution with `padding` zeros, front and back together; the adjoint has its negative."""
    return padding - dilation * (kernel - 1) - 1 + stride


def extents(up: int, down: int, ends: Ends) -> range:
    """The extents with which every input between `ends` gives its output; none where start is not below stop.

    `(up*n + extent) // down == m` says `m*down <= up*n + extent < (m + 1)*down`.

    >>> extents(up=1, down=2, ends=((7, 4), (7, 4)))
    range(1, 3)
    """
    (n, m), (n_last, m_last) = ends
    return range(
        max(m * down - up * n, m_last * down - up * n_last),
        min((m + 1) * down - up * n, (m_last + 1) * down - up * n_last),
    )


def paddings(transposed: bool, kernel: int, stride: int, dilation: int, ends: Ends) -> range:
    """What `before + after` may be, without output padding, for every input between `ends` to give its output.

    Output padding adds to it. Negative ones would crop what a convolution reads, or add to what a transposed one
    writes; no layer has them. Start and stop never fall as the stride grows, also where the range is empty: each output
    but the first is a stride further on, and all that is further must be padded.

    >>> paddings(False, 3, 2, 1, ends=((8, 4), (8, 4)))
    range(1, 3)
    >>> paddings(True, 4, 2, 1, ends=((4, 8), (4, 8)))
    range(2, 3)
    """
    unpadded = conv_extent(kernel, stride, 0, dilation)
    if transposed:
        found = extents(stride, 1, ends)
        return range(1 - unpadded - found.stop, 1 - unpadded - found.start)
    found = extents(1, stride, ends)
    return range(found.start - unpadded, found.stop - unpadded)


def output_size(transposed: bool, kernel: int, stride: int, dilation: int, padding: int, size: int) -> int:
    """Outputs that `size` inputs give with `padding` in all, less the output padding of a transposed convolution."""
    extent = conv_extent(kernel, stride, padding, dilation)
    return stride * size - extent if transposed else (size + extent) // stride


def centred_padding(kernel: int, stride: int) -> int | None:
    """What a transposed convolution crops at either end to give `n*stride` outputs for every `n`, so that its kernel
    lies evenly around the `stride` outputs in the place of each input; None where that cannot be.

    >>> centred_padding(10, 2), centred_padding(3, 2)
    (4, None)
    """
    found = paddings(True, kernel, stride, 1, ends=((0, 0), (1, stride)))
    total = found.start
    return None if not found or total < 0 or total % 2 else total // 2


def unevenness(transposed: bool, kernel: int, stride: int, dilation: int) -> int:
    """How unevenly a layer treats positions: 0 not at all, 1 uneven overlap, 2 gaps.

    Of a transposed convolution: outputs of different phases sum differently many taps (1), or some have none (2). Of a
    convolution, whose outputs are all alike: some inputs are read by no output (2), which is a phase without a tap of
    its adjoint. Kernel index `k` is in phase `k*dilation mod stride`, moved by the padding. So the phases come round
    after `stride/gcd(stride, dilation)` taps; all are used only if that is the stride, and equally only if it divides
    the kernel.
    """
    if kernel < stride or gcd(stride, dilation) > 1:
        return 2
    return 1 if transposed and kernel % stride else 0
