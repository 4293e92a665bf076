"""Padding words as numbers: the only place that knows what "same" or "causal" mean."""

from __future__ import annotations

PADDING_WORDS = ("valid", "same", "causal", "full")


def conv_padding(word: str, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """`(before, after)` of a convolution, per axis. The window is `dilation*(kernel-1) + 1`.

    - valid: none;
    - same: `ceil(n/stride)` outputs for every `n`, the odd element behind, as `padding="same"` in torch at stride 1;
    - causal: `(window - stride, stride - 1)`: output `m` sees inputs up to the end of its own block of `stride` and
      nothing later, so `ceil(n/stride)` outputs come without delay; a negative number crops;
    - full: every output that any input reaches.
    """
    reach = dilation * (kernel - 1)
    match word:
        case "valid":
            return 0, 0
        case "same":
            return reach // 2, reach - reach // 2
        case "causal":
            return reach + 1 - stride, stride - 1
        case "full":
            return reach, reach
    raise ValueError(word)


def transposed_padding(word: str, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """`(before, after, output_padding)` of a transposed convolution, per axis: what is cropped and what is added.

    - valid, same, full: the adjoint of the convolution with the same word; "same" returns `n*stride` outputs;
    - causal: `n*stride` outputs, none of which sees an input that comes after it.
    """
    if word == "causal":
        surplus = dilation * (kernel - 1) + 1 - stride
        return 0, max(surplus, 0), max(-surplus, 0)
    before, after = conv_padding(word, kernel, stride, dilation)
    return before, after, stride - 1 if word == "same" else 0


def mirrored_padding(word: str, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """`(before, after)` that a transposed convolution crops to retrace the sizes of a convolution with this word.

    As much in all as the convolution pads, so that output padding below the stride tells apart the sizes it maps to
    one: at the same ends, but for "causal" all behind, so that no output sees a later input on the way back either.
    """
    before, after = conv_padding(word, kernel, stride, dilation)
    return (0, before + after) if word == "causal" else (before, after)


def ceil_padding(before: int, after: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """The padding with which a convolution has the windows of pooling with `ceil_mode`, per axis, at every size.

    A last window may end behind the padded input, by up to `stride - 1`, but must begin within the input or the padding
    before it (torch.nn.MaxPool2d). The first is padding behind of `after + stride - 1`. The last window begins at
    `(outputs-1)*stride - before <= n - 1`, which is the size rule for `dilation*(kernel-1)` behind. Both rules are one
    floor of a sum that grows with the padding, so that the smaller holds.
    """
    return before, min(after + stride - 1, dilation * (kernel - 1))


def output_paddings(stride: int, dilation: int) -> range:
    """What a transposed convolution may add behind, in torch, ONNX and here: less than its stride or its dilation."""
    return range(max(stride, dilation))
