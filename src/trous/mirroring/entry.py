"""`mirror`: specs for specs, a decoder for a torch model."""

from __future__ import annotations

from typing import Any

from trous.errors import TrousError
from trous.mirroring.specs import mirrored_specs
from trous.spec import Ints, Spec


def relu() -> Any:
    """A torch.nn.ReLU; torch is imported when it is called."""
    from torch import nn

    return nn.ReLU()


def mirror(
    encoder: Any,
    input_size: Ints,
    *,
    in_channels: int | None = None,
    activation: Any = relu,
    norm: Any = None,
    output_activation: Any = None,
) -> Any:
    """The way back through the sizes of an encoder: layers that return to exactly the size it began with, odd or even.

    Args:
        encoder: a `Conv` or `ConvTranspose` or a sequence of these, in the order they run; or a torch module that takes
            one tensor `(batch, channels, *size)` and returns one (of several the first is the code).
        input_size: the encoder's input size, one integer for each axis, or an integer for one axis. For a torch module
            with a convolution layer also one integer for all of its axes, or `(batch, channels, *size)`.
        in_channels: of a torch module; by default those of its first convolution layer.
        activation: called without arguments for the module behind each convolution and linear layer of the decoder but
            the last of them. By default a torch.nn.ReLU; None for none.
        norm: called with the number of channels for a module between such a convolution and its activation, for example
            torch.nn.BatchNorm2d. None by default.
        output_activation: called without arguments for the module behind the last layer, for example torch.nn.Sigmoid.

    Returns:
        For specs a tuple of specs, last one first. A convolution becomes the transposed one of the same numbers, with
        the output_padding that returns to the size; "causal" crops behind only, so that it stays causal. A transposed
        convolution becomes a convolution. Needs NumPy only.

        For a torch module a `torch.nn.Module`, in the encoder's dtype and on its device: `decoder(z)` gives
        `(batch, channels, *input_size)`, and `decoder(z, input_size=...)` another size with the same weights. From the
        encoder's end to its beginning it has for each

        - convolution: `trous.nn.ConvTranspose1d` ... with the numbers of channels exchanged, and the other way round;
        - pooling that can change a size: a trained transposed convolution of each channel by itself, which at first
          spreads every value evenly over its window (for kernel = stride, nearest copy);
        - global pooling: copies, times a pattern of each channel that is trained and interpolated for other sizes; for
          other adaptive pooling copies;
        - padding layer: a crop;
        - flattening, linear layer: their counterparts. A linear layer behind a map fixes the input size.

        Normalisation, activation, dropout are not mirrored. Where branches meet, the way goes back along one on which
        nothing happens, which leaves residual blocks around their input out, or else along that with the most layers.

    Raises:
        TrousError: an input too small for the encoder, a layer that mirror does not know, a transposed convolution
            whose output_padding no convolution returns from.

    >>> mirror([Conv(7, stride=2, padding=3), Conv(3, stride=2, padding=1)], (37, 53))[1]
    ConvTranspose(kernel=7, stride=2, padding=3, output_padding=0, dilation=1, groups=1)
    >>> decoder = mirror(torch.nn.Conv2d(3, 16, 3, stride=2), (37, 53))
    >>> decoder(torch.ones(1, 16, 18, 26)).shape
    torch.Size([1, 3, 37, 53])
    """
    if isinstance(encoder, (Spec, tuple, list)):
        given = {"in_channels": in_channels, "norm": norm, "output_activation": output_activation}
        given["activation"] = None if activation is relu else activation
        for name, value in given.items():
            if value is not None:
                raise TrousError(name, "is for torch modules, not for specs", value)
        return mirrored_specs(encoder, input_size)
    if not _is_module(encoder):
        rule = "must be a torch module, or a Conv or ConvTranspose or a sequence of these"
        raise TrousError("encoder", rule, encoder)
    from trous.mirroring.decoder import decoder

    return decoder(encoder, input_size, in_channels, activation, norm, output_activation)


def _is_module(encoder: Any) -> bool:
    """Whether it is a torch module; torch is not imported to find out."""
    return any(
        cls.__module__ == "torch.nn.modules.module" and cls.__name__ == "Module" for cls in type(encoder).__mro__
    )
