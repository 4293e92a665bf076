"""Decoders whose every size retraces the encoder's: `trous.mirror`. See docs/mirroring.md."""

from trous.mirroring.entry import mirror

__all__ = ["mirror"]
