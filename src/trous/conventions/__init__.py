"""How other frameworks spell a layer: attributes from a spec, a spec from attributes, weights (docs/conventions.md).

`to_<framework>(spec, ndim, size)` gives the operator's name and attributes; `from_<framework>(name, attributes)` reads
them; `weight_to_<framework>(w, spec)` and `weight_from_<framework>(w, spec)` move weights. None of the frameworks is
imported. What one cannot say raises TrousError, with the nearest thing that works.
"""

from __future__ import annotations

from trous.conventions.flax import from_flax, to_flax
from trous.conventions.jax import from_jax, to_jax
from trous.conventions.keras import from_keras, to_keras
from trous.conventions.layer import Operator
from trous.conventions.onnx import from_onnx, to_onnx
from trous.conventions.pytorch import from_pytorch, to_pytorch
from trous.conventions.weights import (
    weight_from_flax,
    weight_from_jax,
    weight_from_keras,
    weight_from_onnx,
    weight_from_pytorch,
    weight_to_flax,
    weight_to_jax,
    weight_to_keras,
    weight_to_onnx,
    weight_to_pytorch,
)

FRAMEWORKS = ("flax", "jax", "keras", "onnx", "pytorch")

__all__ = [
    "FRAMEWORKS",
    "Operator",
    "from_flax",
    "from_jax",
    "from_keras",
    "from_onnx",
    "from_pytorch",
    "to_flax",
    "to_jax",
    "to_keras",
    "to_onnx",
    "to_pytorch",
    "weight_from_flax",
    "weight_from_jax",
    "weight_from_keras",
    "weight_from_onnx",
    "weight_from_pytorch",
    "weight_to_flax",
    "weight_to_jax",
    "weight_to_keras",
    "weight_to_onnx",
    "weight_to_pytorch",
]
