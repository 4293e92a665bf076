"""Deconvolution by total variation: pictures whose edges are sharp and whose surfaces are calm.

The estimate minimises 1/2 |M (h * x) - y|^2 + weight * sum |grad x| (Rudin, Osher and Fatemi 1992), with one length of
the gradient over all axes and colours, so that edges of colours meet. It is found by the alternating direction method
of multipliers on the torus: u = h * x, v = grad x and, where the boundary or the sign limits x, z = x. The mask M,
which stands for unknown surroundings, strides and missing values alike, then touches u only, value by value, and x is
one division in Fourier space (Almeida and Figueiredo 2013, section III; Afonso, Bioucas-Dias and Figueiredo 2011).
Between the ends of the picture, which meet on a torus, no gradient counts: the values there go along with one end, and
opposite borders need not agree.
"""

from __future__ import annotations

import numpy as np

from trous.inverse.request import Task

Array = np.ndarray

ITERATIONS = 100
#: An iteration that changes the picture by less than this share of the noise is the last.
CHANGE = 0.05
#: Over-relaxation (Eckstein and Bertsekas 1992): below 2, and 1 without.
RELAXATION = 1.8
#: Penalty of v over that of u: how strongly the picture is smoothed between two looks at the data.
SMOOTHNESS = 0.2
#: The gradients that one shrinkage takes away, over the geometric mean of noise and gradient.
SHRINKAGE = 6.0
#: `default_weight`'s constant: the least mean loss of PSNR against the best weight of each of 372 blurred pictures.
WEIGHT = 0.9


def total_variation(task: Task) -> Array:
    """The estimate (pictures, colours, *result) after `task.iterations`, or 100 at most, fewer once it hardly changes.

    `task.weight` in units of y (None: `default_weight`); one that is 0 leaves the data alone to say what x is.
    """
    solver = Solver(task)
    iterations = ITERATIONS if task.iterations is None else task.iterations
    for iteration in range(1, iterations + 1):
        change = solver.step()
        if task.iterations is None:
            solver.finished |= change < CHANGE
        if task.watch(iteration, iterations, solver.residual, solver.estimate) or solver.finished.all():
            break
    return solver.estimate()


def default_weight(noise: Array, gradient: Array, energy: Array, colours: int) -> Array:
    """The weight that the noise asks for, in units of y: 0.9 noise^1.5 gradient^-0.5 energy^0.625 colours^0.5.

    noise: standard deviation; gradient: `typical_gradient` of y; energy: sum of squares of the PSF, whose sum is 1. It
    is proportional to y's units. The exponents are those of the best weights of photographs under motion, Gaussian and
    disk blurs with noise of 0.2 to 3 per cent.
    """
    return WEIGHT * noise * np.sqrt(noise / gradient) * energy**0.625 * np.sqrt(colours)


def typical_gradient(y: Array, mask: Array | None, noise: Array) -> Array:
    """Root mean square difference of neighbours in each of (pictures, colours, *size), less what is noise."""
    squares = np.zeros(len(y))
    counts = np.zeros(len(y))
    axes = tuple(range(1, y.ndim))
    for axis in range(2, y.ndim):
        step = np.diff(y, axis=axis).astype(np.float64)
        counted = np.ones_like(step)
        if mask is not None:
            ahead, behind = (np.take(mask, range(i, i + step.shape[axis]), axis) for i in (1, 0))
            counted = np.where((ahead > 0) & (behind > 0), 1.0, 0.0)
            step = np.where(counted > 0, step, 0)
        squares += (step * step).sum(axes)
        counts += counted.sum(axes)
    mean = (squares / np.maximum(counts, 1)).reshape(noise.shape)
    return np.sqrt(np.maximum(mean - 2 * noise**2, noise**2 / 16))


