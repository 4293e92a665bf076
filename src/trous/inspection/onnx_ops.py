"""ONNX operators in terms of `trous.inspection.flow`: elements moved, sums, statistics, products, recurrences."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from trous.inspection import flow
from trous.inspection.onnx_call import Call, operator
from trous.inspection.values import Value

#: Each element of the outputs depends on the elements of the inputs at its own place, ones stretched.
ELEMENTWISE = frozenset(
    """Abs Acos Acosh Add And Asin Asinh Atan Atanh Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr
    BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout Elu Equal Erf Exp Floor Gelu Greater
    GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul
    Neg Not Or Pow PRelu QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
    Sub Sum Swish Tan Tanh ThresholdedRelu Trilu Where Xor
    BiasGelu FastGelu QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QuickGelu""".split()  # noqa: SIM905
)

#: Which inputs are read depends on values.
DATA_DEPENDENT = frozenset(
    """Compress GatherElements GatherND GridSample MaxRoiPool MaxUnpool Multinomial NonMaxSuppression NonZero RoiAlign
    ScatterElements ScatterND Scatter Unique""".split()  # noqa: SIM905 - a list of words
)


#: Elementwise, where what comes beside the first input stands for channels or blocks, in a shape of its own.
_ALONE = frozenset(
    {"CastLike", "DequantizeLinear", "Dropout", "PRelu", "QLinearLeakyRelu", "QLinearSigmoid", "QuantizeLinear"}
)


def meeting(kind: str, count: int) -> list[int]:
    """Which of `count` inputs meet element by element, or in a concatenation: those whose sizes must agree."""
    if kind in ("QLinearAdd", "QLinearMul"):
        return [0, 3]
    return list(range(count)) if kind == "Concat" or kind in ELEMENTWISE - _ALONE else [0]


@operator(*ELEMENTWISE)
def elementwise(call: Call) -> list[Value]:
    values = [value for n in meeting(call.kind, len(call.inputs)) if (value := call.get(n)) is not None]
    shape = np.broadcast_shapes(*(value.shape for value in values))
    return [flow.joined(values, shape)] * call.outputs


# Elements in other places.


@operator("Concat")
def _concat(call: Call) -> list[Value]:
    values = call.values
    dim = call.axis()
    if len({value.shape[:dim] + value.shape[dim + 1 :] for value in values}) > 1:
        raise ValueError(f"shapes {[value.shape for value in values]} do not meet")
    filled = [value for value in values if value.shape[dim]] or values[:1]
    return [flow.concatenated(filled, dim)]


def rearranging(*names: str) -> Callable[[Callable[[Call], Callable[[np.ndarray], np.ndarray]]], Any]:
    """An operator that computes nothing, by what it does to an array of its first input's shape."""

    def register(move: Callable[[Call], Callable[[np.ndarray], np.ndarray]]) -> Any:
        operator(*names)(lambda call: [flow.rearranged(call.first, move(call))])
        return move

    return register


