"""Values written into an array that held none before."""

from __future__ import annotations

import torch
from torch import nn

from trous.inspection import torch_trace
from trous.plan.field import INPUT


class Written(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(1, 2, 12)
        y[..., 1:10] = x
        return y


def test_what_is_written_into_zeros_is_there() -> None:
    (y,) = torch_trace.trace(Written(), [torch.ones(1, 2, 9)], [[2]]).outputs
    ((axis, trail),) = y.trails.items()
    assert trail.field is not None and trail.field.at(1) == INPUT.at(0)
    assert [y.depends(axis, (0, 1, o)) for o in (0, 1, 9, 10)] == [range(0), range(0, 1), range(8, 9), range(0)]
