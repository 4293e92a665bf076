"""Pictures enlarged by a trained network whose last layer is a transposed convolution (docs/models/upscale.md)."""

from trous.apps.upscale.network import Network, load, read

__all__ = ["Network", "load", "read"]
