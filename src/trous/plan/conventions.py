"""What other frameworks derive from their padding words, and their numbers for ours, along one axis.

Everything is said as a pair `(before, after)`. For a convolution these are zeros around the input; a negative number
crops it. For a transposed convolution they are outputs cropped, output_padding taken off `after`: below zero it
lengthens the output. `window` is `dilation*(kernel-1) + 1`.
"""

from __future__ import annotations

from trous.errors import TrousError
from trous.plan.axis import AxisPlan
from trous.plan.padding import conv_padding

Pair = tuple[int, int]


def agree(first: AxisPlan, second: AxisPlan, size: int | None = None) -> bool:
    """Whether two axes compute the same: of `size` inputs, or of any number of them."""
    if first.taps != second.taps or (first.up, first.down) != (second.up, second.down):
        return False
    if size is None:
        return first.extent == second.extent
    return first.output_size(size) == second.output_size(size)


def output_crop(before: int, after: int, output_padding: int) -> Pair:
    """A transposed convolution's padding and output_padding as one pair."""
    return before, after - output_padding


def padding_of_crop(crop: Pair) -> tuple[int, int, int]:
    """`(before, after, output_padding)` of a pair, the latter two as small as they can be."""
    before, after = crop
    return before, max(after, 0), max(-after, 0)


def same_padding(kernel: int, stride: int, dilation: int, size: int | None = None, *, lower: bool = False) -> Pair:
    """The "same" of TensorFlow, Keras, JAX and ONNX's auto_pad for a convolution of `size` inputs.

    `total = max((ceil(size/stride) - 1)*stride + window - size, 0)`, half of it in front, the odd element behind, or in
    front for `lower` (TensorFlow API, tf.nn, "Notes on padding"; ONNX Conv, SAME_UPPER and SAME_LOWER). Raises
    TrousError without a size where the total depends on it: at a stride above 1 under a window above 1.
    """
    window = dilation * (kernel - 1) + 1
    if stride == 1 or window == 1:
        total = window - 1
    elif size is None:
        raise TrousError("size", f'must be given: how much "same" pads at stride {stride} depends on it', size)
    else:
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return _split(total, lower)


def keras_crop(word: str, kernel: int, stride: int, dilation: int, output_padding: int | None = None) -> Pair:
    """What "valid" or "same" crops in Keras' Conv*Transpose, and without output_padding in JAX's conv_transpose.

    By default valid gives `(n-1)*stride + max(window, stride)` outputs, and same `n*stride`: the crop is the "same"
    padding of the convolution that comes back from there. With output_padding, valid gives
    `(n-1)*stride + window + output_padding` and same `(n-1)*stride + window%2 + output_padding` (Keras 3,
    `compute_conv_transpose_output_shape`).
    """
    window = dilation * (kernel - 1) + 1
    if word == "valid":
        return 0, -(max(stride - window, 0) if output_padding is None else output_padding)
    total = window - (stride if output_padding is None else window % 2 + output_padding)
    before = max(total, 0) // 2
    return before, total - before


def keras_output_padding(word: str, kernel: int, dilation: int, crop: Pair) -> int:
    """The output_padding under which `word` crops that many outputs in total; it may be none that Keras takes."""
    window = dilation * (kernel - 1) + 1
    return (0 if word == "valid" else window - window % 2) - sum(crop)


def causal_padding(kernel: int, dilation: int) -> Pair:
    """The "causal" of Keras' Conv1D and Flax' Conv: the whole reach in front, at any stride.

    Above stride 1 it is `stride - 1` inputs later than ours (docs/plan.md, section 7), and as long.
    """
    return conv_padding("causal", kernel, 1, dilation)


def auto_pad_crop(kernel: int, stride: int, dilation: int, output_padding: int, *, lower: bool) -> Pair:
    """What auto_pad SAME_UPPER, or SAME_LOWER, crops in ONNX' ConvTranspose: to `n*stride` outputs.

    Raises TrousError where the window with its output_padding ends before the next one begins: the standard says
    `n*stride` outputs and ONNX Runtime gives fewer.
    """
    total = dilation * (kernel - 1) + 1 + output_padding - stride
    if total < 0:
        rule = f"must be NOTSET where stride ({stride}) is above the window with output_padding ({total + stride}): "
        raise TrousError("auto_pad", rule + "runtimes differ; write output_padding instead", "SAME")
    before, after = _split(total, lower)
    return output_crop(before, after, output_padding)


def output_shape_crop(
    kernel: int, stride: int, dilation: int, output_padding: int, size: int, outputs: int, *, lower: bool
) -> Pair:
    """What output_shape crops in ONNX' ConvTranspose of `size` inputs, where pads do not count.

    `total = stride*(size-1) + output_padding + window - outputs`, split as by auto_pad, which is to say with the odd
    element in front unless it is SAME_UPPER (ONNX ConvTranspose). A negative total lengthens behind.
    """
    total = stride * (size - 1) + output_padding + dilation * (kernel - 1) + 1 - outputs
    before, after = _split(max(total, 0), lower)
    return output_crop(before, after + min(total, 0), output_padding)


def spread_padding(kernel: int, dilation: int, crop: Pair) -> Pair:
    """JAX's padding of a transposed convolution: zeros around the input once `stride - 1` lie between its elements.

    The kernel, turned round, reaches `dilation*(kernel-1)` beyond either end; every output cropped takes one zero away.
    The same rule leads back.
    """
    reach = dilation * (kernel - 1)
    return reach - crop[0], reach - crop[1]


def zeros_between(stride: int) -> int:
    """How many zeros lie between two inputs of a transposed convolution that is computed as a convolution."""
    return stride - 1


def symmetric_crop(crop: Pair) -> Pair:
    """torch's `(padding, output_padding)` of a transposed convolution: both ends cropped alike, the end lengthened."""
    before, after = crop
    return before, before - after


def nearest_symmetric_crop(crop: Pair) -> tuple[int, int, Pair]:
    """torch's padding and output_padding that crop as much of `crop` as they can, and the pair left to crop."""
    before, after, output_padding = padding_of_crop(crop)
    padding = min(before, after)
    return padding, output_padding, (before - padding, after - padding)


def nearest_valid_crop(stride: int, crop: Pair) -> tuple[int, Pair]:
    """Keras' output_padding beside "valid" that lengthens as `crop` says as far as it can, and the pair left."""
    before, after, lengthening = padding_of_crop(crop)
    output_padding = min(lengthening, stride - 1)
    return output_padding, (before, after - lengthening + output_padding)


def _split(total: int, lower: bool) -> Pair:
    half = total // 2
    return (total - half, half) if lower else (half, total - half)
