"""Decoders of torch models: shapes at every level, at every size, and what is trained."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import trous
from trous import TrousError, mirror
from trous.mirroring.decoder import Decoder
from trous.mirroring.layers import Broadcast, Convolution, Unpool
from trous.settings import BACKEND

#: For tests about sizes, which would generate code for each of them.
by_torch = pytest.mark.usefixtures("tensors")

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG_POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND, "tensors")


def random_encoder(rng: np.random.Generator, ndim: int) -> nn.Sequential:
    """Convolutions, pooling and activations whose sizes and channels are drawn."""

    def number(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    channels, layers = number(1, 3), list[nn.Module]()
    for _ in range(number(1, 3)):
        groups = number(1, 2) if channels % 2 == 0 else 1
        out = 2 * number(1, 2)
        kernel = [number(1, 5) for _ in range(ndim)]
        layers.append(
            CONVS[ndim](channels, out, kernel, number(1, 3), number(0, 2), dilation=number(1, 2), groups=groups)
        )
        channels = out
        layers.append(nn.ReLU())
        if rng.integers(2):
            kernel_size, stride = number(1, 4), number(1, 3)
            padding, ceil_mode = number(0, kernel_size // 2), bool(rng.integers(2))
            if rng.integers(2):
                layers.append(AVG_POOLS[ndim](kernel_size, stride, padding, ceil_mode))
            else:
                layers.append(MAX_POOLS[ndim](kernel_size, stride, padding, number(1, 2), ceil_mode=ceil_mode))
    return nn.Sequential(*layers)


def sizes_of(model: nn.Sequential, x: Tensor) -> list[tuple[int, ...]]:
    """What goes into each layer, and what comes out of the last; without repetitions that keep the size."""
    sizes = [tuple(x.shape[2:])]
    for layer in model:
        x = layer(x)
        sizes.append(tuple(x.shape[2:]))
    return sizes


def levels_of(decoder: Decoder, z: Tensor, size: Any) -> list[tuple[int, ...]]:
    """What comes out of each level."""
    sizes: list[tuple[int, ...]] = []
    hooks = [level.register_forward_hook(lambda *a: sizes.append(tuple(a[2].shape[2:]))) for level in decoder.levels]
    decoder(z, input_size=size)
    for hook in hooks:
        hook.remove()
    return sizes


def without_repeats(sizes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [sizes[0]] + [b for a, b in pairwise(sizes) if a != b]


@by_torch
@pytest.mark.parametrize(("ndim", "count"), [(1, 8), (2, 5), (3, 3)])
def test_random_encoders_at_several_sizes(ndim: int, count: int, rng: np.random.Generator) -> None:
    check_encoders(ndim, count, rng)


@by_torch
@pytest.mark.slow
@pytest.mark.parametrize(("ndim", "count"), [(1, 150), (2, 100), (3, 30)])
def test_many_random_encoders(ndim: int, count: int, rng: np.random.Generator) -> None:
    check_encoders(ndim, count, rng)


def check_encoders(ndim: int, count: int, rng: np.random.Generator) -> None:
    """Every level gives the size that went into the encoder's layer, one decoder for all sizes; gradients reach all."""
    largest = (100, 53, 30)[ndim - 1]
    done = 0
    while done < count:
        encoder = random_encoder(rng, ndim)
        first = tuple(int(n) for n in rng.integers(largest // 2, largest + 1, ndim))
        channels = encoder[0].in_channels
        try:
            decoder = mirror(encoder, first)
        except TrousError as error:
            assert "input_size must be" in str(error)
            continue
        done += 1
        for size in (first, *(tuple(int(n) for n in rng.integers(1, largest + 1, ndim)) for _ in range(3))):
            x = torch.randn(2, channels, *size)
            try:
                sizes = sizes_of(encoder, x)
            except RuntimeError as error:
                if "smaller than kernel size" in str(error):  # torch's avg_pool3d, whatever the padding
                    continue
                with pytest.raises(TrousError, match="input_size must be at least"):
                    decoder(torch.zeros(1), input_size=size)
                continue
            z = encoder(x)
            assert decoder.code_shape(size) == tuple(z.shape[1:])
            y = decoder(z, input_size=size)
            assert y.shape == x.shape
            assert without_repeats([*levels_of(decoder, z, size)[::-1], sizes[-1]]) == without_repeats(sizes)
        z = encoder(torch.randn(2, channels, *first))
        decoder(z).square().sum().backward()
        assert all(parameter.grad is not None for parameter in decoder.parameters())


@by_torch
def test_one_decoder_learns_at_two_sizes() -> None:
    """A convolutional code: gradients of both sizes go into the same weights, and the loss falls."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
    )
    decoder = mirror(encoder, (19, 27), norm=nn.BatchNorm2d)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-2)
    images = [torch.rand(2, 1, *size).cumsum(-1) / 20 for size in ((19, 27), (14, 31))]
    losses = []
    for _ in range(8):
        loss = sum((decoder(encoder(x), input_size=x.shape[2:]) - x).square().mean() for x in images)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_code_of_values_from_global_pooling_serves_every_size() -> None:
    encoder = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16)
    )
    decoder = mirror(encoder, (37, 53))
    assert decoder.code_shape() == (16,)
    for size in ((37, 53), (1, 1), (64, 9)):
        assert decoder(encoder(torch.rand(2, 3, *size)), input_size=size).shape == (2, 3, *size)
    with torch.no_grad():  # places can differ: the pattern is trained
        pattern = next(level for level in decoder.levels if isinstance(level, Broadcast)).pattern
        assert pattern is not None and pattern.shape == (8, 19, 27) and (pattern == 1).all()
    decoder(torch.rand(2, 16)).square().sum().backward()
    assert pattern.grad is not None and pattern.grad.abs().sum() > 0


@pytest.mark.parametrize("pool", [lambda x: x.mean((2, 3)), lambda x: x.amax((2, 3), keepdim=True)])
@pytest.mark.parametrize("size", [(2, 2), (9, 8)])
def test_reductions_are_global_pooling(pool: Any, size: tuple[int, int]) -> None:
    """A map of one position at the traced size, too."""

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 2, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = pool(self.conv(x).relu()).sigmoid()
            return y

    encoder = Encoder()
    decoder = mirror(encoder, size)
    assert sum(isinstance(level, Broadcast) for level in decoder.levels) == 1
    for other in (size, (14, 5)):
        assert decoder(encoder(torch.rand(1, 3, *other)), input_size=other).shape == (1, 3, *other)


def test_adaptive_pooling_to_a_map_before_a_linear_layer_serves_every_size() -> None:
    encoder = nn.Sequential(
        nn.Conv1d(2, 4, 5, stride=3), nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(16, 8)
    )
    decoder = mirror(encoder, 101)
    for n in (101, 5, 64):
        assert decoder(encoder(torch.rand(2, 2, n)), input_size=n).shape == (2, 2, n)


def test_a_linear_layer_behind_a_map_fixes_its_size() -> None:
    encoder = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 18 * 26, 32), nn.ReLU(), nn.Linear(32, 16)
    )
    decoder = mirror(encoder, (37, 53))
    x = torch.rand(2, 1, 37, 53)
    assert decoder(encoder(x)).shape == x.shape
    assert decoder(encoder(x), input_size=(38, 54)).shape == (2, 1, 38, 54)  # the same maps
    with pytest.raises(TrousError, match=r"must lead to maps of size \(18, 26\).*got \(18, 29\)\n.*\(37, 59\)"):
        decoder(encoder(x), input_size=(37, 59))


def test_flattened_maps_alone_fix_nothing() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Flatten())
    decoder = mirror(encoder, (9, 9))
    assert decoder(encoder(torch.rand(2, 1, 12, 7)), input_size=(12, 7)).shape == (2, 1, 12, 7)


class Block(nn.Module):
    """A residual block; with a stride its shortcut is a convolution of one tap."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, out, 3, stride, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.short = nn.Conv2d(channels, out, 1, stride) if stride > 1 else nn.Identity()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(out, out, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x).relu())
        z: Tensor = (y * self.gate(y) + self.short(x)).relu()
        return z


def convolutions(decoder: Decoder) -> list[tuple[int, int, tuple[int, ...], tuple[int, ...]]]:
    layers: list[Any] = [level.layer for level in decoder.levels if isinstance(level, Convolution)]
    return [(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride) for layer in layers]


def test_residual_blocks() -> None:
    """A block around its input is left out; of one that halves the size the longer branch is mirrored, no gate."""
    encoder = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1))
    decoder = mirror(encoder, (37, 53))
    assert convolutions(decoder) == [
        (16, 16, (3, 3), (1, 1)),
        (16, 8, (3, 3), (2, 2)),
        (8, 3, (7, 7), (2, 2)),
    ]
    assert decoder(encoder(torch.rand(1, 3, 40, 41)), input_size=(40, 41)).shape == (1, 3, 40, 41)


