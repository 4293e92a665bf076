"""Sound made sample by sample: what the network says of the next sample decides it, and is told it.

This is the one place where samples go round. Everything else comes in blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trous.streaming import stream

#: Outputs `(batch, channels)` of the core and numbers `(batch, uniforms)` from 0 to below 1 as levels `(batch,)`.
Sampler = Callable[[Tensor, Tensor], Tensor]


class Generator:
    """A core that goes on with its own samples.

    Args:
        core: from `(batch, 1 + conditions, n)` to `(batch, channels, n)`, causal (`network.Core`): of every sample, and
            what the next one is conditioned on, what is said of the next one.
        sampler: draws a level (`outputs.Output.sample`).
        levels: `(batch, n)`, what comes before the first sample that is drawn; at least one.
        conditions: `(batch, conditions, n - 1)`, of all of `levels` but the first.
    """

    def __init__(self, core: nn.Module, sampler: Sampler, levels: Tensor, conditions: Tensor):
        self.live, self.sampler = stream(core), sampler
        self.live.push(torch.cat([levels[:, None, :-1], conditions], 1))  # what is said there is of what is known
        self.last = levels[:, -1]

    def block(self, conditions: Tensor, uniforms: Tensor) -> Tensor:
        """The next levels, `(batch, n)`.

        Args:
            conditions: `(batch, conditions, n)`, of these samples; with no channels where there are none.
            uniforms: `(n, batch, uniforms)`, numbers from 0 to below 1.
        """
        levels = self.last.new_empty(len(self.last), len(uniforms))
        for n, numbers in enumerate(uniforms):
            seen = torch.cat([self.last[:, None, None], conditions[..., n : n + 1]], 1)
            self.last = levels[:, n] = self.sampler(self.live.push(seen)[..., 0], numbers)
        return levels
