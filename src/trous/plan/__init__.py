"""The tap plan: the one concept of trous. Standard library only; see docs/plan.md for the mathematics."""

from trous.plan.axis import IDENTITY, AxisPlan, Tap, conv_axis, transposed_axis
from trous.plan.bind import BoundAxis, BoundPlan
from trous.plan.plan import Plan

__all__ = ["IDENTITY", "AxisPlan", "BoundAxis", "BoundPlan", "Plan", "Tap", "conv_axis", "transposed_axis"]
