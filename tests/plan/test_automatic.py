"""Padding chosen by the size of the input, against the sizes and the balance that it is chosen for."""

from __future__ import annotations

import itertools

import pytest

from trous.plan import conv_axis, transposed_axis
from trous.plan.automatic import cropped_padding, rounded_up, same_padding

WINDOWS = list(itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2)))  # kernel, stride, dilation


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), WINDOWS)
def test_same_padding_is_the_least_that_keeps_the_size(kernel: int, stride: int, dilation: int, upper: bool) -> None:
    for size in range(1, 12):
        before, after = same_padding(size, kernel, stride, dilation, upper=upper)
        wanted = -(-size // stride)
        assert conv_axis(kernel, stride, before, after, dilation).output_size(size) == wanted
        assert 0 <= (after - before if upper else before - after) <= 1
        if before + after:
            assert conv_axis(kernel, stride, before + after - 1, 0, dilation).output_size(size) == wanted - 1


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), WINDOWS)
def test_cropped_padding_gives_the_outputs_asked_for(kernel: int, stride: int, dilation: int, upper: bool) -> None:
    for size, extra in itertools.product(range(1, 6), range(max(stride, dilation))):
        whole = transposed_axis(kernel, stride, 0, 0, extra, dilation).output_size(size)
        for outputs in range(1, whole + 3):
            before, after, grown = cropped_padding(size, outputs, kernel, stride, dilation, extra, upper=upper)
            assert transposed_axis(kernel, stride, before, after, grown, dilation).output_size(size) == outputs
            assert 0 <= (after - before if upper else before - after) <= 1
            assert grown == extra + max(0, outputs - whole) and (grown == extra or before == after == 0)
        before, after, grown = cropped_padding(size, None, kernel, stride, dilation, extra, upper=upper)
        found = transposed_axis(kernel, stride, before, after, grown, dilation).output_size(size)
        assert found == min(whole, size * stride) and grown == extra


@pytest.mark.parametrize(("kernel", "stride", "dilation"), WINDOWS)
def test_rounded_up_counts_the_windows_that_begin_inside(kernel: int, stride: int, dilation: int) -> None:
    """As many as a window that begins before the end, and not all of it behind the padding, needs."""
    reach = dilation * (kernel - 1)
    for size, before, after in itertools.product(range(1, 12), range(kernel), range(kernel)):
        padded = size + before + after
        if padded <= reach:
            continue
        starts = [0]  # a further window is begun as long as the one before left something over
        while starts[-1] + reach + 1 < padded and starts[-1] + stride < size + before:
            starts.append(starts[-1] + stride)
        assert rounded_up(conv_axis(kernel, stride, before, after, dilation), size) == len(starts)
