"""Padding and sizes that follow from the size of the input: ONNX's `auto_pad`, `output_shape` and `ceil_mode`.

A plan knows no sizes. Where a format lets the padding depend on them, the numbers for one size are found here.
"""

from __future__ import annotations

from trous.plan.axis import AxisPlan


def same_padding(size: int, kernel: int, stride: int, dilation: int, *, upper: bool) -> tuple[int, int]:
    """`(before, after)` that give `ceil(size/stride)` outputs, the odd element behind with `upper`, else in front."""
    window = dilation * (kernel - 1) + 1
    total = max(0, (-(-size // stride) - 1) * stride + window - size)
    return _halves(total, larger_behind=upper)


def cropped_padding(
    size: int, outputs: int | None, kernel: int, stride: int, dilation: int, extra: int, *, upper: bool
) -> tuple[int, int, int]:
    """`(before, after, output_padding)` of a transposed convolution that give exactly `outputs`.

    What there is too much of is cropped from both sides, the odd element behind with `upper`, else in front. Where
    there is too little, `output_padding` grows beyond the `extra` that it was. With None, which is `auto_pad` alone,
    what is above `size*stride` is cropped and nothing grows, as onnxruntime does.
    """
    total = stride * (size - 1) + extra + dilation * (kernel - 1) + 1 - (size * stride if outputs is None else outputs)
    grown = extra if outputs is None else extra - min(total, 0)
    return (*_halves(max(total, 0), larger_behind=upper), grown)


def rounded_up(axis: AxisPlan, size: int) -> int:
    """Outputs of a convolution or pooling with the last window let over the end (`ceil_mode`).

    As in torch a window that would begin behind the input and the padding before it is left out.
    """
    outputs = -(-(size + axis.extent) // axis.down)
    before = -axis.taps[0].offset
    return outputs - 1 if (outputs - 1) * axis.down >= size + before else outputs


def _halves(total: int, *, larger_behind: bool) -> tuple[int, int]:
    small, large = total // 2, total - total // 2
    return (small, large) if larger_behind else (large, small)
