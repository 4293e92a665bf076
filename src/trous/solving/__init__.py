"""From sizes to layers: every spec between two sizes, and stacks that see a wanted field (docs/solving.md)."""

from trous.solving.solutions import Solutions, solve
from trous.solving.stack import Stack, solve_stack

__all__ = ["Solutions", "Stack", "solve", "solve_stack"]
