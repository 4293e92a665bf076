"""`draw` of a whole model: which view, and whether the model has it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from trous.drawing.scene import Drawing
from trous.errors import TrousError

MODEL_VIEWS = ("effective", "network", "fields")


def is_model(what: Any) -> bool:
    """Whether `draw` takes it for a model: a torch module, an ONNX model or the path of one."""
    torch = sys.modules.get("torch")
    return (
        isinstance(what, Path)
        or (isinstance(what, str) and what.endswith(".onnx"))
        or type(what).__module__.startswith("onnx")
        or (torch is not None and isinstance(what, torch.nn.Module))
    )


def draw_model(
    model: Any, size: Any, *, view: str | None = None, layer: str | None = None, axis: int | None = None
) -> Drawing:
    """The picture of a model, a torch module or an ONNX file; specs in sequence have the views network and fields."""
    from trous.inspection import inspect

    torch = sys.modules.get("torch")
    derivable = torch is not None and isinstance(model, torch.nn.Module)
    views = MODEL_VIEWS if derivable else MODEL_VIEWS[1:]
    if view is not None and view not in views:
        raise TrousError("view", f"must be one of {', '.join(views)} for such a model", view)
    if layer is not None and view not in (None, "effective"):
        raise TrousError("layer", "must be left out but for the view effective", layer)
    if view == "effective" or (view is None and derivable):
        from trous.inspection.influence import influence

        report = inspect(model, size)
        followed = [a for a in report.graph.axes if a.input == 0]
        wanted = _axis(axis, len(followed))
        if len(followed) < 3 or wanted is not None or view is not None or layer is not None:
            return _effective(influence(model, size, layer), len(followed), wanted)
    else:
        report = inspect(model, size)
    title = Path(model).name if isinstance(model, (str, Path)) else _title(model)
    if view == "fields":
        from trous.drawing.fields import draw_fields

        return draw_fields(title, report, _axis(axis, len(report.graph.axes)) or 0)
    if axis is not None:
        raise TrousError("axis", "must be left out but for the views effective and fields", axis)
    from trous.drawing.network import draw_network

    return draw_network(title, report)


def _effective(found: Any, rank: int, axis: int | None) -> Drawing:
    from trous.drawing.effective import draw_map, draw_profile

    if rank == 1 or axis is not None:
        return draw_profile(found, axis or 0)
    if rank == 2:
        return draw_map(found)
    raise TrousError("axis", f"must be one of the {rank} axes of the input, from 0", axis)


def _axis(axis: Any, rank: int) -> int | None:
    if axis is None:
        return None
    if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < rank:
        raise TrousError("axis", f"must be from 0 to {rank - 1}, an axis of the input behind batch and channels", axis)
    return axis


def _title(model: Any) -> str:
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    return f"{len(model)} layers" if isinstance(model, (list, tuple)) else type(model).__name__