class Joined(nn.Module):
    """Channels joined and halved between convolutions, as dense blocks and gated units do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grow = nn.Conv2d(3, 6, 3, 2, groups=3), nn.Conv2d(6, 4, 3, padding=1)
        self.last = nn.Conv2d(10, 8, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.grow(x)], 1)
        return nn.functional.glu(self.last(x), 1)


def test_joined_and_halved_channels() -> None:
    encoder = Joined()
    decoder = mirror(encoder, (37, 53))
    assert convolutions(decoder) == [(4, 10, (3, 3), (2, 2)), (10, 3, (3, 3), (2, 2))]
    assert decoder(encoder(torch.rand(1, 3, 37, 53))).shape == (1, 3, 37, 53)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    ("encoder", "size", "other"),
    [
        (nn.Sequential(nn.Conv1d(2, 4, 4, padding="same"), nn.MaxPool1d(3, 2, 1, ceil_mode=True)), (33,), (40,)),
        (nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(2, 4, 4, 2), nn.ELU()), (11, 12), (20, 7)),
        (nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(2, 4, 4, 2)), (11, 12), (20, 7)),
        (nn.Sequential(nn.ZeroPad2d((-1, 2, 0, -3)), nn.Conv2d(2, 4, 3, 2)), (11, 12), (20, 7)),
        (nn.Sequential(nn.Conv2d(2, 4, 4, 2, 1, padding_mode="reflect")), (11, 12), (20, 7)),
        (
            nn.Sequential(nn.Conv2d(2, 4, 3, 2), nn.ConvTranspose2d(4, 2, 4, 2, 1), nn.Conv2d(2, 4, 2)),
            (11, 12),
            (20, 7),
        ),
        (nn.Sequential(trous.nn.Conv2d(2, 4, 3, 2, padding="same"), nn.ReLU()), (11, 12), (20, 7)),
        (nn.Sequential(trous.nn.Conv1d(2, 4, 4, 3, padding="causal"), nn.ReLU()), (32,), (17,)),
        (nn.Sequential(trous.nn.Conv2d(2, 4, 4, 2, 1, padding_mode="replicate")), (11, 12), (20, 7)),
        (
            trous.accelerate(nn.Sequential(nn.Conv2d(2, 4, 5, 3, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 2))),
            (16, 17),
            (20, 9),
        ),
        (nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 4, 7, 3)), (32,), (40,)),
        (nn.utils.parametrizations.weight_norm(trous.nn.Conv1d(2, 4, 7, 3, ((4, 1),))), (32,), (40,)),
    ],
)
def test_layers_of_every_kind(encoder: nn.Module, size: tuple[int, ...], other: tuple[int, ...]) -> None:
    decoder = mirror(encoder, size)
    for n in (size, other):
        x = torch.rand(2, 2, *n)
        assert decoder(encoder(x), input_size=n).shape == x.shape


def test_a_causal_encoder_has_a_causal_decoder() -> None:
    encoder = trous.nn.Conv1d(1, 1, 5, 2, padding="causal")
    decoder = mirror(encoder, 20, activation=None)
    z = torch.rand(1, 1, 10)
    later = z.clone()
    later[..., 6:] += 1
    before, after = decoder(z), decoder(later)
    assert torch.equal(before[..., :12], after[..., :12]) and not torch.equal(before, after)


@by_torch
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_unpooling_gives_a_constant_back(ceil_mode: bool) -> None:
    """At every size, the border and positions that no window holds among them; for kernel = stride nearest copy."""
    for kernel in (1, 2, 3, 5):
        for stride in (1, 2, 3):
            for padding in range(kernel // 2 + 1):
                pool = nn.AvgPool1d(kernel, stride, padding, ceil_mode, count_include_pad=False)
                if stride == 1 and kernel == 2 * padding + 1:
                    continue
                decoder = mirror(pool, 23, in_channels=2, activation=None)
                for n in (kernel, *range(11, 12 + stride)):
                    y = decoder(pool(torch.full((1, 2, n), 3.0)), input_size=n)
                    torch.testing.assert_close(y, torch.full((1, 2, n), 3.0))
                    if kernel == stride and not padding:
                        z = torch.rand_like(pool(y))
                        copied = z.repeat_interleave(stride, -1)
                        copied = torch.cat([copied, *[z[..., -1:]] * stride], -1)[..., :n]
                        assert torch.equal(decoder(z, input_size=n), copied)


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d((2, 3), (3, 2)),
        nn.MaxPool2d(2, 2, 1),
        nn.MaxPool2d(2, 2, 0, dilation=2),
        nn.MaxPool2d(3, 3, 1, 3, ceil_mode=True),
        nn.AdaptiveAvgPool2d((3, 5)),
    ],
)
def test_unpooling_in_two_dimensions(pool: nn.Module) -> None:
    decoder = mirror(pool, (37, 53), in_channels=3)
    for size in ((37, 53), (12, 8)):
        x = torch.full((2, 3, *size), 3.0)
        torch.testing.assert_close(decoder(pool(x), input_size=size), x)


def test_unpooling_weights() -> None:
    """Shared by the taps of a phase: (1/2, 1, 1/2) for windows of three at every second position."""
    (level,) = mirror(nn.MaxPool1d(3, 2, 1), 20, in_channels=2).levels
    assert isinstance(level, Unpool)
    assert level.weight.tolist() == [[[0.5, 1, 0.5]]] * 2
    assert level.weight.requires_grad


def test_activation_and_norm_stand_between() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3))
    decoder = mirror(encoder, (30, 31), activation=nn.GELU, norm=nn.InstanceNorm2d, output_activation=nn.Sigmoid)
    found = [[type(m) for m in level.finish] for level in decoder.levels if isinstance(level, Convolution)]
    assert found == [[nn.InstanceNorm2d, nn.GELU], [nn.InstanceNorm2d, nn.GELU], []]
    assert [m.num_features for m in decoder.modules() if isinstance(m, nn.InstanceNorm2d)] == [8, 4]
    y = decoder(torch.randn(1, 8, *decoder.code_shape()[1:]))
    assert y.min() > 0 and y.max() < 1
    bare = mirror(encoder, (30, 31), activation=None)
    assert not any(isinstance(m, nn.ReLU) for m in bare.modules())


def test_a_decoder_is_saved_and_loaded() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(1))
    decoder, other = mirror(encoder, (37, 53)), mirror(encoder, (37, 53))
    z = torch.rand(2, 4, 1, 1)
    assert not torch.equal(decoder(z), other(z))
    other.load_state_dict(decoder.state_dict())
    assert torch.equal(decoder(z), other(z))
    file = io.BytesIO()
    torch.save(decoder, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(decoder(z, input_size=(20, 30)), loaded(z, input_size=(20, 30)))


@by_torch
def test_a_decoder_compiles() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1))
    decoder, z = mirror(encoder, (19, 27)), torch.rand(2, 4, 1, 1)
    compiled = torch.compile(decoder, backend="eager", fullgraph=True)
    for size in ((19, 27), (8, 9)):
        assert torch.equal(compiled(z, input_size=size), decoder(z, input_size=size))


def test_the_encoder_stays_as_it_is() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).double().train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    decoder = mirror(encoder, (9, 9))
    assert encoder.training and encoder[1].training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert {parameter.dtype for parameter in decoder.parameters()} == {torch.float64}


class Two(nn.Module):
    """A variational encoder: the code first."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mean, self.spread = nn.Conv1d(1, 4, 3, 2), nn.Conv1d(4, 2, 1), nn.Conv1d(4, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(x).relu()
        return self.mean(x), self.spread(x)


