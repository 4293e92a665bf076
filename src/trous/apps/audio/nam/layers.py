"""The layers of a NAM WaveNet, and its arrays of them.

A layer adds to a dilated convolution of its input what the condition (the dry signal, or what another network makes of
it) gives through a 1x1 convolution, applies an activation, and hands it on twice: through a 1x1 convolution to its
residual, and to the head, where the outputs of all layers of an array add up. Everything else is optional.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from trous.apps.audio.nam.activations import activation
from trous.apps.audio.nam.fields import Fields, divides, shown
from trous.apps.audio.nam.network import CausalConv
from trous.errors import TrousError

#: Where the condition may scale and shift, in the order of their weights.
FILMS = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)
#: In one array; models have 10 to 23.
_MOST_LAYERS = 1000
GATINGS = "none", "gated", "blended"


@dataclass(frozen=True)
class FilmShape:
    """Whether a FiLM adds too, and its groups."""

    shift: bool
    groups: int


@dataclass(frozen=True)
class ArrayShape:
    """An array of layers as the file describes it; what is said for each layer is a list."""

    inputs: int
    condition: int
    channels: int
    bottleneck: int
    kernels: list[int]
    dilations: list[int]
    activations: list[Any]
    gatings: list[str]
    gates: list[Any]
    groups: int
    mixin_groups: int
    residual_groups: int
    head1x1: tuple[int, int] | None
    head_outputs: int
    head_kernel: int
    head_dilation: int
    head_bias: bool
    place: str
    films: dict[str, FilmShape] = field(default_factory=dict)

    @property
    def head_inputs(self) -> int:
        return self.head1x1[0] if self.head1x1 else self.bottleneck


def array_shape(said: Any, place: str) -> ArrayShape:
    """Read and check one entry of `layers`."""
    fields = Fields(said, place)
    dilations = fields.integers("dilations")
    if (count := len(dilations)) > _MOST_LAYERS:
        raise TrousError(fields.named("dilations"), f"must be fewer than {_MOST_LAYERS + 1}", count)
    if fields.has("kernel_sizes") and fields.has("kernel_size"):
        raise TrousError(fields.named("kernel_size"), "must not stand beside kernel_sizes", fields.value("kernel_size"))
    kernels = fields.integers("kernel_sizes") if fields.has("kernel_sizes") else [fields.integer("kernel_size")] * count
    if len(kernels) != count:
        raise TrousError(fields.named("kernel_sizes"), f"must be one for each of the {count} dilations", len(kernels))
    channels = fields.integer("channels")
    bottleneck = fields.integer("bottleneck", channels)
    gatings, gates = _gating(fields, count)
    widths = [bottleneck * (1 if gating == "none" else 2) for gating in gatings]
    condition = fields.integer("condition_size")
    head1x1 = fields.part("head1x1")
    outputs, kernel, dilation, bias = _head(fields)
    shape = ArrayShape(
        inputs=fields.integer("input_size"),
        condition=condition,
        channels=channels,
        bottleneck=bottleneck,
        kernels=kernels,
        dilations=dilations,
        activations=fields.spread("activation", count),
        gatings=gatings,
        gates=gates,
        groups=divides(fields.integer("groups_input", 1), [channels, *widths], fields.named("groups_input")),
        mixin_groups=divides(
            fields.integer("groups_input_mixin", 1), [condition, *widths], fields.named("groups_input_mixin")
        ),
        residual_groups=_residual_groups(fields, [bottleneck, channels]),
        head1x1=_head1x1(head1x1, bottleneck) if head1x1 else None,
        head_outputs=outputs,
        head_kernel=kernel,
        head_dilation=dilation,
        head_bias=bias,
        place=place,
    )
    for name in FILMS:
        if film := fields.part(name):
            shape.films[name] = FilmShape(film.flag("shift", True), film.integer("groups", 1))
            film.finish()
    if "head1x1_post_film" in shape.films and head1x1 is None:
        raise TrousError(fields.named("head1x1_post_film"), "must not be active without head1x1", True)
    fields.value("slimmable")  # which channels could be left out; none is
    fields.finish()
    return shape


def _residual_groups(fields: Fields, channels: list[int]) -> int:
    if not fields.has("layer1x1"):
        return 1
    said = fields.part("layer1x1")
    if said is None:  # the trainer then adds what the activation gives, the engine nothing
        rule = "must be active: without it, programs differ in what they add"
        raise TrousError(fields.named("layer1x1"), rule, False)
    return _groups(said, channels)


def _groups(said: Fields, channels: list[int]) -> int:
    groups = divides(said.integer("groups", 1), channels, said.named("groups"))
    said.finish()
    return groups


def _head1x1(said: Fields, bottleneck: int) -> tuple[int, int]:
    outputs = said.integer("out_channels")
    return outputs, _groups(said, [bottleneck, outputs])


def _head(fields: Fields) -> tuple[int, int, int, bool]:
    """Outputs, kernel, dilation and bias of the convolution of an array's sum."""
    if not fields.has("head"):
        return fields.integer("head_size"), 1, 1, fields.flag("head_bias")
    head = Fields(fields.value("head"), fields.named("head"))
    found = head.integer("out_channels"), head.integer("kernel_size"), head.integer("head_dilation", 1)
    bias = head.flag("bias")
    head.finish()
    return *found, bias


