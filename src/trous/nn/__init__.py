"""torch.nn's convolution layers on trous, and `accelerate`, which swaps those of a model in place."""

try:
    import torch  # noqa: F401 - everything here stands on it
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError("trous.nn and trous.accelerate need PyTorch: pip install torch", name="torch") from None

from trous.nn.layers import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from trous.nn.swap import accelerate

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "accelerate"]
