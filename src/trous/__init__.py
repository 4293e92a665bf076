"""Transposed and dilated convolution from one tap plan, for NumPy and PyTorch.

Specs say what a layer is (`Conv`, `ConvTranspose`); `conv` and `conv_transpose` run one on arrays; `functional` and
`nn` carry torch's own names and signatures, and `accelerate` swaps the layers of a torch model. `freeze` is for weights
that stay as they are. `explain` says which code a call would run. `solve` finds the specs between two sizes and
`solve_stack` the layers that see a field, `inspect` says what a network does to sizes, receptive fields and budgets,
`mirror` makes the decoder of an encoder, `stream` feeds a network block by block, `deconvolve` undoes a blur, `draw`
shows what a layer computes, `conventions` says how other frameworks spell it. Importing this needs NumPy and llvmlite;
what only some need is imported when first asked for, torch among it.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from trous import functional
from trous.errors import TrousError
from trous.explanation import explain
from trous.frozen import freeze
from trous.functional import conv, conv_transpose
from trous.interpolation import interpolation_kernel, interpolation_spec
from trous.spec import Conv, ConvTranspose

if TYPE_CHECKING:
    from trous import conventions, nn
    from trous.drawing import draw
    from trous.inspection import inspect
    from trous.inverse import deconvolve
    from trous.mirroring import mirror
    from trous.nn import accelerate
    from trous.solving import solve, solve_stack
    from trous.streaming import stream

__version__ = "0.1.0.dev0"

__all__ = [
    "Conv",
    "ConvTranspose",
    "TrousError",
    "__version__",
    "accelerate",
    "conv",
    "conv_transpose",
    "conventions",
    "deconvolve",
    "draw",
    "explain",
    "freeze",
    "functional",
    "inspect",
    "interpolation_kernel",
    "interpolation_spec",
    "mirror",
    "nn",
    "solve",
    "solve_stack",
    "stream",
]

_NEEDS_TORCH = ("accelerate", "nn")
#: Names that are imported when they are first asked for, and the module that has them or is what they name.
_LATE = {
    "accelerate": "trous.nn",
    "conventions": "trous.conventions",
    "deconvolve": "trous.inverse",
    "draw": "trous.drawing",
    "inspect": "trous.inspection",
    "mirror": "trous.mirroring",
    "nn": "trous.nn",
    "solve": "trous.solving",
    "solve_stack": "trous.solving",
    "stream": "trous.streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'trous' has no attribute {name!r}")
    module = importlib.import_module(_LATE[name])
    return module if _LATE[name] == f"trous.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    absent = () if importlib.util.find_spec("torch") else _NEEDS_TORCH
    return [name for name in __all__ if name not in absent]