def _gating(fields: Fields, count: int) -> tuple[list[str], list[Any]]:
    """The way each layer is gated, and the activation of its gate."""
    gated = fields.flag("gated", False)
    gatings: list[Any] = fields.spread("gating_mode", count, "gated" if gated else "none")
    for i, gating in enumerate(gatings):
        if gating not in GATINGS:
            place = f"{fields.named('gating_mode')}[{i}]"
            raise TrousError(place, f"must be one of {', '.join(GATINGS)}", shown(gating))
    return gatings, fields.spread("secondary_activation", count, "Sigmoid")


class Film(nn.Module):
    """Feature-wise linear modulation (Perez et al. 2018, equation 1): what the condition says scales and shifts."""

    def __init__(self, condition: int, channels: int, shape: FilmShape, place: str) -> None:
        super().__init__()
        outputs = channels * (2 if shape.shift else 1)
        divides(shape.groups, [condition, outputs], f"{place}.groups")
        self.shift = shape.shift
        self.conv = CausalConv(condition, outputs, groups=shape.groups)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        if not self.shift:
            return x * self.conv(condition)
        scale, shift = self.conv(condition).chunk(2, dim=1)
        return x * scale + shift


class Layer(nn.Module):
    """One layer; its parts stand in the order of the file's weights."""

    def __init__(self, shape: ArrayShape, index: int) -> None:
        super().__init__()
        self.gating = shape.gatings[index]
        width = shape.bottleneck * (1 if self.gating == "none" else 2)
        self.conv = CausalConv(
            shape.channels, width, shape.kernels[index], dilation=shape.dilations[index], groups=shape.groups
        )
        self.mixin = CausalConv(shape.condition, width, groups=shape.mixin_groups, bias=False)
        self.residual = CausalConv(shape.bottleneck, shape.channels, groups=shape.residual_groups)
        self.head = None
        if shape.head1x1 is not None:
            self.head = CausalConv(shape.bottleneck, shape.head1x1[0], groups=shape.head1x1[1])
        sizes = (shape.channels, width, shape.condition, width, width, shape.bottleneck)
        modulated = dict(zip(FILMS, (*sizes, shape.channels, shape.head_inputs), strict=True))
        self.films = nn.ModuleDict(
            {
                name: Film(shape.condition, modulated[name], film, f"{shape.place}.{name}")
                for name, film in shape.films.items()
            }
        )
        place = f"{shape.place}.activation[{index}]"
        self.activation = activation(shape.activations[index], shape.bottleneck, place)
        if self.gating != "none":
            place = f"{shape.place}.secondary_activation[{index}]"
            self.gate = activation(shape.gates[index], shape.bottleneck, place)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """What the next layer gets, and what the head."""
        conv = self._film("conv_post_film", self.conv(self._film("conv_pre_film", x, condition)), condition)
        mixin = self.mixin(self._film("input_mixin_pre_film", condition, condition))
        mixed = conv + self._film("input_mixin_post_film", mixin, condition)
        mixed = self._film("activation_pre_film", mixed, condition)
        active = self._film("activation_post_film", self._activate(mixed), condition)
        head = active
        if self.head is not None:
            head = self._film("head1x1_post_film", self.head(active), condition)
        return x + self._film("layer1x1_post_film", self.residual(active), condition), head

    def _film(self, name: str, x: Tensor, condition: Tensor) -> Tensor:
        return self.films[name](x, condition) if name in self.films else x

    def _activate(self, x: Tensor) -> Tensor:
        if self.gating == "none":
            return self.activation(x)
        x, gate = x.chunk(2, dim=1)
        gate = self.gate(gate)
        if self.gating == "gated":
            return self.activation(x) * gate
        return gate * self.activation(x) + (1 - gate) * x


class LayerArray(nn.Module):
    """Layers of one width, one behind the other."""

    def __init__(self, shape: ArrayShape) -> None:
        super().__init__()
        self.rechannel = CausalConv(shape.inputs, shape.channels, bias=False)
        self.layers = nn.ModuleList(Layer(shape, index) for index in range(len(shape.dilations)))
        self.head = CausalConv(
            shape.head_inputs, shape.head_outputs, shape.head_kernel, dilation=shape.head_dilation, bias=shape.head_bias
        )

    def forward(self, x: Tensor, condition: Tensor, head: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the last layer gives, and what the head gives, which begins at `head`."""
        x = self.rechannel(x)
        for layer in self.layers:
            x, more = layer(x, condition)
            head = more if head is None else head + more
        assert head is not None
        return x, self.head(head)
