"""ATen's operators as nodes: which treat every sample by itself, which read windows, why others cannot be streamed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from trous.spec import Spec
from trous.streaming import borders, local, scans, windows  # noqa: F401 - they fill the table
from trous.streaming.calls import RULES, Call, Made
from trous.streaming.signals import Signal
from trous.streaming.tracing import Step


def node(step: Step, known: dict[str, Signal], specs: Mapping[int, Collection[Spec]]) -> Made:
    """The node of a step, and the signal that it gives. Raises TrousError where it cannot be streamed."""
    call = Call(step, known, specs)
    if step.part and call.name not in local.PARTS:
        raise call.refuse("has a result that is known for a whole signal only")
    if call.name in RULES:
        return RULES[call.name](call)
    if torch.Tag.pointwise in step.function.tags:
        return local.pointwise(call)
    raise call.refuse("is not known to treat samples one by one, or in windows")
