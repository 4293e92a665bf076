"""The way back through sizes, against counting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from trous.plan import AxisPlan, conv_axis, transposed_axis
from trous.plan.padding import PADDING_WORDS, ceil_padding, conv_padding, mirrored_padding
from trous.plan.resample import nearest_indices
from trous.plan.retrace import (
    dense_window,
    overlap,
    repeated_border,
    returning_border,
    returning_padding,
    smallest_input,
    sources,
)

LONGEST = 60


def conv_size(n: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Windows that fit into the padded input, counted."""
    window = dilation * (kernel - 1) + 1
    return len([start for start in range(-before, n + after, stride) if start + window <= n + after])


def random_axis(rng: np.random.Generator, transposed: bool) -> AxisPlan:
    kernel, stride, dilation = (int(rng.integers(1, most + 1)) for most in (7, 4, 3))
    before, after = (int(rng.integers(0, 4)) for _ in range(2))
    if transposed:
        extra = int(rng.integers(max(stride, dilation)))
        return transposed_axis(kernel, stride, before, after, extra, dilation)
    return conv_axis(kernel, stride, before, after, dilation)


@pytest.mark.parametrize("transposed", [False, True])
def test_sources_are_the_sizes_that_give_an_output(transposed: bool, rng: np.random.Generator) -> None:
    for _ in range(200):
        axis = random_axis(rng, transposed)
        sizes = {n: axis.output_size(n) for n in range(-20, LONGEST)}
        for outputs in range(1, sizes[LONGEST - 1]):
            found = sources(axis, outputs)
            assert [n for n, out in sizes.items() if out == outputs] == [n for n in found if n < LONGEST]


def test_the_smallest_input_leaves_an_output_everywhere(rng: np.random.Generator) -> None:
    for _ in range(300):
        axes = [random_axis(rng, bool(rng.integers(2))) for _ in range(rng.integers(1, 5))]

        def survives(n: int, axes: list[AxisPlan] = axes) -> bool:
            for axis in axes:
                n = axis.output_size(n)
                if n < 1:
                    return False
            return True

        assert smallest_input(axes) == next(n for n in range(1, 10_000) if survives(n))


@pytest.mark.parametrize("word", PADDING_WORDS)
def test_a_word_crops_as_much_as_it_pads(word: str) -> None:
    for kernel, stride, dilation in product(range(1, 8), range(1, 9), range(1, 4)):
        before, after = conv_padding(word, kernel, stride, dilation)
        axis = conv_axis(kernel, stride, before, after, dilation)
        crop = mirrored_padding(word, kernel, stride, dilation)
        assert min(crop) >= 0
        for n in range(smallest_input([axis]), LONGEST):
            extra = returning_padding(axis, n)
            assert 0 <= extra < stride
            assert transposed_axis(kernel, stride, *crop, extra, dilation).output_size(axis.output_size(n)) == n


def test_a_causal_way_back_sees_no_later_input() -> None:
    """Output o of the way back belongs to the block o div stride."""
    for kernel, stride, dilation in product(range(1, 8), range(1, 9), range(1, 4)):
        axis = transposed_axis(kernel, stride, *mirrored_padding("causal", kernel, stride, dilation), 0, dilation)
        assert all(tap.offset <= 0 for tap in axis.taps)


def test_a_convolution_returns_from_a_transposed_one() -> None:
    """With the nearest border of all that do, and None only where no border does."""
    for kernel, stride, dilation, before, after in product((1, 2, 3, 5), (1, 2, 3), (1, 2, 5), (0, 1, 2), (0, 1, 3)):
        for extra in range(max(stride, dilation)):
            size = transposed_axis(kernel, stride, before, after, extra, dilation).output_size
            sizes = [n for n in range(1, 40) if size(n) > 0]
            fitting = [
                total
                for total in range(before + after + 1)
                if all(conv_size(size(n), kernel, stride, total, 0, dilation) == n for n in sizes)
            ]
            found = returning_border(stride, before, after, extra)
            if found is None:
                assert fitting == []
            else:
                assert sum(found) == fitting[-1] and 0 <= found[0] <= before and 0 <= found[1] <= after


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling_has_the_windows_of_a_convolution(ceil_mode: bool) -> None:
    """The sizes are torch's, and so are the windows: the maximum of each finds the last position that it reads."""
    for kernel, stride, dilation in product(range(1, 8), range(1, 6), range(1, 4)):
        window = dilation * (kernel - 1) + 1
        for padding in range(kernel // 2 + 1):
            pair = ceil_padding(padding, padding, kernel, stride, dilation) if ceil_mode else (padding, padding)
            axis = conv_axis(kernel, stride, *pair, dilation)
            for n in range(max(1, window - 2 * padding), 26):
                x = torch.arange(1.0, n + 1)[None]
                y = torch.nn.functional.max_pool1d(x, kernel, stride, padding, dilation, ceil_mode)[0]
                assert axis.output_size(n) == len(y)
                for m, last in enumerate(y.tolist()):
                    read = [i for tap in axis.taps if 0 <= (i := stride * m + tap.offset) < n]
                    assert max(read, default=float("-inf")) == last - 1


def test_a_dense_window_leaves_no_phase_empty_and_gives_the_same_sizes() -> None:
    changed = 0
    for kernel, stride, dilation, before, after in product(range(1, 6), range(1, 6), range(1, 5), (0, 1), (0, 2)):
        own = transposed_axis(kernel, stride, before, after, 0, dilation)
        k, b, a, d = dense_window(kernel, stride, before, after, dilation)
        dense = transposed_axis(k, stride, b, a, 0, d)
        assert dense.extent == own.extent and b == before and a >= 0
        assert all(dense.by_phase)
        assert (k, d) == (kernel, dilation) or not all(own.by_phase)
        changed += (k, d) != (kernel, dilation)
    assert changed > 50


def test_overlap_counts_the_taps_that_share_a_phase() -> None:
    assert overlap(transposed_axis(3, 2, 1, 1, 0, 1)) == {0: 2, 1: 1, 2: 2}


def test_a_repeated_border_gives_every_output_all_taps_of_its_phase(rng: np.random.Generator) -> None:
    for _ in range(300):
        kernel, stride, dilation = (int(rng.integers(1, most + 1)) for most in (7, 4, 3))
        before, after, inputs = (int(rng.integers(0, 4)) for _ in range(3))
        axis = transposed_axis(kernel, stride, before, after, 0, dilation)
        outputs = axis.output_size(inputs) + int(rng.integers(stride))
        if outputs < 1:
            continue
        repeats, crops = repeated_border(axis, inputs, outputs)
        wide = transposed_axis(kernel, stride, before + crops[0], after + crops[1], 0, dilation)
        repeated = inputs + sum(repeats)
        assert wide.output_size(repeated) <= outputs < wide.output_size(repeated) + stride
        for o in range(outputs):
            taps = wide.by_phase[o % stride]
            assert all(0 <= o // stride + tap.offset < repeated for tap in taps)
            assert [tap.kernel for tap in taps] == [tap.kernel for tap in axis.by_phase[o % stride]]


def test_nearest_copies_lie_in_the_share_of_their_input() -> None:
    for inputs, outputs in product(range(1, 9), range(1, 30)):
        for o, i in enumerate(nearest_indices(inputs, outputs)):
            assert i * outputs <= o * inputs < (i + 1) * outputs
