"""Signals that go on by themselves: every sample drawn by what the network said of it, in compiled code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trous.backends.cpu.stack.drawing import Draw
from trous.backends.cpu.stack.memory import PLACE
from trous.backends.cpu.stack.program import channels
from trous.errors import TrousError
from trous.streaming.fused.stream import FusedStream

__all__ = ["Draw", "Drawing"]


class Drawing:
    """A causal network that is fed its own output, one sample after another, in one native call for many.

    Args:
        module: from `(batch, 1 + conditions, n)` to `(batch, outputs, n)`: of every sample, and what the next one is
            conditioned on, what is said of the next.
        draw: how a sample comes of the outputs.
        levels: `(batch, n)`, what comes before the first sample that is drawn; at least one.
        conditions: `(batch, conditions, n - 1)`, of all of `levels` but the first.
        weights: as `trous.stream` takes them.

    Raises:
        TrousError: a module that cannot be streamed so, has other outputs, or gives them late.
    """

    def __init__(
        self, module: nn.Module, draw: Draw, levels: Tensor, conditions: Tensor, weights: torch.dtype | None = None
    ) -> None:
        self.live, self.draw = FusedStream(module, weights=weights), draw
        self.live.push(torch.cat([levels[:, None, :-1], conditions], 1))
        stack = self.live.compiled
        parts = stack.program.output
        if len(parts) > 1 or parts[0].channels != draw.outputs or self.live.delay:
            have = f"{channels(parts)} outputs, {self.live.delay} samples late"
            raise TrousError("module", f"must give {draw.outputs} outputs of one layer, and none late", have)
        self.function = stack.drawing(draw)
        for memory, level in zip(self.live.memories, levels[:, -1], strict=True):
            place = PLACE["last"] * 8
            memory[place : place + level.element_size()].view(stack.element)[0] = level.item()

    def block(self, conditions: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
        """The next levels, `(batch, n)`.

        Args:
            conditions: `(batch, conditions, n)`, of these samples; with no channels where there are none.
            uniforms: `(n, batch, draw.uniforms)`, random numbers as `draw` takes them.
            temperature: what logarithms of probabilities are divided by.
        """
        count, batch, _ = uniforms.shape
        levels = torch.empty(batch, count, dtype=self.live.dtype)
        heat = torch.full((1,), temperature, dtype=self.live.dtype)
        for own, memory in enumerate(self.live.memories):
            given = conditions[own].to(self.live.dtype).contiguous()
            numbers = uniforms[:, own].to(self.live.dtype).contiguous()
            self.function(
                memory.ctypes.data,
                given.data_ptr(),
                count,
                numbers.data_ptr(),
                heat.data_ptr(),
                levels[own].data_ptr(),
                count,
            )
            self.live.compiled.check(memory)
        return levels
