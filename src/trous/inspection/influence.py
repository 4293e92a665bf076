"""How strongly the inputs of a torch model act on its central output: the effective receptive field.

Of the inputs in a receptive field those in its middle have the most paths to the output, and weights make some paths
matter more than others. What an output really depends on is told by its derivatives (Luo, Li, Urtasun & Zemel,
"Understanding the effective receptive field in deep convolutional neural networks", 2016).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trous.arrays import is_torch
from trous.errors import TrousError
from trous.inspection.layers import Layer
from trous.inspection.request import inspect, tensors

#: Random inputs over which derivatives are averaged.
DRAWS = 8
#: What the effective field leaves out on each side: a Gaussian without it ends at 1.96 standard deviations.
TAIL = 0.025


@dataclass(frozen=True, eq=False)
class Influence:
    """How much each input acts on one output, channels summed.

    `strength` has an axis for each followed axis of the input; `field` is the exact interval of inputs on which the
    output at `position` depends at all. `layer` is whose output it is.
    """

    strength: np.ndarray
    field: tuple[range, ...]
    position: tuple[int, ...]
    layer: Layer
    title: str

    @property
    def effective(self) -> tuple[range, ...]:
        """The effective receptive field: for each axis the interval that holds about 95 % of the strength.

        The strength is summed over the other axes; from both ends as many inputs are left out as hold at most 2.5 % of
        the sum. For a Gaussian that is the middle and two standard deviations to either side, the measure of Luo et al.

        >>> Influence(np.array([1, 9, 60, 80, 60, 9, 1]), (range(7),), (3,), None, "").effective
        (range(1, 6),)
        """
        return tuple(_middle(self.along(axis)) for axis in range(self.strength.ndim))

    def along(self, axis: int) -> np.ndarray:
        """The strength summed over all axes but one."""
        return self.strength.sum(axis=tuple(a for a in range(self.strength.ndim) if a != axis))


def influence(model: Any, input_size: Any, layer: str | None = None) -> Influence:
    """The derivative of the central output of a torch model by its first input.

    The output of `layer`, or of the model, is taken at its central position; its channels are added up with random
    signs, so that none cancels another, and the absolute derivatives by the input's channels summed. That is averaged
    over 8 normal random inputs, always the same; tensors given for `input_size` are taken as they are instead. The
    model runs in eval mode and is left as it was.

    Raises TrousError where the model does not accept such an input, or its output has no derivative.
    """
    torch = sys.modules["torch"]
    report = inspect(model, input_size)
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    chosen = report.output if layer is None else report[layer]
    position = tuple(n // 2 for n in chosen.output_size)
    inputs = tensors(torch, model, input_size)
    if not (inputs[0].is_floating_point() or inputs[0].is_complex()):
        raise TrousError("size", "must be of real or complex numbers, by which there are derivatives", inputs[0].dtype)
    own = is_torch(input_size) or (isinstance(input_size, (list, tuple)) and any(map(is_torch, input_size)))
    dims = [axis.dim for axis in report.graph.axes if axis.input == 0]
    others = tuple(d for d in range(inputs[0].dim()) if d not in dims)
    total = torch.zeros([inputs[0].shape[d] for d in dims], dtype=torch.float64)
    with _undisturbed(torch, model):
        for draw in range(1 if own else DRAWS):
            torch.manual_seed(draw)
            if not own:
                inputs = [_random(torch, x) for x in inputs]
            derivative = _derivative(torch, model, inputs, layer, chosen.index(position))
            size = derivative.abs().cpu().double()
            total += size.sum(dim=others) if others else size
    strength = total.numpy()
    if not np.isfinite(strength).all() or not strength.any():
        what = "is 0 everywhere" if np.isfinite(strength).all() else "is not finite"
        raise TrousError(
            "model", f"must have an output with a derivative; that of {chosen.name} {what}", type(model).__name__
        )
    reached = [axis for axis in chosen.axes if axis in chosen.output.trails]
    intervals = dict(zip(reached, chosen.interval(position), strict=True))
    field = tuple(intervals.get(axis, range(0)) for axis in report.graph.axes if axis.input == 0)
    return Influence(strength, field, position, chosen, type(model).__name__)


def _derivative(torch: Any, model: Any, inputs: list[Any], layer: str | None, index: dict[int, int]) -> Any:
    seen: list[Any] = []
    leaf = inputs[0].detach().clone().requires_grad_()
    with contextlib.ExitStack() as stack:
        if layer is not None:
            module = dict(model.named_modules()).get(layer, model if layer == type(model).__name__ else None)
            if module is None:
                raise TrousError("layer", "must be a module of the model, not a function", layer)
            handle = module.register_forward_hook(lambda module, args, out: seen.append(out))
            stack.callback(handle.remove)
        out = model(leaf.clone(), *inputs[1:])  # a copy, which the model may overwrite
    found = seen[-1] if seen else out
    output = next(y for y in torch.utils._pytree.tree_leaves(found) if isinstance(y, torch.Tensor))
    centre = output[tuple(slice(index[d], index[d] + 1) if d in index else slice(None) for d in range(output.dim()))]
    if centre.is_complex():
        centre = torch.view_as_real(centre)
    signs = (2 * torch.randint(0, 2, centre.shape) - 1).to(centre)
    try:
        (gradient,) = torch.autograd.grad((signs * centre).sum(), [leaf], allow_unused=True)
    except RuntimeError as error:
        rule = f"must be differentiable by its input; {str(error).splitlines()[0]}"
        raise TrousError("model", rule, type(model).__name__) from None
    return torch.zeros_like(leaf) if gradient is None else gradient


def _random(torch: Any, like: Any) -> Any:
    """Normal random numbers, the same on every device."""
    return torch.randn(like.shape, dtype=like.dtype).to(like.device)


@contextlib.contextmanager
def _undisturbed(torch: Any, model: Any) -> Iterator[None]:
    """In eval mode with derivatives by the input alone; whatever that changes is put back."""
    training = [module for module in model.modules() if module.training]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval()
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True


def _middle(strength: np.ndarray) -> range:
    total = strength.sum() * (1 + 1e-12)  # a tail of exactly this share is left out
    start = int(np.searchsorted(strength.cumsum(), TAIL * total, side="right"))
    stop = len(strength) - int(np.searchsorted(strength[::-1].cumsum(), TAIL * total, side="right"))
    return range(start, stop)
