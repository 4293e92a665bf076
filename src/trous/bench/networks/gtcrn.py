"""GTCRN, a speech-enhancement network of 24 thousand trained weights, and the STFT around it.

Rong, Sun, Zhang, Hu, Zhu, Lu: GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources,
ICASSP 2024. Attribute names follow the published checkpoint, so that it loads strictly; what the paper leaves open
(activation of the mask, small constants) is as in the published ONNX graph.

Axes: `(batch, channels, frames, bands)`. Every layer looks at the present and the past frames only.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

WINDOW = 512
HOP = 256
BINS = WINDOW // 2 + 1
LOW = 65  # bins that stay as they are; the rest is gathered into HIGH bands on the ERB scale
HIGH = 64
CHANNELS = 16
BANDS = 33  # of the LOW + HIGH bands, after two halvings


class Bands(nn.Module):
    """The ERB filter bank over the upper bins, and its way back."""

    def __init__(self) -> None:
        super().__init__()
        self.erb_fc = nn.Linear(BINS - LOW, HIGH, bias=False)
        self.ierb_fc = nn.Linear(HIGH, BINS - LOW, bias=False)
        self.requires_grad_(False)

    def merge(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., :LOW], self.erb_fc(x[..., LOW:])], dim=-1)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., :LOW], self.ierb_fc(x[..., LOW:])], dim=-1)


def neighbours(x: torch.Tensor) -> torch.Tensor:
    """Subband feature extraction: every channel between its copies moved by one band (three times the channels)."""
    return F.pad(x, (1, 1)).unfold(-1, 3, 1).movedim(-1, 2).flatten(1, 2)


class Recalibration(nn.Module):
    """Temporal recurrent attention: a gate for each channel and frame, from the energies of the frames so far."""

    def __init__(self, channels: int):
        super().__init__()
        self.att_gru = nn.GRU(channels, 2 * channels, batch_first=True)
        self.att_fc = nn.Linear(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        energy = x.square().mean(dim=-1).transpose(1, 2)
        gate = torch.sigmoid(self.att_fc(self.att_gru(energy)[0]))
        return x * gate.transpose(1, 2)[..., None]


class Scale(nn.Module):
    """A convolution that halves the bands, or a transposed one that doubles them."""

    def __init__(self, conv: type[nn.Module], before: int, after: int, groups: int, act: nn.Module):
        super().__init__()
        self.conv = conv(before, after, (1, 5), stride=(1, 2), padding=(0, 2), groups=groups)
        self.bn = nn.BatchNorm2d(after)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class Temporal(nn.Module):
    """Half of the channels through pointwise, dilated depthwise and pointwise layers; then both halves interleaved.

    The zeros of the past are put in front by hand. A transposed layer then crops what it writes outside the clip, which
    makes it the same causal filter with its kernel turned round.
    """

    def __init__(self, conv: type[nn.Module], dilation: int):
        super().__init__()
        half = CHANNELS // 2
        self.past = 2 * dilation
        cropped = self.past if conv is nn.ConvTranspose2d else 0
        self.point_conv1 = conv(3 * half, CHANNELS, 1)
        self.point_bn1 = nn.BatchNorm2d(CHANNELS)
        self.point_act = nn.PReLU()
        self.depth_conv = conv(CHANNELS, CHANNELS, 3, padding=(cropped, 1), dilation=(dilation, 1), groups=CHANNELS)
        self.depth_bn = nn.BatchNorm2d(CHANNELS)
        self.depth_act = nn.PReLU()
        self.point_conv2 = conv(CHANNELS, half, 1)
        self.point_bn2 = nn.BatchNorm2d(half)
        self.tra = Recalibration(half)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        worked, kept = x.chunk(2, dim=1)
        worked = self.point_act(self.point_bn1(self.point_conv1(neighbours(worked))))
        worked = self.depth_act(self.depth_bn(self.depth_conv(F.pad(worked, (0, 0, self.past, 0)))))
        worked = self.tra(self.point_bn2(self.point_conv2(worked)))
        return torch.stack([worked, kept], dim=2).flatten(1, 2)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.en_convs = nn.ModuleList(
            [
                Scale(nn.Conv2d, 9, CHANNELS, 1, nn.PReLU()),
                Scale(nn.Conv2d, CHANNELS, CHANNELS, 2, nn.PReLU()),
                *(Temporal(nn.Conv2d, dilation) for dilation in (1, 2, 5)),
            ]
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        outputs = []
        for layer in self.en_convs:
            x = layer(x)
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.de_convs = nn.ModuleList(
            [
                *(Temporal(nn.ConvTranspose2d, dilation) for dilation in (5, 2, 1)),
                Scale(nn.ConvTranspose2d, CHANNELS, CHANNELS, 2, nn.PReLU()),
                Scale(nn.ConvTranspose2d, CHANNELS, 2, 1, nn.Tanh()),
            ]
        )

    def forward(self, x: torch.Tensor, encoded: list[torch.Tensor]) -> torch.Tensor:
        for layer, skip in zip(self.de_convs, reversed(encoded), strict=True):
            x = layer(x + skip)
        return x


class Grouped(nn.Module):
    """Two recurrences, each over its half of the features."""

    def __init__(self, features: int, hidden: int, both_ways: bool):
        super().__init__()
        self.rnn1 = nn.GRU(features // 2, hidden // 2, batch_first=True, bidirectional=both_ways)
        self.rnn2 = nn.GRU(features // 2, hidden // 2, batch_first=True, bidirectional=both_ways)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=-1)
        return torch.cat([self.rnn1(first)[0], self.rnn2(second)[0]], dim=-1)


class DualPath(nn.Module):
    """Grouped dual-path recurrence: across the bands of a frame, both ways, then across the frames of a band."""

    def __init__(self) -> None:
        super().__init__()
        self.intra_rnn = Grouped(CHANNELS, CHANNELS // 2, both_ways=True)
        self.intra_fc = nn.Linear(CHANNELS, CHANNELS)
        self.intra_ln = nn.LayerNorm((BANDS, CHANNELS), eps=1e-8)
        self.inter_rnn = Grouped(CHANNELS, CHANNELS, both_ways=False)
        self.inter_fc = nn.Linear(CHANNELS, CHANNELS)
        self.inter_ln = nn.LayerNorm((BANDS, CHANNELS), eps=1e-8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1)
        batch, frames, bands, _ = x.shape
        across = self.intra_fc(self.intra_rnn(x.flatten(0, 1))).unflatten(0, (batch, frames))
        x = x + self.intra_ln(across)
        along = self.inter_fc(self.inter_rnn(x.transpose(1, 2).flatten(0, 1))).unflatten(0, (batch, bands))
        x = x + self.inter_ln(along.transpose(1, 2))
        return x.permute(0, 3, 1, 2)


class GTCRN(nn.Module):
    """A complex spectrum `(batch, BINS, frames)` to the enhanced one: multiplied by a complex mask."""

    def __init__(self) -> None:
        super().__init__()
        self.erb = Bands()
        self.encoder = Encoder()
        self.dpgrnn1 = DualPath()
        self.dpgrnn2 = DualPath()
        self.decoder = Decoder()

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        real, imag = (part.transpose(1, 2) for part in (spectrum.real, spectrum.imag))
        size = torch.sqrt(real.square() + imag.square() + 1e-12)
        encoded = self.encoder(neighbours(self.erb.merge(torch.stack([size, real, imag], dim=1))))
        mask = self.erb.split(self.decoder(self.dpgrnn2(self.dpgrnn1(encoded[-1])), encoded))
        return spectrum * torch.complex(mask[:, 0], mask[:, 1]).transpose(1, 2)


def enhance(network: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """A clip `(samples,)` at 16 kHz, cleaned; the samples after the last whole hop are dropped."""
    window = torch.hann_window(WINDOW, dtype=clip.dtype).sqrt()
    spectrum = torch.stft(clip[None], WINDOW, HOP, window=window, return_complex=True)
    return torch.istft(network(spectrum), WINDOW, HOP, window=window)[0]
