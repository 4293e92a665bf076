"""The WaveNet of Neural Amp Modeler files: arrays of layers one behind the other, and what becomes of their heads.

The head of an array begins where that of the array before it ended. So the last head hears all layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trous.apps.audio.nam.activations import activation
from trous.apps.audio.nam.fields import Fields, equal
from trous.apps.audio.nam.layers import ArrayShape, LayerArray, array_shape
from trous.apps.audio.nam.network import CausalConv, Network
from trous.errors import TrousError
from trous.plan.stack import field

#: Samples that an output may depend on: minutes of sound, and 100 times what any model has.
_FARTHEST = 1 << 23


class WaveNet(Network):
    """A WaveNet from a file's `config`, its weights random as torch.nn.Conv1d has them.

    Args:
        config: `layers`, `head`, `head_scale`, and in newer files `in_channels` and `condition_dsp`.
        condition: the network of `condition_dsp`, which is a file within the file.

    Raises:
        TrousError: a configuration that is broken, or that says something which is not understood.
    """

    architecture = "WaveNet"
    head_scale: Tensor

    def __init__(self, config: dict[str, Any], condition: Network | None = None) -> None:
        super().__init__()
        self.config = config
        fields = Fields(config, "config")
        self.in_channels = fields.integer("in_channels", 1)
        self.condition = condition
        if (fields.value("condition_dsp") is None) != (condition is None):
            raise TrousError("config.condition_dsp", "must come with its network", condition)
        said = fields.items("layers")
        shapes = [array_shape(each, f"config.layers[{i}]") for i, each in enumerate(said)]
        self._check(shapes)
        self.arrays = nn.ModuleList(LayerArray(shape) for shape in shapes)
        self.head = nn.Sequential()
        self.out_channels = shapes[-1].head_outputs
        if head := fields.part("head"):
            self.head, self.out_channels = _post_head(head, self.out_channels)
        self.register_buffer("head_scale", torch.tensor(fields.number("head_scale", 1.0)))
        fields.finish()

    def _check(self, shapes: list[ArrayShape]) -> None:
        condition = self.in_channels
        if self.condition is not None:
            what = "of as many channels as the input"
            equal(self.condition.in_channels, self.in_channels, "config.condition_dsp", what)
            condition = self.condition.out_channels
        inputs = self.in_channels
        for i, shape in enumerate(shapes):
            place = f"config.layers[{i}]"
            equal(shape.inputs, inputs, f"{place}.input_size", "the channels before this array")
            equal(shape.condition, condition, f"{place}.condition_size", "the channels of the condition")
            if i:
                before = shapes[i - 1].head_outputs
                equal(before, shape.head_inputs, f"config.layers[{i - 1}].head_size", "what the next head takes")
            inputs = shape.channels
            convs = [*zip(shape.kernels, shape.dilations, strict=True), (shape.head_kernel, shape.head_dilation)]
            if (reach := sum(field(kernel, [dilation]) for kernel, dilation in convs)) > _FARTHEST:
                raise TrousError(f"{place}.dilations", f"must reach less than {_FARTHEST} samples back", reach)

    def forward(self, x: Tensor) -> Tensor:
        condition = x if self.condition is None else self.condition(x)
        head: Tensor | None = None
        for array in self.arrays:
            x, head = array(x, condition, head)
        assert head is not None
        return self.head(head * self.head_scale)

    def stored(self) -> list[Tensor]:
        """The network of the condition has weights of its own, within `config`."""
        return [*self.arrays.parameters(), *self.head.parameters(), self.head_scale]

    def written(self, rate: int) -> dict[str, Any]:
        """The file within the file says its rate too: the reference engine wants both alike."""
        if self.condition is None:
            return self.config
        said = self.config["condition_dsp"]
        inner = {**said, "config": self.condition.written(rate), "weights": self.condition.weights().tolist()}
        inner["sample_rate"] = rate
        return {**self.config, "condition_dsp": inner}


def _post_head(said: Fields, inputs: int) -> tuple[nn.Sequential, int]:
    """Convolutions behind the last array, an activation before each."""
    if said.has("in_channels"):
        equal(said.integer("in_channels"), inputs, said.named("in_channels"), "what the last array gives")
    channels, outputs = said.integer("channels"), said.integer("out_channels")
    kernels = said.integers("kernel_sizes")
    parts: list[nn.Module] = []
    for i, kernel in enumerate(kernels):
        parts.append(activation(said.value("activation"), inputs, said.named("activation")))
        wide = outputs if i == len(kernels) - 1 else channels
        parts.append(CausalConv(inputs, wide, kernel))
        inputs = wide
    said.finish()
    return nn.Sequential(*parts), outputs
