"""Padding words: what each promises, checked on what the plan reads."""

from __future__ import annotations

from itertools import product

import pytest

from trous.plan import conv_axis, transposed_axis
from trous.plan.padding import PADDING_WORDS, ceil_padding, conv_padding, transposed_padding
from trous.plan.reach import reads

SHAPES = tuple(product((1, 2, 3, 4, 7), (1, 2, 3, 5), (1, 2, 3)))
SIZES = (1, 2, 6, 11, 30)


def conv(word: str, kernel: int, stride: int, dilation: int):
    return conv_axis(kernel, stride, *conv_padding(word, kernel, stride, dilation), dilation)


def transposed(word: str, kernel: int, stride: int, dilation: int):
    return transposed_axis(kernel, stride, *transposed_padding(word, kernel, stride, dilation), dilation)


@pytest.mark.parametrize("word", ["same", "causal"])
def test_sizes_divide_and_multiply_by_the_stride(word: str) -> None:
    for (kernel, stride, dilation), size in product(SHAPES, SIZES):
        assert conv(word, kernel, stride, dilation).output_size(size) == -(-size // stride)
        assert transposed(word, kernel, stride, dilation).output_size(size) == size * stride


def test_same_is_centred_with_the_odd_element_behind() -> None:
    assert conv_padding("same", 3, 1, 1) == (1, 1)
    assert conv_padding("same", 4, 1, 1) == (1, 2)
    assert conv_padding("same", 4, 3, 1) == (1, 2)
    assert conv_padding("same", 2, 1, 3) == (1, 2)
    assert conv_padding("same", 3, 2, 5) == (5, 5)


def test_causal_convolution_ends_with_its_own_block() -> None:
    for kernel, stride, dilation in SHAPES:
        plan = conv("causal", kernel, stride, dilation)
        for o in range(8):
            assert reads(plan, range(o, o + 1))[-1] == o * stride + stride - 1


def test_causal_transposed_convolution_never_sees_a_later_input() -> None:
    for kernel, stride, dilation in SHAPES:
        plan = transposed("causal", kernel, stride, dilation)
        for o in range(3 * stride):
            seen = reads(plan, range(o, o + 1))
            assert not seen or seen[-1] <= o // stride
        assert reads(plan, range(0, 1))[-1] == 0  # and does not wait longer than it must


def test_causal_keeps_what_it_saw_when_more_comes() -> None:
    """The outputs of a prefix are a prefix of the outputs: no tap of theirs reaches past the prefix."""
    for kernel, stride, dilation in SHAPES:
        plan = conv("causal", kernel, stride, dilation)
        prefix = 4 * stride
        assert reads(plan, range(plan.output_size(prefix)))[-1] < prefix


def test_full_holds_every_output_that_an_input_reaches() -> None:
    for (kernel, stride, dilation), size in product(SHAPES, SIZES):
        plan = conv("full", kernel, stride, dilation)
        window = dilation * (kernel - 1) + 1
        before = conv_padding("full", kernel, stride, dilation)[0]
        starts = [o for o in range(-20, 60) if -window < o * stride - before < size]
        assert range(plan.output_size(size)) == range(starts[0], starts[-1] + 1)


def test_valid_reads_no_padding() -> None:
    for (kernel, stride, dilation), size in product(SHAPES, SIZES):
        plan = conv("valid", kernel, stride, dilation)
        seen = reads(plan, range(plan.output_size(size)))
        assert not seen or (seen[0] == 0 and seen[-1] < size)
        later = reads(plan, range(max(plan.output_size(size), 0), max(plan.output_size(size), 0) + 1))
        assert later[-1] >= size  # the next output would


@pytest.mark.parametrize("word", ["valid", "same", "full"])
def test_transposed_words_are_the_adjoint_of_the_same_word(word: str) -> None:
    for kernel, stride, dilation in SHAPES:
        assert transposed(word, kernel, stride, dilation).taps == conv(word, kernel, stride, dilation).adjoint().taps


def test_words() -> None:
    assert PADDING_WORDS == ("valid", "same", "causal", "full")
    with pytest.raises(ValueError, match=r"^reflect$"):
        conv_padding("reflect", 3, 1, 1)
    with pytest.raises(ValueError, match=r"^reflect$"):
        transposed_padding("reflect", 3, 1, 1)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), SHAPES)
def test_ceil_padding_counts_the_windows_that_begin_inside(kernel: int, stride: int, dilation: int) -> None:
    """As many as a window that begins before the end, and not all of it behind the padding, needs."""
    reach = dilation * (kernel - 1)
    for size, before, after in product(range(1, 12), range(kernel), range(kernel)):
        padded = size + before + after
        if padded <= reach:
            continue
        starts = [0]  # a further window is begun as long as the one before left something over
        while starts[-1] + reach + 1 < padded and starts[-1] + stride < size + before:
            starts.append(starts[-1] + stride)
        pair = ceil_padding(before, after, kernel, stride, dilation)
        assert conv_axis(kernel, stride, *pair, dilation).output_size(size) == len(starts)
