"""Weights as each framework lays them out.

Ours are torch's: `(out, in/groups, *kernel)` for a convolution, `(in, out/groups, *kernel)` for a transposed one; ONNX
has the same. Every function takes and gives NumPy arrays of any dtype; the result is contiguous. Without changes to
make it is the array that was given.

    framework   convolution                  transposed convolution
    pytorch     (out, in/groups, *kernel)    (in, out/groups, *kernel)
    onnx        (out, in/groups, *kernel)    (in, out/groups, *kernel)
    keras       (*kernel, in/groups, out)    (*kernel, out, in)
    jax, flax   (*kernel, in/groups, out)    (*kernel, in/groups, out), the kernel turned round on every axis
                                             (*kernel, out, in) under transpose_kernel=True
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.spec import Conv, ConvTranspose, Spec


def weight_to_pytorch(w: Any, spec: Spec) -> np.ndarray:
    """The weight of `to_pytorch(spec)`: as it is, checked."""
    return _ours(w, spec)


def weight_from_pytorch(w: Any, spec: Spec) -> np.ndarray:
    """Our weight from that of `to_pytorch(spec)`: as it is, checked."""
    return _ours(w, spec)


def weight_to_onnx(w: Any, spec: Spec) -> np.ndarray:
    """The weight of `to_onnx(spec)`: as it is, checked."""
    return _ours(w, spec)


def weight_from_onnx(w: Any, spec: Spec) -> np.ndarray:
    """Our weight from that of `to_onnx(spec)`: as it is, checked."""
    return _ours(w, spec)


def weight_to_keras(w: Any, spec: Spec) -> np.ndarray:
    """The weight of `to_keras(spec)`, from ours.

    >>> weight_to_keras(np.zeros((64, 32, 4, 4)), ConvTranspose(4, stride=2, padding=1)).shape
    (4, 4, 32, 64)
    """
    return _last(_ours(w, _without_groups(spec)))


def weight_from_keras(w: Any, spec: Spec) -> np.ndarray:
    """Our weight, from that of `to_keras(spec)`."""
    return _ours(_first(_array(w)), _without_groups(spec))


def weight_to_jax(w: Any, spec: Spec, *, transpose_kernel: bool = False) -> np.ndarray:
    """The weight of `to_jax(spec)`, from ours. `transpose_kernel` is the argument of `lax.conv_transpose`.

    >>> weight_to_jax(np.zeros((64, 8, 4, 4)), ConvTranspose(4, stride=2, groups=4)).shape
    (4, 4, 16, 32)
    """
    ours = _ours(w, spec)
    if isinstance(spec, Conv) or _kept(spec, transpose_kernel):
        return _last(ours)
    return _last(_turned(ours, spec.groups))


def weight_from_jax(w: Any, spec: Spec, *, transpose_kernel: bool = False) -> np.ndarray:
    """Our weight, from that of `to_jax(spec)`, or of a transposed layer with that `transpose_kernel`."""
    given = _first(_array(w))
    if not isinstance(spec, Conv) and not _kept(spec, transpose_kernel):
        if given.shape[0] % spec.groups:
            raise TrousError("weight", f"must have output channels that groups ({spec.groups}) divide", np.shape(w))
        given = _turned(given, spec.groups)
    return _ours(given, spec)


def weight_to_flax(w: Any, spec: Spec, *, transpose_kernel: bool = False) -> np.ndarray:
    """The kernel of `to_flax(spec)`, from our weight: as for JAX."""
    return weight_to_jax(w, spec, transpose_kernel=transpose_kernel)


def weight_from_flax(w: Any, spec: Spec, *, transpose_kernel: bool = False) -> np.ndarray:
    """Our weight, from the kernel of `to_flax(spec)`: as for JAX."""
    return weight_from_jax(w, spec, transpose_kernel=transpose_kernel)


def _turned(w: np.ndarray, groups: int) -> np.ndarray:
    """`(a, b/groups, *kernel)` as `(b, a/groups, *kernel)`, the kernel turned round; twice is `w` again."""
    first, second, *kernel = w.shape
    by_group = w.reshape(groups, first // groups, second, *kernel).swapaxes(1, 2)
    return np.flip(by_group.reshape(groups * second, first // groups, *kernel), tuple(range(2, w.ndim)))


def _last(w: np.ndarray) -> np.ndarray:
    """Both channel axes moved behind the kernel, in exchanged order."""
    return np.ascontiguousarray(np.moveaxis(w, (0, 1), (-1, -2)))


def _first(w: np.ndarray) -> np.ndarray:
    return np.moveaxis(w, (-1, -2), (0, 1))


def _array(w: Any) -> np.ndarray:
    array = np.asarray(w)
    if not 3 <= array.ndim <= 5:
        raise TrousError("weight", "must have two axes of channels and one to three of the kernel", array.shape)
    return array


def _ours(w: Any, spec: Spec) -> np.ndarray:
    """`w` in our layout, once its shape is that of the spec."""
    if not isinstance(spec, (Conv, ConvTranspose)):
        raise TrousError("spec", "must be a trous.Conv or a trous.ConvTranspose", spec)
    array = _array(w)
    first, _, *kernel = array.shape
    ndim = spec.ndim or len(kernel)
    expected = tuple(spec.axis_arguments(axis)["kernel"] for axis in range(ndim))
    if tuple(kernel) != expected:
        raise TrousError("weight", f"must hold a kernel of {expected}", np.shape(w))
    if first % spec.groups:
        raise TrousError("weight", f"must have channels that groups ({spec.groups}) divide", np.shape(w))
    return np.ascontiguousarray(array)


def _kept(spec: Spec, transpose_kernel: bool) -> bool:
    """Whether JAX turns the kernel of a transposed layer round itself."""
    if transpose_kernel and spec.groups > 1:
        raise TrousError("transpose_kernel", f"must be False with groups ({spec.groups})", transpose_kernel)
    return transpose_kernel


def _without_groups(spec: Spec) -> Spec:
    if isinstance(spec, ConvTranspose) and spec.groups > 1:
        raise TrousError(
            "groups", "must be 1 for a transposed layer in Keras: convert each group by itself", spec.groups
        )
    return spec
