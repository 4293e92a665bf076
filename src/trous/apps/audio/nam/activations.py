"""Activations by the names that files give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trous.apps.audio.nam.fields import Fields, number, shown
from trous.errors import TrousError


class Slopes(nn.Module):
    """A PReLU whose slopes, one for all channels or one for each, stay as they are.

    They stand in the file's configuration and not among its weights, so they are no parameter.
    """

    slopes: Tensor

    def __init__(self, slopes: list[float]) -> None:
        super().__init__()
        self.register_buffer("slopes", torch.tensor(slopes).reshape(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x) - self.slopes * functional.relu(-x)


class LeakyHardtanh(nn.Module):
    """The identity between two bounds, a slope beyond each."""

    def __init__(self, low: float, high: float, low_slope: float, high_slope: float) -> None:
        super().__init__()
        self.low, self.high, self.low_slope, self.high_slope = low, high, low_slope, high_slope

    def forward(self, x: Tensor) -> Tensor:
        within = functional.hardtanh(x, self.low, self.high)
        below, above = functional.relu(self.low - x), functional.relu(x - self.high)
        return within - self.low_slope * below + self.high_slope * above


class Hardswish(nn.Module):
    """`x * relu6(x + 3) / 6`, by operators that streams know."""

    def forward(self, x: Tensor) -> Tensor:
        return x * functional.hardtanh(x + 3, 0, 6) / 6


#: Those without numbers of their own.
PLAIN: dict[str, Callable[[], nn.Module]] = {
    "Tanh": nn.Tanh,
    "ReLU": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "SiLU": nn.SiLU,
    "Hardswish": Hardswish,
    "Softsign": nn.Softsign,
}


def activation(said: Any, channels: int, place: str) -> nn.Module:
    """The activation that a file asks for by a name, or by an object with its name as `type` and its numbers.

    Raises TrousError for one that is not known, and for numbers that it does not have.
    """
    if isinstance(said, str):
        said = {"type": said}
    fields = Fields(said, place)
    name = fields.text("type")
    if name in PLAIN:
        made = PLAIN[name]()
    elif name == "LeakyReLU":
        made = nn.LeakyReLU(fields.number("negative_slope", 0.01))
    elif name == "PReLU":
        made = Slopes(_slopes(fields, channels))
    elif name == "Hardtanh":
        made = nn.Hardtanh(fields.number("min_val", -1.0), fields.number("max_val", 1.0))
    elif name in ("LeakyHardtanh", "LeakyHardTanh"):
        bounds = fields.number("min_val", -1.0), fields.number("max_val", 1.0)
        made = LeakyHardtanh(*bounds, fields.number("min_slope", 0.01), fields.number("max_slope", 0.01))
    else:
        known = *PLAIN, "LeakyReLU", "PReLU", "Hardtanh", "LeakyHardtanh"
        raise TrousError(place, f"must be one of {', '.join(known)}", shown(name))
    fields.finish()
    return made


def _slopes(fields: Fields, channels: int) -> list[float]:
    if not fields.has("negative_slopes"):
        return [fields.number("negative_slope", 0.01)]
    slopes = fields.items("negative_slopes")
    if len(slopes) not in (1, channels):
        raise TrousError(fields.named("negative_slopes"), f"must be one for each of {channels} channels", len(slopes))
    return [number(slope, f"{fields.named('negative_slopes')}[{i}]") for i, slope in enumerate(slopes)]
