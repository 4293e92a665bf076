"""JAX, compiled for the sizes of the layer, in the two layouts that it can be told."""

from __future__ import annotations

from functools import partial

import numpy as np

from trous.bench.peers.job import Job, Prepared


def prepare(job: Job, last: bool) -> Prepared:
    import jax

    jax.config.update("jax_enable_x64", job.problem.dtype == "float64")
    jax.clear_caches()  # or the kernels of layers that are done stay
    ndim, groups = job.problem.ndim, job.problem.spec.groups
    x, w = job.x, job.w
    if job.problem.kind == "conv":
        strides = [axis.stride for axis in job.axes]
        padding = [(axis.before, axis.after) for axis in job.axes]
        holes = None
    else:
        # What a transposed layer is to XLA: the input with holes between its elements, under the kernel turned round.
        strides, holes = [1] * ndim, [axis.stride for axis in job.axes]
        reach = [axis.dilation * (axis.kernel - 1) for axis in job.axes]
        padding = [
            (r - axis.before, r - axis.after + axis.output_padding) for axis, r in zip(job.axes, reach, strict=True)
        ]
        w = w.reshape((groups, -1, *w.shape[1:])).swapaxes(1, 2).reshape((-1, w.shape[0] // groups, *w.shape[2:]))
        w = np.flip(w, tuple(range(2, ndim + 2)))
    if last:
        x, w = np.moveaxis(x, 1, -1), np.moveaxis(w, (0, 1), (-1, -2))
    axes = "DHW"[-ndim:]
    convolve = partial(
        jax.lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        lhs_dilation=holes,
        rhs_dilation=[axis.dilation for axis in job.axes],
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C") if last else (f"NC{axes}", f"OI{axes}", f"NC{axes}"),
        feature_group_count=groups,
    )

    def layer(x: jax.Array, w: jax.Array, b: jax.Array | None) -> jax.Array:
        y = convolve(x, w)
        return y if b is None else y + (b if last else b.reshape((-1, *[1] * ndim)))

    compiled = jax.jit(layer)
    arguments = [
        None if numbers is None else jax.numpy.asarray(numbers, job.problem.dtype) for numbers in (x, w, job.b)
    ]

    def read(y: jax.Array) -> list[np.ndarray]:
        result = np.asarray(y).astype(job.x.dtype)
        return [np.moveaxis(result, -1, 1) if last else result]

    return Prepared(lambda: compiled(*arguments).block_until_ready(), read)
