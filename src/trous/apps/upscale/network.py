"""The network that enlarges, on NumPy arrays: what `trous upscale` runs.

Its layers see zeros beyond the border of their input. So the edge of the picture is continued, by as many pixels as an
output can depend on, and what comes of them is cut off: no zero is ever seen, and a strip of the picture with so many
rows around it gives exactly what the whole gives. How many that are is read off the plans.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from trous.errors import TrousError
from trous.frozen import freeze
from trous.functional import conv, conv_transpose
from trous.interpolation import interpolation_spec
from trous.plan.reach import reads_through
from trous.plan.sizes import centred_padding
from trous.spec import Conv, ConvTranspose, Spec

#: Behind every convolution.
ACTIVATION = ("leaky_relu", 0.2)

WEIGHTS = Path(__file__).with_name("weights")


def enlarging_spec(kernel: int, scale: int) -> ConvTranspose:
    """A transposed convolution to `scale` times the size, its kernel even around every input."""
    padding = centred_padding(kernel, scale)
    if padding is None:
        raise TrousError("kernel", f"must be the scale, {scale}, and an even number more", kernel)
    return ConvTranspose((kernel, kernel), scale, padding)


class Network:
    """Luma between 0 and 1, `(height, width)`, to `scale` times the size; float32.

    Args:
        scale: 2, 3 or 4.
        tensors: the state_dict of `trous.apps.upscale.model.Upscaler`, as NumPy arrays.
    """

    def __init__(self, scale: int, tensors: Mapping[str, np.ndarray]):
        self.scale = scale
        names = ["first", *(f"body.{n}" for n in range(sum(name.endswith(".weight") for name in tensors) - 3))]
        self.convolutions = [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
        self.up, self.bias, self.skip = (tensors[name] for name in ("up.weight", "up.bias", "skip.weight"))
        self._frozen = [freeze(weight) for weight, _ in self.convolutions]

    @property
    def specs(self) -> list[Spec]:
        """The layers one behind the other, `skip` left out."""
        kernels = [weight.shape[-1] for weight, _ in self.convolutions]
        return [*(Conv((k, k), padding="same") for k in kernels), self.up_spec]

    @cached_property
    def up_spec(self) -> ConvTranspose:
        return enlarging_spec(self.up.shape[-1], self.scale)

    @cached_property
    def skip_spec(self) -> ConvTranspose:
        return interpolation_spec("bicubic", self.scale)

    @cached_property
    def halo(self) -> int:
        """How many pixels to every side of an input the outputs at its place can depend on."""
        through = [spec.plan(2).axes[0] for spec in self.specs], [self.skip_spec.plan(2).axes[0]]
        read = [reads_through(axes, range(self.scale)) for axes in through]
        return max(max(-r.start, r.stop - 1) for r in read)

    def __call__(self, luma: np.ndarray) -> np.ndarray:
        cut = slice(self.halo * self.scale, -self.halo * self.scale)
        return self.run(np.pad(luma, self.halo, mode="edge"))[cut, cut]

    def run(self, luma: np.ndarray) -> np.ndarray:
        """The same with zeros beyond the border, as the torch module computes it."""
        x = np.ascontiguousarray(luma, np.float32)[None, None]
        (_, bias), *others = self.convolutions
        features = hidden = conv(x, self._frozen[0], bias, padding="same", activation=ACTIVATION)
        for weight, (_, bias) in zip(self._frozen[1:], others, strict=True):
            hidden = conv(hidden, weight, bias, padding="same", activation=ACTIVATION)
        hidden += features
        skip, up = self.skip_spec, self.up_spec
        plain = conv_transpose(x, self.skip, stride=skip.stride, padding=skip.padding)
        return conv_transpose(hidden, self.up, self.bias, stride=up.stride, padding=up.padding, residual=plain)[0, 0]


def shipped() -> list[tuple[str, int]]:
    """Model and scale of every network that comes with trous."""
    parts = (path.stem.rpartition("-x") for path in WEIGHTS.glob("*.safetensors"))
    return sorted((model, int(scale)) for model, _, scale in parts)


def load(scale: int, model: str = "small") -> Network:
    """The network of that name that ships for a scale. Raises TrousError where there is none."""
    if model not in (models := {name for name, _ in shipped()}):
        raise TrousError("model", f"must be one of {', '.join(sorted(models))}", model)
    if (model, scale) not in shipped():
        scales = ", ".join(str(times) for name, times in shipped() if name == model)
        raise TrousError("scale", f"must be one of {scales}", scale)
    return read(WEIGHTS / f"{model}-x{scale}.safetensors")


def read(path: Path) -> Network:
    """The network in a file that `trous train upscale` wrote. Raises TrousError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            said = json.loads((file.metadata() or {})["trous.upscale"])
            return Network(int(said["scale"]), {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except OSError as error:
        raise TrousError("weights", f"must be a file that can be read ({error.strerror or error})", str(path)) from None
    except (SafetensorError, KeyError, ValueError) as error:
        raise TrousError("weights", f"must be a file of `trous train upscale` ({error})", str(path)) from None
