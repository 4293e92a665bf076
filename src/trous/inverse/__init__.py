"""The inverse problem: from what a convolution gave back to what it was given (docs/deconvolution.md). Needs SciPy.

A transposed convolution has the shape of the input and is the adjoint, not the inverse. `linear_operator` is a plan as
a matrix that solvers take; `deconvolve` estimates a picture from a blurred one.
"""

from trous.inverse.entry import deconvolve
from trous.inverse.operator import linear_operator

__all__ = ["deconvolve", "linear_operator"]