class Solver:
    """The pictures and multipliers of one call between two iterations.

    All is for a PSF whose sum is 1: x is what the PSF's sum times the picture is. A split variable and its multiplier
    are kept as their sum before the last step that parted them, and the multiplier after it: for u these are `light`
    and `light - u`; for v they are `gradients` and `share` times them, as shrinking takes one share of all.
    """

    def __init__(self, task: Task) -> None:
        torus = self.torus = task.torus
        dtype = torus.data.dtype
        spatial = self.spatial = tuple(range(2, torus.data.ndim))
        self.nonnegative = task.nonnegative
        sums = task.psf.sum(spatial, dtype=np.float64, keepdims=True)
        self.sum = np.sqrt((sums * sums).mean(1, keepdims=True)).astype(dtype)
        spectrum = self.spectrum = torus.spectrum / self.sum
        energy = (task.psf / self.sum.astype(np.float64)) ** 2
        energy = energy.sum(spatial, keepdims=True).mean(1, keepdims=True)
        least = max(float(np.finfo(dtype).eps * np.abs(torus.data).max()), float(np.finfo(dtype).tiny) ** 0.5)
        noise = task.noise
        gradient = np.maximum(typical_gradient(task.y, task.mask, noise), least)
        noise = np.maximum(noise, np.maximum(1e-3 * gradient, least))
        usual = default_weight(noise, gradient, energy, task.y.shape[1])
        weight = usual if task.weight is None else task.weight / self.sum * np.ones_like(usual)

        shrinkage = SHRINKAGE * np.sqrt(noise * gradient)
        penalty = np.maximum(weight, 1e-3 * usual) / shrinkage
        self.threshold = (weight / penalty * torus.inside).astype(dtype)
        self.penalty = penalty.astype(dtype)  # of v, and of z
        self.data_penalty = (penalty / SMOOTHNESS).astype(dtype)

        self.light = torus.filled()
        self.light_multiplier = np.zeros_like(self.light)
        self.x = self.allowed(self.light * np.sign(sums).astype(dtype))
        self.limited = self.nonnegative or torus.tie(self.x) is not None
        self.limit_sum = self.x
        self.limit_multiplier = np.zeros_like(self.x)
        self.gradients = [difference(self.x, axis) for axis in self.spatial]
        self.share = np.zeros_like(self.x[:, :1])

        power = spectrum.real**2 + spectrum.imag**2
        self.back = self.data_penalty * np.conj(spectrum)
        self.denominator = self.data_penalty * power + self.penalty * torus.laplacian
        if self.limited:
            self.denominator += self.penalty
        inner = tuple(range(1, self.x.ndim))
        self.noise = noise.reshape(-1)
        self.counted = np.maximum((torus.observed + np.zeros_like(self.x)).sum(inner), 1)
        self.residual = float("inf")
        self.finished = np.zeros(len(task.y), bool)  # pictures that stay as they are, each from its own time on

    def step(self) -> Array:
        """One iteration, and the largest root mean square change of a picture by it, as a share of its noise."""
        torus = self.torus
        target = divergence(self.gradients, 1 - 2 * self.share)
        if self.limited:
            target += self.limit_sum - 2 * self.limit_multiplier
        target *= self.penalty
        estimate = self.back * torus.transform(self.light - 2 * self.light_multiplier)
        estimate += torus.transform(target)
        estimate /= self.denominator
        x = torus.inverse(estimate)
        estimate *= self.spectrum
        blurred = torus.inverse(estimate)

        kept = (1 - RELAXATION) + RELAXATION * self.share
        squares = np.zeros_like(self.share)
        for gradient, axis in zip(self.gradients, self.spatial, strict=True):
            gradient *= kept
            step = difference(x, axis)
            step *= RELAXATION
            gradient += step
            squares += np.einsum("pc...,pc...->p...", gradient, gradient)[:, None]
        length = np.sqrt(squares, out=squares)
        np.maximum(length, self.threshold, out=length)
        self.share = np.divide(self.threshold, length, out=length, where=length > 0)

        misfit = torus.observed * blurred - torus.data
        self.residual = float(np.sqrt(_squares(misfit) / self.counted).max())
        self.light = relaxed(blurred, self.light, self.light_multiplier)
        self.light_multiplier = (torus.observed * self.light - torus.data) / (1 + self.data_penalty)
        if self.limited:
            self.limit_sum = relaxed(x, self.limit_sum, self.limit_multiplier)
            self.limit_multiplier = self.limit_sum - self.allowed(self.limit_sum)

        change = np.sqrt(_squares(x - self.x) / (x.size / len(x))) / self.noise
        self.x = np.where(self.finished.reshape(-1, *[1] * (x.ndim - 1)), self.x, x) if self.finished.any() else x
        return change

    def allowed(self, x: Array) -> Array:
        """The nearest picture that the boundary and the sign allow."""
        tied = self.torus.tie(x)
        x = x if tied is None else tied
        return np.maximum(x, 0) if self.nonnegative else x

    def estimate(self) -> Array:
        """A copy of the present pictures."""
        return self.torus.crop(self.allowed(self.x) / self.sum).copy()


def relaxed(now: Array, before: Array, multiplier: Array) -> Array:
    """The next sum of a split variable and its multiplier, from the last one and what it is split from now."""
    result = RELAXATION * now
    result += (1 - RELAXATION) * before
    result += RELAXATION * multiplier  # before is the variable and its multiplier
    return result


def difference(x: Array, axis: int) -> Array:
    """The next value less the present one; the first follows the last."""
    result = np.empty_like(x)
    here, there, last, first = (_part(axis, *ends) for ends in ((0, -1), (1, None), (-1, None), (0, 1)))
    np.subtract(x[there], x[here], out=result[here])
    np.subtract(x[first], x[last], out=result[last])
    return result


def divergence(gradients: list[Array], factor: Array) -> Array:
    """The adjoint of all axes' `difference`, of the gradients times the factor."""
    total = np.zeros_like(gradients[0])
    for axis, gradient in enumerate(gradients, 2):
        flow = gradient * factor
        here, there, last, first = (_part(axis, *ends) for ends in ((0, -1), (1, None), (-1, None), (0, 1)))
        total -= flow
        total[there] += flow[here]
        total[first] += flow[last]
    return total


def _part(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(start, stop))


def _squares(x: Array) -> Array:
    """The sum of squares of each picture."""
    return np.einsum("pi,pi->p", x.reshape(len(x), -1), x.reshape(len(x), -1))
