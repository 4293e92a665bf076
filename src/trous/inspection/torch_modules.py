"""Which module of a torch model is at work while it runs, and what its layers are called in reports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

#: Names of operators as functions are called.
_READABLE = {
    "trous::run": "conv",
    "trous::run_finished": "conv",
    "constant_pad_nd": "pad",
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_adaptive_avg_pool3d": "adaptive_avg_pool3d",
    "_softmax": "softmax",
    "_native_multi_head_attention": "attention",
    "_scaled_dot_product_flash_attention_for_cpu": "attention",
}


class Work(NamedTuple):
    """One call of a module."""

    path: str
    module: nn.Module | None
    call: int

    @property
    def is_layer(self) -> bool:
        """Whether it has nothing inside but what computes its weights. A model of functions alone is no layer."""
        if self.module is None or any(name != "parametrizations" for name, _ in self.module.named_children()):
            return False
        return bool(self.path) or type(self.module).__module__.startswith(("torch.nn.", "trous.nn."))

    @property
    def kind(self) -> str:
        return type(self.module).__name__.removeprefix("Parametrized")

    def title(self, operator: str) -> str:
        """What a report calls the place where an operator is called, in a sentence."""
        if self.is_layer:
            return f"{self.path} ({self.kind})".lstrip()
        return f"{self.path}.{readable(operator)}".lstrip(".")


class Modules:
    """The modules at work, the innermost last; each call has a number."""

    def __init__(self) -> None:
        self._stack: list[Work] = []
        self._calls = 0

    @property
    def current(self) -> Work:
        return self._stack[-1] if self._stack else Work("", None, 0)

    def number(self) -> int:
        """A number for one more call."""
        self._calls += 1
        return self._calls

    @contextlib.contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Keep the stack while `model` runs. A module that fails stays on it, to be named."""
        handles = []
        for name, module in model.named_modules():
            if "parametrizations" in name.split("."):
                continue  # what computes a weight belongs to the layer that has it

            def enter(module: nn.Module, args: Any, name: str = name) -> None:
                self._stack.append(Work(name, module, self.number()))

            def leave(module: nn.Module, args: Any, out: Any) -> None:
                self._stack.pop()

            handles += [module.register_forward_pre_hook(enter, prepend=True), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def readable(operator: str) -> str:
    """The name of an operator as the function that calls it."""
    return _READABLE.get(operator, operator)


def parameters(model: nn.Module) -> tuple[dict[str, int], int]:
    """Trained numbers by layer, each counted once, for the first layer that has it; and the memory of all."""
    counts: dict[str, int] = {}
    memory = 0
    for name, parameter in model.named_parameters():
        layer = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        layer = layer or type(model).__name__
        counts[layer] = counts.get(layer, 0) + parameter.numel()
        memory += parameter.numel() * parameter.element_size()
    return counts, memory
