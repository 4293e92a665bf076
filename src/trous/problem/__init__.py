"""A spec with its sizes: one string for a test id, a reproduction line, a CLI argument, a benchmark key."""

from trous.problem.problem import Problem
from trous.problem.random import random_problems
from trous.problem.text import parse_spec

__all__ = ["Problem", "parse_spec", "random_problems"]
