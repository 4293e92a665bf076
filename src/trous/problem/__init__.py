"""A spec with its sizes: one string for a test id, a reproduction line, a CLI argument, a benchmark key."""

from trous.problem.problem import Problem
from trous.problem.random import random_problems

__all__ = ["Problem", "random_problems"]