@rearranging("Transpose")
def _transpose(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array.transpose(call.attributes.get("perm"))


@rearranging("Reshape")
def _reshape(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    shape = call.first.shape
    wanted = call.numbers(1, "shape")
    if not call.attributes.get("allowzero"):
        wanted = [shape[d] if n == 0 else n for d, n in enumerate(wanted)]
    return lambda array: array.reshape(wanted)


@rearranging("Flatten")
def _flatten(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    axis, shape = call.attributes.get("axis", 1), call.first.shape
    rows = prod(shape[:axis])
    return lambda array: array.reshape(rows, prod(shape) // rows if rows else 0)


@rearranging("Squeeze")
def _squeeze(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    dims = call.numbers(1, "axes")
    return lambda array: array.squeeze() if dims is None else array.squeeze(tuple(np.atleast_1d(dims).tolist()))


@rearranging("Unsqueeze")
def _unsqueeze(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    dims = np.atleast_1d(call.numbers(1, "axes"))
    return lambda array: np.expand_dims(array, tuple(dims.tolist()))


@rearranging("Expand")
def _expand(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    shape = np.broadcast_shapes(call.first.shape, tuple(call.numbers(1)))
    return lambda array: np.broadcast_to(array, shape)


@rearranging("Tile")
def _tile(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    repeats = call.numbers(1)
    return lambda array: np.tile(array, repeats)


@rearranging("DepthToSpace")
def _depth_to_space(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    b = call.attributes["blocksize"]
    n, channels, height, width = call.first.shape
    if call.attributes.get("mode", "DCR") == "DCR":
        split, order = (n, b, b, channels // b**2, height, width), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, channels // b**2, b, b, height, width), (0, 1, 4, 2, 5, 3)
    return lambda array: array.reshape(split).transpose(order).reshape(n, channels // b**2, height * b, width * b)


@rearranging("SpaceToDepth")
def _space_to_depth(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    b = call.attributes["blocksize"]
    n, channels, height, width = call.first.shape
    split = (n, channels, height // b, b, width // b, b)
    return lambda array: array.reshape(split).transpose(0, 3, 5, 1, 2, 4).reshape(n, -1, height // b, width // b)


@rearranging("Slice")
def _slice(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    starts, ends = call.numbers(1, "starts"), call.numbers(2, "ends")
    dims = call.dims(call.numbers(3, "axes", range(len(starts))))
    steps = call.numbers(4, default=[1] * len(starts))
    index = [slice(None)] * len(call.first.shape)
    for dim, start, end, step in zip(dims, starts, ends, steps, strict=True):
        index[dim] = slice(start, end, step)
    return lambda array: array[tuple(index)]


@rearranging("ReverseSequence")
def _reverse(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    time = call.attributes.get("time_axis", 0)
    if any(n != call.first.shape[time] for n in call.numbers(1)):
        raise NotImplementedError
    return lambda array: np.flip(array, time)


@operator("Split")
def _split(call: Call) -> list[Value]:
    x, dim = call.first, call.axis()
    sizes = call.numbers(1, "split")
    if sizes is None:
        each = -(-x.shape[dim] // call.outputs)
        sizes = [each] * (call.outputs - 1) + [x.shape[dim] - each * (call.outputs - 1)]
    ends = np.cumsum(sizes).tolist()
    before = (slice(None),) * dim
    indices = [(*before, slice(end - n, end)) for n, end in zip(sizes, ends, strict=True)]
    return [flow.rearranged(x, lambda array, index=index: array[index]) for index in indices]  # type: ignore[misc]


@operator("Gather")
def _gather(call: Call) -> list[Value]:
    x, dim, index = call.first, call.axis(), call[1]
    if not x.trails:  # a table: each output depends on where it is looked up
        shape = (*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])
        ones = (1,) * (len(x.shape) - dim - 1)
        return [flow.joined([flow.rearranged(index, lambda array: array.reshape(array.shape + ones))], shape)]
    numbers = np.array(call.numbers(1))
    if numbers.ndim == 0:
        return [flow.rearranged(x, lambda array: array.take(int(numbers), axis=dim))]
    return [flow.rearranged(x, lambda array: array.take(numbers, axis=dim))]


@rearranging("GatherElements")
def _gather_elements(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    index, dim = np.array(call.numbers(1)), call.axis()
    return lambda array: np.take_along_axis(array, np.where(index < 0, index + array.shape[dim], index), dim)


@rearranging("GatherND")
def _gather_nd(call: Call) -> Callable[[np.ndarray], np.ndarray]:
    if call.attributes.get("batch_dims"):
        raise NotImplementedError
    index = np.moveaxis(np.array(call.numbers(1)), -1, 0)
    return lambda array: array[tuple(index)]


@operator("ScatterND")
def _scatter_nd(call: Call) -> list[Value]:
    if call.attributes.get("reduction", "none") != "none":
        raise NotImplementedError
    index = np.moveaxis(np.array(call.numbers(1)), -1, 0)
    return [flow.written(call.first, call[2], lambda array: array[tuple(index)])]


# Sums, statistics.


@operator("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin")
@operator("ReduceProd", "ReduceSum", "ReduceSumSquare")
def _reduce(call: Call) -> list[Value]:
    x, dims = call.first, call.numbers(1, "axes")
    if not dims:
        if call.attributes.get("noop_with_empty_axes"):
            return [x]
        dims = range(len(x.shape))
    return [flow.reduced(x, call.dims(dims), call.layer, keep=bool(call.attributes.get("keepdims", 1)))]


@operator("ArgMax", "ArgMin")
def _extreme(call: Call) -> list[Value]:
    return [flow.reduced(call.first, [call.axis()], call.layer, keep=bool(call.attributes.get("keepdims", 1)))]


@operator("Softmax", "LogSoftmax", "Hardmax")
def _softmax(call: Call) -> list[Value]:
    old = call.version < 13  # where all dimensions from the axis on count as one
    dim = call.axis(1 if old else -1)
    return [flow.spread(call.first, range(dim, len(call.first.shape)) if old else [dim], call.layer)]


@operator("DynamicQuantizeLinear")
def _quantised(call: Call) -> list[Value]:
    """The scale follows from the largest element and the least."""
    x, dims = call.first, range(len(call.first.shape))
    return [flow.spread(x, dims, call.layer)] + [flow.reduced(x, dims, call.layer)] * 2


@operator("OneHot")
def _one_hot(call: Call) -> list[Value]:
    dim = call.attributes.get("axis", -1) % (len(call.first.shape) + 1)
    return [flow.joined([flow.rearranged(call.first, lambda array: np.expand_dims(array, dim))], call.shape)]


@operator("LpNormalization", "RotaryEmbedding")
def _lp_normalization(call: Call) -> list[Value]:
    return [flow.spread(call.first, [call.axis(-1)], call.layer)]


@operator("MeanVarianceNormalization")
def _mean_variance(call: Call) -> list[Value]:
    return [flow.spread(call.first, call.dims(call.attributes.get("axes", (0, 2, 3))), call.layer)]


@operator("BatchNormalization")
def _batch_norm(call: Call) -> list[Value]:
    x = call.first
    if call.attributes.get("training_mode"):
        x = flow.spread(x, [0, *range(2, len(x.shape))], call.layer)
    channels = (x.shape[1],)
    return [x] + [flow.mixed([], channels, call.layer)] * (call.outputs - 1)


@operator("InstanceNormalization")
def _instance_norm(call: Call) -> list[Value]:
    return [flow.spread(call.first, range(2, len(call.first.shape)), call.layer)]


@operator("GroupNormalization")
def _group_norm(call: Call) -> list[Value]:
    return [grouped_norm(call.first, call.attributes["num_groups"], call.layer)]


def grouped_norm(x: Value, groups: int, name: str) -> Value:
    """A normalisation by the statistics of each group of channels."""
    return flow.spread(flow.taps(x, {}, x.shape, name, groups=groups), range(2, len(x.shape)), name)


@operator("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def _layer_norm(call: Call) -> list[Value]:
    x, dim = call.first, call.axis(-1)
    dims = range(dim, len(x.shape))
    return [flow.spread(x, dims, call.layer)] + [flow.reduced(x, dims, call.layer, keep=True)] * (call.outputs - 1)


@operator("TopK")
def _top(call: Call) -> list[Value]:
    together = flow.reduced(call.first, [call.axis(-1)], call.layer, keep=True)
    return [flow.joined([together], call.shape)] * 2


@operator("DFT")
def _transform(call: Call) -> list[Value]:
    dim = call.numbers(2, "axis", 1 if call.version < 20 else -2)
    together = flow.reduced(call.first, [*call.dims([dim]), len(call.first.shape) - 1], call.layer, keep=True)
    return [flow.joined([together], call.shape)]


@operator("CumSum", "CumProd")
def _running(call: Call) -> list[Value]:
    dim = call.dims(np.ravel(call.numbers(1)).tolist())[0]
    backwards = bool(call.attributes.get("reverse"))
    y = flow.accumulated(call.first, dim, call.layer, backwards=backwards)
    if call.attributes.get("exclusive"):
        y = flow.padded(y, dim, -1 if backwards else 1, 1 if backwards else -1, "zeros")
    return [y]


# Products.


@operator("MatMul", "MatMulInteger", "QLinearMatMul")
def _product(call: Call) -> list[Value]:
    return [_multiplied(call, call.first, call[3 if call.kind == "QLinearMatMul" else 1])]


def _multiplied(call: Call, first: Value, second: Value) -> Value:
    """As NumPy's matmul: a vector is a row on the left and a column on the right, and is dropped again."""
    vectors = [dim for dim, value in ((-2, first), (-1, second)) if len(value.shape) == 1]
    if len(first.shape) == 1:
        first = flow.rearranged(first, lambda array: array[None])
    if len(second.shape) == 1:
        second = flow.rearranged(second, lambda array: array[:, None])
    if first.shape[-1] != second.shape[-2]:
        raise ValueError(f"a product of {first.shape} with {second.shape}")
    shape = (*np.broadcast_shapes(first.shape[:-2], second.shape[:-2]), first.shape[-2], second.shape[-1])
    call.multiplications += prod(shape) * first.shape[-1]
    y = flow.contracted(first, second, shape, call.layer)
    return flow.rearranged(y, lambda array: array.squeeze(tuple(vectors))) if vectors else y


@operator("Gemm")
def _gemm(call: Call) -> list[Value]:
    pair = [
        flow.rearranged(value, lambda array: array.T) if call.attributes.get(turned) else value
        for value, turned in ((call.first, "transA"), (call[1], "transB"))
    ]
    y = _multiplied(call, *pair)
    added = call.get(2)
    return [y if added is None else flow.joined([y, added], y.shape)]


@operator("Einsum")
def _einsum(call: Call) -> list[Value]:
    left, arrow, out = call.attributes["equation"].replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in left or any(len(set(term)) < len(term) for term in terms):
        raise NotImplementedError
    if not arrow:
        out = "".join(sorted(label for label in set(left) - {","} if left.count(label) == 1))
    sizes = {
        label: n
        for term, value in zip(terms, call.values, strict=True)
        for label, n in zip(term, value.shape, strict=True)
    }
    aligned = []
    for term, value in zip(terms, call.values, strict=True):
        kept = flow.reduced(value, [d for d, label in enumerate(term) if label not in out], call.layer)
        term = "".join(label for label in term if label in out)
        order = sorted(range(len(term)), key=lambda d, term=term: out.index(term[d]))  # type: ignore[misc]
        missing = tuple(d for d, label in enumerate(out) if label not in term)
        aligned.append(flow.rearranged(kept, lambda array, o=order, m=missing: np.expand_dims(array.transpose(o), m)))  # type: ignore[misc]
    if len(terms) > 1:
        call.multiplications = prod(sizes.values()) * (len(terms) - 1)
    return [flow.joined(aligned, [sizes[label] for label in out])]


@operator("Attention", "MultiHeadAttention")
def _attention(call: Call) -> list[Value | None]:
    """Every query sees all keys and values."""
    query, key, value = (call[n] for n in range(3))
    rank, given = len(query.shape), call.attributes
    if rank < 3 or (call.kind == "MultiHeadAttention" and len(key.shape) != rank):
        raise NotImplementedError
    rows = flow.reduced(query, [rank - 1], call.layer, keep=True)
    beside = [each for each in call.inputs[1:] if each is not None]  # keys and values, those of before, a mask
    seen = [flow.mixed([each], (1,) * rank, call.layer) for each in beside]
    # heads may share their keys and values
    shared = given["q_num_heads"] // given["kv_num_heads"] if rank == 3 and "kv_num_heads" in given else 1
    shape = (*query.shape[:-1], value.shape[-1] * shared)
    past = call.get(4)
    length = key.shape[-2] + (past.shape[-2] if past is not None else 0)
    call.multiplications = (prod(query.shape) + prod(shape)) * length
    return [flow.joined([rows, *seen], shape), *call.everywhere(call.values)[1:]]


# Recurrences.


@operator("Loop", "Scan")
def _loop(call: Call) -> list[Value | None]:
    """What is carried from step to step keeps its shape; all depends on everything."""
    call.warnings.append(f"{call.kind} is taken to mix all that goes in")
    first = 2 if call.kind == "Loop" else 0
    carried = len(call.inputs) - first - call.attributes.get("num_scan_inputs", 0)
    for n in range(min(carried, call.outputs)):
        call.shapes[n] = call[first + n].shape
    return call.everywhere(call.values)


@operator("GRU", "LSTM", "RNN")
def _recurrent(call: Call) -> list[Value]:
    """Each output depends on all steps before its own, or behind it; both directions stand side by side."""
    x, w, r = call.first, call[1], call[2]
    batch_first = call.attributes.get("layout", 0)
    if batch_first:
        x = flow.rearranged(x, lambda array: array.swapaxes(0, 1))
    steps, batch, _ = x.shape
    hidden, word = r.shape[-1], call.attributes.get("direction", "forward")
    seen = flow.reduced(x, [2], call.layer, keep=True)
    begun = [value for value in call.inputs[4:7] if value is not None and value.trails]
    backwards = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[word]
    outputs = []
    for turned in backwards:
        y = flow.accumulated(seen, 0, call.layer, backwards=turned)
        y = flow.joined([y, *(flow.mixed([value], (1, 1, 1), call.layer) for value in begun)], (steps, batch, hidden))
        outputs.append(flow.rearranged(y, lambda array: array[:, None]))
    every = flow.concatenated(outputs, 1)
    last = flow.mixed([x, *begun], (len(backwards), batch, hidden), call.layer)
    if batch_first:
        every = flow.rearranged(every, lambda array: array.transpose(2, 0, 1, 3))
        last = flow.rearranged(last, lambda array: array.swapaxes(0, 1))
    call.multiplications = steps * batch * (prod(w.shape) + prod(r.shape))
    return [every, last, last][: call.outputs]


# What depends on nothing.


@operator("Shape", "Size", "ConstantOfShape", "EyeLike", "RandomNormal", "RandomNormalLike", "RandomUniform")
@operator("RandomUniformLike", "Constant")
def _independent(call: Call) -> list[Value | None]:
    return call.everywhere([])
