"""Decoders whose every size retraces the encoder's: `trous.mirror`. See docs/mirroring.md."""
