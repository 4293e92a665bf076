"""Check, then time: trous beside PyTorch on a list of layers. `python -m trous.bench LIST`, or `make bench`."""

from trous.bench.compare import Case, Result, compare, contenders, read_cases
from trous.bench.timing import interleaved

__all__ = ["Case", "Result", "compare", "contenders", "interleaved", "read_cases"]
