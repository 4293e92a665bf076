"""Check, then time: trous beside PyTorch on a list of layers. `python -m trous.bench LIST`, or `make bench`."""

from trous.bench.compare import Case, Result, compare, read_cases
from trous.bench.timing import interleaved

__all__ = ["Case", "Result", "compare", "interleaved", "read_cases"]
