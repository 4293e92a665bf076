"""What a network does to sizes, positions and budgets: `trous.inspect`."""

from trous.inspection.layers import Layer
from trous.inspection.report import Report
from trous.inspection.request import inspect

__all__ = ["Layer", "Report", "inspect"]
