"""What other frameworks derive, from what the words promise: sizes, balance, and the layer that comes back."""

from __future__ import annotations

from itertools import product

import pytest

from trous.errors import TrousError
from trous.plan import conv_axis, transposed_axis
from trous.plan.conventions import (
    agree,
    auto_pad_crop,
    causal_padding,
    keras_crop,
    keras_output_padding,
    nearest_symmetric_crop,
    nearest_valid_crop,
    output_crop,
    output_shape_crop,
    padding_of_crop,
    same_padding,
    spread_padding,
    symmetric_crop,
)
from trous.plan.padding import conv_padding

#: kernel, stride, dilation
SHAPES = tuple(product((1, 2, 3, 4, 5), (1, 2, 3, 4), (1, 2, 3)))
SIZES = range(1, 15)
CROPS = tuple(product(range(5), range(-4, 5)))


def test_same_gives_a_window_for_each_block_and_is_balanced() -> None:
    for (kernel, stride, dilation), size in product(SHAPES, SIZES):
        before, after = same_padding(kernel, stride, dilation, size)
        assert conv_axis(kernel, stride, before, after, dilation).output_size(size) == -(-size // stride)
        assert 0 <= after - before <= 1
        if before + after:  # and none to spare: with one zero less the last window would not fit
            assert conv_axis(kernel, stride, before, after - 1, dilation).output_size(size) < -(-size // stride)
        assert same_padding(kernel, stride, dilation, size, lower=True) == (after, before)


def test_same_without_a_size_is_what_it_is_at_all_of_them() -> None:
    for kernel, stride, dilation in SHAPES:
        everywhere = {same_padding(kernel, stride, dilation, size) for size in SIZES}
        if stride == 1 or kernel == 1:
            assert everywhere == {same_padding(kernel, stride, dilation)}
        else:
            assert len(everywhere) > 1
            with pytest.raises(TrousError, match=f'how much "same" pads at stride {stride} depends on it, got None'):
                same_padding(kernel, stride, dilation)
        if stride == 1:
            assert everywhere == {conv_padding("same", kernel, stride, dilation)}


def test_a_transposed_same_undoes_the_same_of_the_convolution() -> None:
    """From n to n*stride, along the taps of the convolution that comes back from there."""
    for (kernel, stride, dilation), size in product(SHAPES, SIZES):
        crop = keras_crop("same", kernel, stride, dilation)
        axis = transposed_axis(kernel, stride, *crop, 0, dilation)
        assert axis.output_size(size) == size * stride
        back = conv_axis(kernel, stride, *same_padding(kernel, stride, dilation, size * stride), dilation)
        assert axis.taps == back.adjoint().taps


def test_sizes_of_keras() -> None:
    for (kernel, stride, dilation), size, extra in product(SHAPES, SIZES, (0, 1, 2)):
        window = dilation * (kernel - 1) + 1
        for word, given, outputs in (
            ("valid", None, (size - 1) * stride + max(window, stride)),
            ("valid", extra, (size - 1) * stride + window + extra),
            ("same", extra, (size - 1) * stride + window % 2 + extra),
        ):
            crop = keras_crop(word, kernel, stride, dilation, given)
            assert transposed_axis(kernel, stride, *crop, 0, dilation).output_size(size) == outputs
            if given is not None:
                assert keras_output_padding(word, kernel, dilation, crop) == given


def test_causal_gives_as_many_outputs_as_ours() -> None:
    for (kernel, stride, dilation), size in product(SHAPES, SIZES):
        theirs = conv_axis(kernel, stride, *causal_padding(kernel, dilation), dilation)
        ours = conv_axis(kernel, stride, *conv_padding("causal", kernel, stride, dilation), dilation)
        assert theirs.output_size(size) == ours.output_size(size) == -(-size // stride)
        assert theirs.taps[-1].offset == 0
        assert ours.taps[-1].offset == stride - 1


def test_auto_pad_of_a_transposed_layer() -> None:
    for (kernel, stride, dilation), extra, lower in product(SHAPES, (0, 1, 2), (False, True)):
        window = dilation * (kernel - 1) + 1
        if window + extra < stride:
            with pytest.raises(TrousError, match="auto_pad must be NOTSET"):
                auto_pad_crop(kernel, stride, dilation, extra, lower=lower)
            continue
        before, after = auto_pad_crop(kernel, stride, dilation, extra, lower=lower)
        assert transposed_axis(kernel, stride, before, after, 0, dilation).output_size(7) == 7 * stride
        assert (before - (after + extra)) in ((0, 1) if lower else (-1, 0))


def test_output_shape_gives_that_shape() -> None:
    for (kernel, stride, dilation), size, outputs, lower in product(SHAPES, (1, 4), (1, 5, 12), (False, True)):
        before, after = output_shape_crop(kernel, stride, dilation, 0, size, outputs, lower=lower)
        assert transposed_axis(kernel, stride, before, after, 0, dilation).output_size(size) == outputs
        if after < 0:
            assert before == 0
        else:
            assert (before - after) in ((0, 1) if lower else (-1, 0))


def test_a_spread_input_is_padded_to_the_same_outputs() -> None:
    """A convolution of the spread input, at stride 1, gives as many."""
    for (kernel, stride, dilation), crop, size in product(SHAPES, CROPS, (1, 5)):
        padding = spread_padding(kernel, dilation, crop)
        spread = (size - 1) * stride + 1
        outputs = conv_axis(kernel, 1, *padding, dilation).output_size(spread)
        assert outputs == transposed_axis(kernel, stride, *crop, 0, dilation).output_size(size)
        assert spread_padding(kernel, dilation, padding) == crop


def test_crops_in_other_forms() -> None:
    """Each form crops what it was made from, what is left to crop added."""
    for (before, after), stride in product(CROPS, (1, 3)):
        crop = (before, after)
        assert output_crop(*padding_of_crop(crop)) == crop
        assert min(padding_of_crop(crop)) >= 0
        padding, output_padding = symmetric_crop(crop)
        assert output_crop(padding, padding, output_padding) == crop
        padding, output_padding, (front, behind) = nearest_symmetric_crop(crop)
        assert (padding + front, padding + behind - output_padding) == crop
        assert min(padding, output_padding, front, behind) >= 0
        output_padding, (front, behind) = nearest_valid_crop(stride, crop)
        assert (front, behind - output_padding) == crop
        assert 0 <= output_padding < stride


def test_agreement_at_one_size_and_at_all() -> None:
    uneven, even = conv_axis(3, 2, 1, 0, 1), conv_axis(3, 2, 1, 1, 1)
    assert [n for n in range(1, 9) if agree(uneven, even, n)] == [2, 4, 6, 8]
    assert not agree(uneven, even)
    assert agree(even, even)
    assert not agree(even, conv_axis(3, 2, 0, 2, 1), 4)  # as many outputs, of other inputs
    assert not agree(conv_axis(1, 1, 0, 0, 1), conv_axis(1, 2, 0, 0, 1), 1)
