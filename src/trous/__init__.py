"""Transposed and dilated convolution from one tap plan, for NumPy and PyTorch."""

__version__ = "0.1.0.dev0"
