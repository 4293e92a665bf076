"""What stands in an ONNX file: its graph, the sizes of its inputs, its constants."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from trous.errors import TrousError

Shapes = Sequence[Sequence[int] | None] | None


def onnx_package() -> Any:
    """The package that reads ONNX files. Raises TrousError where it is missing."""
    try:
        import onnx
    except ImportError:
        raise TrousError("model", "needs the onnx package where it is an ONNX file: pip install onnx", None) from None
    return onnx


class OnnxFile:
    """A model that was read; weights kept in files beside it are not, until one is asked for.

    Raises TrousError for a file that is missing or no ONNX model.
    """

    def __init__(self, model: Any) -> None:
        self.onnx = onnx_package()
        self.folder: Path | None = None
        if isinstance(model, (str, PathLike)):
            self.folder = Path(fspath(model)).parent
            model = self._read(Path(fspath(model)))
        elif not isinstance(model, self.onnx.ModelProto):
            raise TrousError("model", "must be the path of an ONNX file or an onnx.ModelProto", type(model).__name__)
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
        self.model = model
        self.versions = {opset.domain: opset.version for opset in model.opset_import}
        if "ai.onnx" in self.versions:  # the other name of the standard's own operators
            self.versions[""] = self.versions["ai.onnx"]
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = [given for given in model.graph.input if given.name not in self.initializers]

    def _read(self, path: Path) -> Any:
        if not path.is_file():
            raise TrousError("model", "must be a file that exists", str(path))
        try:
            model = self.onnx.load(path, load_external_data=False)
        except OSError as error:
            raise TrousError("model", f"must be a file that can be read: {error.strerror}", str(path)) from error
        except Exception:  # protobuf's own DecodeError, which is no ValueError
            model = None
        if model is None or not model.ir_version or not model.graph.output:
            raise TrousError("model", "must be an ONNX file; no model could be read from it", str(path))
        return model

    def shapes(self, given: Shapes) -> tuple[list[tuple[int, ...]], dict[str, int]]:
        """The shape of every input, and the size that each symbol of the file stands for.

        Raises TrousError where shapes do not fit the file, or the file leaves open what is not given.
        """
        declared = {each.name: self._declared(each) for each in self.inputs}
        if given is not None and len(given) != len(declared):
            names = ", ".join(f"{name} {_text(shape)}" for name, shape in declared.items())
            raise TrousError("input_size", f"must have one shape for each input of the model ({names})", given)
        symbols: dict[str, int] = {}
        shapes = []
        for number, (name, own) in enumerate(declared.items()):
            shape = given[number] if given is not None else None
            if shape is None and not all(isinstance(n, int) for n in own):
                rule = f"must be given: the model leaves open what {name!r} of shape {_text(own)} is"
                raise TrousError("input_size", rule, None)
            shapes.append(self._bound(name, own, own if shape is None else shape, symbols))
        return shapes, symbols

    def _bound(self, name: str, own: Sequence[Any], shape: Sequence[Any], symbols: dict[str, int]) -> tuple[int, ...]:
        """The shape, checked against the file's own; `symbols` are those known so far."""
        fits = f"must fit {_text(own)}, the shape of the model's input {name!r}"
        if len(own) != len(shape):
            raise TrousError("input_size", fits, tuple(shape))
        for fixed, n in zip(own, shape, strict=True):
            if isinstance(n, bool) or not isinstance(n, int) or n < 1 or (isinstance(fixed, int) and fixed != n):
                raise TrousError("input_size", fits, tuple(shape))
            if fixed and isinstance(fixed, str) and symbols.setdefault(fixed, n) != n:
                rule = f"must give {fixed!r} one size; an input before {name!r} has {symbols[fixed]}"
                raise TrousError("input_size", rule, tuple(shape))
        return tuple(shape)

    def _declared(self, given: Any) -> list[int | str]:
        """Sizes where the file says them, else its symbol for them, "" where it has none."""
        if not given.type.HasField("tensor_type") or not given.type.tensor_type.HasField("shape"):
            raise TrousError("model", "must have inputs that are arrays of known rank", given.name)
        dims = given.type.tensor_type.shape.dim
        return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param for d in dims]

    def is_beside(self, tensor: Any) -> bool:
        """Whether the numbers are in a file of their own."""
        return tensor.data_location == self.onnx.TensorProto.EXTERNAL

    def array(self, tensor: Any) -> np.ndarray:
        """The numbers of a constant. Raises TrousError where they are in a file that is not there."""
        from onnx import external_data_helper, numpy_helper

        if self.is_beside(tensor):
            copy = self.onnx.TensorProto()
            copy.CopyFrom(tensor)
            tensor = copy
            try:
                external_data_helper.load_external_data_for_tensor(tensor, str(self.folder or "."))
            except (OSError, ValueError, self.onnx.checker.ValidationError) as error:
                rule = f"must have its external data beside it: {str(error).splitlines()[0]}"
                raise TrousError("model", rule, tensor.name) from error
        return numpy_helper.to_array(tensor)

    def itemsize(self, element: int) -> int:
        """Bytes of one element of an ONNX type, 4 where that is not known."""
        try:
            return int(self.onnx.helper.tensor_dtype_to_np_dtype(element).itemsize)
        except (KeyError, TypeError):
            return 4


def _text(shape: Sequence[int | str]) -> str:
    return f"({', '.join(str(n) or '?' for n in shape)})"
