"""Models and shapes as they are named on the command line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from trous.errors import TrousError


def found(name: str) -> Any:
    """The model that `module:factory` names, or the path of an ONNX file."""
    if name.endswith(".onnx") or ":" not in name:
        if not Path(name).is_file():
            raise TrousError("model", "must be module:factory or the path of an ONNX file that is there", name)
        return name
    import torch

    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        named: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise TrousError("model", f"must name a module that can be imported ({error})", name) from None
    for part in attribute.split("."):
        if not hasattr(named, part):
            public = ", ".join(sorted(n for n, value in vars(named).items() if callable(value) and n[0] != "_")[:12])
            raise TrousError("model", f"must name what the module has: {public or 'nothing to call'}", name)
        named = getattr(named, part)
    if isinstance(named, torch.nn.Module):
        return named
    try:
        made = named()
    except TypeError as error:
        raise TrousError("model", f"must name a function that needs no arguments ({error})", name) from None
    if not isinstance(made, torch.nn.Module):
        raise TrousError("model", f"must give a torch.nn.Module, not {type(made).__name__}", name)
    return made


def shapes(sizes: list[str] | None) -> Any:
    """One shape or several, None for none; each with commas or x in between."""
    if not sizes:
        return None
    each = [numbers("input", size) for size in sizes]
    return each[0] if len(each) == 1 else each


def numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise TrousError(name, "must be integers with commas in between, as in 1,3,224,224", text) from None
