"""Warnings: each where it belongs, and none where all is well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import trous
from trous.inspection import Report
from trous.inspection.gains import phase_gains, tap_counts, unevenness


def warnings(model: nn.Module, *shape: int) -> tuple[str, ...]:
    return trous.inspect(model, shape).warnings


def upsampling(kernel: int, stride: int, weight: torch.Tensor | None = None) -> nn.ConvTranspose1d:
    layer = nn.ConvTranspose1d(1, 1, kernel, stride)
    with torch.no_grad():
        layer.weight.copy_(torch.ones(1, 1, kernel) if weight is None else weight)
    return layer


def test_gains_are_the_answer_to_a_constant() -> None:
    """The sums of weights by phase are what the layer makes of ones, away from the border."""
    rng = np.random.default_rng(0)
    for spec in (trous.ConvTranspose((3, 5), stride=(2, 3), dilation=(1, 2)), trous.ConvTranspose((4, 4), stride=2)):
        w = rng.integers(-9, 10, (2, 3, *spec.kernel)).astype(np.float64)
        plan = spec.plan()
        for channel in range(2):
            x = np.zeros((1, 2, 9, 9))
            x[:, channel] = 1
            y = trous.conv_transpose(x, w, stride=spec.stride, dilation=spec.dilation)[0]
            first, second = (axis.up for axis in plan.axes)
            middle = y[:, 4 * first : 5 * first, 4 * second : 5 * second]
            assert np.array_equal(phase_gains(plan, w)[:, :, channel], middle.transpose(1, 2, 0))


def test_unevenness_is_the_share_that_varies() -> None:
    assert unevenness(np.ones((2, 1, 1))) == 0
    assert unevenness(np.array([1.0, -1.0]).reshape(2, 1, 1)) == 1
    assert unevenness(np.array([2.0, 1.0]).reshape(2, 1, 1)) == pytest.approx(0.5 / np.sqrt(2.5))
    assert unevenness(np.zeros((2, 1, 1))) == 0


def test_tap_counts() -> None:
    assert tap_counts(trous.ConvTranspose(3, stride=2).plan(2)) == (1, 4)
    assert tap_counts(trous.ConvTranspose(2, stride=2, dilation=2).plan()) == (0, 2)


def test_checkerboard_of_uneven_taps() -> None:
    (text,) = warnings(upsampling(3, 2), 1, 1, 8)
    assert text == "ConvTranspose1d: checkerboard: phases have 1 to 2 taps that sum to gains 32 % apart"


def test_a_kernel_that_divides_by_the_stride_is_not_enough() -> None:
    assert warnings(upsampling(4, 2), 1, 1, 8) == ()
    (text,) = warnings(upsampling(4, 2, torch.tensor([[[1.0, 0.5, 1.0, 0.5]]])), 1, 1, 8)
    assert "checkerboard: phases have 2 taps each, yet weights that sum to gains 32 % apart" in text


def test_weights_can_make_up_for_uneven_taps() -> None:
    assert warnings(upsampling(3, 2, torch.tensor([[[0.5, 1.0, 0.5]]])), 1, 1, 8) == ()


def test_interpolation_kernels_are_even() -> None:
    for name in ("nearest", "bilinear", "bicubic", "lanczos"):
        spec = trous.interpolation_spec(name, 3)
        layer = nn.ConvTranspose2d(1, 1, spec.kernel, spec.stride, spec.padding)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(trous.interpolation_kernel(name, 3)))
        assert warnings(layer, 1, 1, 9, 9) == ()


def test_without_weights_taps_are_counted() -> None:
    assert trous.inspect(trous.ConvTranspose(3, stride=2), 8).warnings == ("0: checkerboard: 1 to 2 taps by phase",)
    assert trous.inspect(trous.ConvTranspose(4, stride=2, padding=1), 8).warnings == ()


def test_phases_without_taps() -> None:
    texts = warnings(nn.ConvTranspose2d(1, 1, 3, 2, 2, output_padding=1, dilation=2), 1, 1, 8, 8)
    assert "checkerboard: 3 of 4 outputs have no tap and hold the bias alone" in texts[0]


def test_weights_that_are_computed_count_too() -> None:
    layer = nn.utils.parametrizations.weight_norm(upsampling(4, 2, torch.tensor([[[1.0, 0.5, 1.0, 0.5]]])))
    assert any("32 % apart" in text for text in warnings(nn.Sequential(layer), 1, 1, 8))


def test_gridding_of_a_stack() -> None:
    """Dilations 2, 2, 2 see every second input; 1, 2, 4 see all (Wang et al. 2018, section 3.2)."""
    coarse = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=2, dilation=2) for _ in range(3)))
    assert warnings(coarse, 1, 1, 32, 32) == ("2: gridding: 29 % of the 13x13 field is seen",)
    hybrid = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=d, dilation=d) for d in (1, 2, 4)))
    assert warnings(hybrid, 1, 1, 32, 32) == ()


def test_lost_borders() -> None:
    texts = warnings(nn.Conv2d(1, 1, 3, stride=2), 1, 1, 8, 9)
    assert texts[0] == "Conv2d: lost border: the last 1 of 8 positions of axis 0 are never read"
    assert not any("axis 1" in text for text in texts)
    assert any("lost inputs: 3 of 8 positions" in text for text in warnings(nn.Conv1d(1, 1, 1, stride=2), 1, 1, 8))
    assert "the last 1 of 9" in warnings(nn.MaxPool1d(2), 1, 1, 9)[0]
    assert warnings(nn.MaxPool1d(2, ceil_mode=True), 1, 1, 9) == ()


def test_dead_taps() -> None:
    """Dilation 36 on 33x33: one tap of nine is left."""
    texts = warnings(nn.Conv2d(1, 1, 3, padding=36, dilation=36), 1, 1, 33, 33)
    assert "dead taps: 8 of 9 fall into the padding everywhere at this size" in texts[0]


class Skip(nn.Module):
    """An encoder and a decoder of one level, concatenated or added."""

    def __init__(self, up: nn.Module, add: bool = False) -> None:
        super().__init__()
        self.down, self.up, self.add = nn.Conv2d(2, 2, 3, 2, 1), up, add

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.up(self.down(x)))
        return x + y if self.add else torch.cat([x, y], dim=1)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(
    ("up", "size", "mended"),
    [
        (nn.ConvTranspose2d(2, 2, 3, 2, 1), (16, 16), "ConvTranspose(3, stride=2, padding=1, output_padding=1)"),
        (nn.ConvTranspose2d(2, 2, 4, 2, 1), (15, 15), "ConvTranspose(4, stride=2, padding=1)"),
        (nn.ConvTranspose2d(2, 2, 2, 2), (15, 16), "ConvTranspose(2, stride=2, padding=1, output_padding=1)"),
    ],
)
def test_a_skip_that_does_not_meet_is_mended(add: bool, up: nn.Module, size: tuple[int, int], mended: str) -> None:
    report: Report = trous.inspect(Skip(up, add), (1, 2, *size))
    mismatches = [text for text in report.warnings if "do not meet" in text]
    assert len(mismatches) == 1
    assert "up as ConvTranspose(" in mismatches[0]
    spec = eval(mismatches[0].split(" as ")[1].split(" gives ")[0], {"ConvTranspose": trous.ConvTranspose})
    made = spec.output_size(report["down"].output_size)
    assert made == size


def test_what_meets_is_left_alone() -> None:
    assert not any("meet" in t for t in warnings(Skip(nn.ConvTranspose2d(2, 2, 4, 2, 1)), 1, 2, 16, 16))


def test_the_report_goes_on_behind_a_mismatch() -> None:
    model = nn.Sequential(Skip(nn.ConvTranspose2d(2, 2, 3, 2, 1)), nn.Conv2d(4, 1, 3))
    report = trous.inspect(model, (1, 2, 16, 16))
    assert report["1"].output_size == (13, 13)
    assert report.macs > 0


def test_shifted_outputs() -> None:
    """An even kernel at stride 1 with all padding behind looks half a position to the right; a valid one further."""
    shifted = nn.Sequential(nn.ConstantPad1d((0, 1), 0.0), nn.Conv1d(1, 1, 2))
    (text,) = warnings(shifted, 1, 1, 16)
    assert text == "1: shift: outputs look 0.5 positions to the right of where they lie on the input"
    assert warnings(nn.Conv1d(1, 1, 3, padding=1), 1, 1, 16) == ()
    aligned = nn.Sequential(nn.Conv1d(1, 1, 4, 2, 1), nn.Upsample(scale_factor=2))
    assert not any("shift" in text for text in warnings(aligned, 1, 1, 16))


def test_causal_layers_are_meant_to_look_back() -> None:
    causal = nn.Sequential(nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(1, 1, 3))
    assert warnings(causal, 1, 1, 16) == ()


def test_unknown_operators_are_named() -> None:
    class Sorted(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.inv(x)

    report = trous.inspect(Sorted(), (1, 1, 4, 4))
    assert any("taken to mix all that goes in" in text for text in report.warnings)
    assert report.interval((0, 0)) == (range(4), range(4))
