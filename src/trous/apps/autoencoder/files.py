"""Files of weights and of codes: safetensors, with what belongs to the numbers as JSON in their head.

A file of codes names the model that made them by a fingerprint of its weights, so that no other decodes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trous.apps.autoencoder.model import Architecture, Autoencoder
from trous.errors import TrousError
from trous.files import replace_file

#: The weights that come with trous.
SHIPPED = Path(__file__).parent / "weights"
#: In a run's folder.
WEIGHTS = "weights.safetensors"
#: The one entry of the head, and what it says first.
_HEAD, _WEIGHTS, _CODES = "trous", "autoencoder weights, 1", "autoencoder codes, 1"


@dataclass
class Model:
    """A network that was trained, its name and the recipe that it was trained by."""

    name: str
    network: Autoencoder
    recipe: dict[str, Any] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Of the architecture and the weights, as they are stored."""
        digest = hashlib.sha256(json.dumps(self.network.architecture.to_dict()).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode() + tensor.half().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass
class Codes:
    """Codes `(code, rows, columns)`, one for each image, with the images' names and sizes (height, width)."""

    model: str
    fingerprint: str
    names: list[str]
    sizes: list[tuple[int, int]]
    values: list[Tensor]


def shipped() -> list[str]:
    """The names of the models that come with trous."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def save_model(path: Path, model: Model) -> None:
    """Write weights, rounded to float16, in one step."""
    tensors = {name: tensor.half().cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    head = {"name": model.name, "architecture": model.network.architecture.to_dict(), "recipe": model.recipe}
    _write(path, tensors, {"kind": _WEIGHTS, **head})


def load_model(name: str) -> Model:
    """A model by the name of one that comes with trous, a file of weights, or the folder of a run; in float32.

    Raises TrousError for what is none of these.
    """
    path = Path(name)
    if path.is_dir():
        path = path / WEIGHTS
    elif not path.suffix:
        path = SHIPPED / f"{name}.safetensors"
    if not path.is_file():
        rule = f"must be {', '.join(shipped())}, a .safetensors file, or the folder of a run that has ended"
        raise TrousError("model", rule, name)
    tensors, head = _read("model", path, _WEIGHTS)
    try:
        network = Autoencoder(Architecture(**head["architecture"]))
        network.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
    except (KeyError, TypeError, RuntimeError, TrousError) as error:
        raise TrousError("model", f"must be weights of an autoencoder of this version ({error})", str(path)) from None
    return Model(head["name"], network.eval(), head["recipe"])


def save_codes(path: Path, codes: Codes) -> None:
    """Write codes in one step, as float32: for each size of images a tensor `(images, code, rows, columns)`."""
    by_size: dict[str, list[Tensor]] = {}
    for size, value in zip(codes.sizes, codes.values, strict=True):
        by_size.setdefault(_word(size), []).append(value)
    tensors = {word: torch.stack(values).float().cpu().contiguous() for word, values in by_size.items()}
    head = {"model": codes.model, "fingerprint": codes.fingerprint, "names": codes.names, "sizes": codes.sizes}
    _write(path, tensors, {"kind": _CODES, **head})


def load_codes(path: Path) -> Codes:
    """Codes as they were saved. Raises TrousError for a file that is not there, damaged, or of another kind."""
    if not path.is_file():
        raise TrousError("codes", "must be a file that is there", str(path))
    tensors, head = _read("codes", path, _CODES)
    try:
        sizes = [(int(height), int(width)) for height, width in head["sizes"]]
        rows = {word: iter(tensor) for word, tensor in tensors.items()}
        values = [next(rows[_word(size)]) for size in sizes]
        return Codes(head["model"], head["fingerprint"], head["names"], sizes, values)
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise TrousError("codes", f"must be a whole file of codes ({error!r})", str(path)) from None


def check_codes(codes: Codes, model: Model) -> None:
    """Raises TrousError where another model has made the codes."""
    if codes.fingerprint != model.fingerprint():
        rule = f"must be the one that made the codes, {codes.model!r} with fingerprint {codes.fingerprint}"
        raise TrousError("model", rule, f"{model.name} {model.fingerprint()}")


def _word(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def _write(path: Path, tensors: dict[str, Tensor], head: dict[str, Any]) -> None:
    content = save(tensors, {_HEAD: json.dumps(head)})  # one entry: several would come in any order
    try:
        replace_file(path, content)
    except OSError as error:
        raise TrousError("output", f"must be where a file can be written ({error.strerror})", str(path)) from None


def _read(argument: str, path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as file:
            head = json.loads((file.metadata() or {}).get(_HEAD, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise TrousError(argument, f"must be an undamaged safetensors file ({error})", str(path)) from None
    if head.get("kind") != kind:
        raise TrousError(argument, f"must be a file of {kind.split(',')[0]}", str(path))
    return tensors, head