def test_the_first_of_several_outputs_is_the_code() -> None:
    encoder = Two()
    assert mirror(encoder, 33)(encoder(torch.rand(1, 1, 33))[0]).shape == (1, 1, 33)


class Called(nn.Module):
    """A convolution that is no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = trous.conv(x, self.weight, padding=1)
        return y


@pytest.mark.parametrize("size", [9, (9, 9), (1, 2, 9, 9)])
def test_sizes_are_taken_as_inspect_takes_them(size: Any) -> None:
    decoder = trous.mirror(nn.Conv2d(2, 4, 3, 2), size)
    assert decoder(torch.ones(5, 4, 4, 4)).shape == (5, 2, 9, 9)
    assert decoder(torch.ones(5, 4, 5, 5), input_size=11).shape == (5, 2, 11, 11)


@pytest.mark.parametrize(
    ("encoder", "arguments", "message"),
    [
        (Called(), {"input_size": 9, "in_channels": 1}, "encoder must call convolutions as layers"),
        (
            nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"),
            {"input_size": (9, 9)},
            "encoder must be made of layers that mirror knows",
        ),
        (nn.Conv2d(1, 2, 5, 3), {"input_size": (4, 9)}, "input_size must be what the model accepts"),
        (nn.MaxPool2d(2), {"input_size": (9, 9)}, "in_channels must be given"),
        (nn.Conv2d(1, 2, 5, 3), {"input_size": (9,) * 3}, "input_size must have one entry for each axis, or be"),
        (nn.ReLU(), {"input_size": 9, "in_channels": 2}, "encoder must have a convolution"),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelUnshuffle(2)),
            {"input_size": (8, 8)},
            "encoder must be made of",
        ),
        (nn.Sequential(nn.Conv1d(1, 4, 3), nn.Linear(7, 2)), {"input_size": 9}, "encoder must be made of"),
        (nn.Sequential(nn.Conv1d(1, 4, 3), nn.LSTM(7, 2)), {"input_size": 9}, "encoder must "),
        (
            nn.Upsample(scale_factor=2),
            {"input_size": 9, "in_channels": 1},
            "encoder must be made of",
        ),
    ],
)
def test_what_cannot_be_mirrored(encoder: nn.Module, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        mirror(encoder, **arguments)


def test_wrong_codes_and_sizes_are_named() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Conv2d(4, 4, 3, 2))
    decoder = mirror(encoder, (37, 53))
    with pytest.raises(TrousError, match=r"z must have shape \(batch, 4, 8, 12\) for input_size=\(37, 53\)"):
        decoder(torch.rand(1, 4, 8, 13))
    with pytest.raises(TrousError, match=r"input_size must be at least \(7, 7\) for this encoder, got \(6, 53\)"):
        decoder(torch.rand(1, 4, 8, 12), input_size=(6, 53))
    with pytest.raises(TrousError, match="input_size must have one entry for each of 2 axes"):
        decoder(torch.rand(1, 4, 8, 12), input_size=(37,) * 3)
