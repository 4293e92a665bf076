"""`trous.stream`: networks fed in blocks, with exactly the outputs of the whole signal (docs/streaming.md)."""

from trous.streaming.entry import stream

__all__ = ["stream"]
