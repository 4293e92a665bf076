"""Sound made sample by sample: what the network says of the next sample decides it, and is told it.

The whole round of a sample, network and drawing, is compiled code; work for a sample is one pass through the layers,
however far they see.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trous.apps.audio.wavenet.network import WaveNet
from trous.streaming.fused.drawing import Drawing


class Generator:
    """A network that goes on with its own samples.

    Args:
        network: the whole of it; its conditions come with the blocks.
        levels: `(batch, n)`, what comes before the first sample that is drawn; at least one.
        conditions: `(batch, conditions, n - 1)`, of all of `levels` but the first.
        temperature: 1 draws by the network's probabilities, less what is likelier, 0 the likeliest.
        weights: torch.bfloat16 or torch.float16 for weights rounded to these, which large networks run faster with.
    """

    def __init__(
        self,
        network: WaveNet,
        levels: Tensor,
        conditions: Tensor,
        temperature: float = 1.0,
        weights: torch.dtype | None = None,
    ):
        self.output, self.temperature = network.output, temperature
        self.drawing = Drawing(network.core, network.output.draw, levels, conditions, weights)

    def block(self, conditions: Tensor, uniforms: Tensor) -> Tensor:
        """The next levels, `(batch, n)`.

        Args:
            conditions: `(batch, conditions, n)`, of these samples; with no channels where there are none.
            uniforms: `(n, batch, uniforms)`, numbers from 0 to below 1.
        """
        return self.drawing.block(conditions, self.output.numbers(uniforms), self.temperature)
