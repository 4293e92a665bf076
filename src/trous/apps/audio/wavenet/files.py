"""Trained networks as files: what they are made of, what they were trained by, their weights."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.recipe import Recipe
from trous.apps.recipes import made
from trous.errors import TrousError
from trous.files import replace_file

#: Of a run's folder: what it ends with.
WEIGHTS = "weights.safetensors"
_KEY = "trous.wavenet"


def save(network: WaveNet, recipe: Recipe, path: Path) -> None:
    """Write the network, and the recipe with it, in one step."""
    from safetensors.torch import save as packed

    dtype = getattr(torch, recipe.stored)
    tensors = {name: value.detach().cpu().to(dtype).contiguous() for name, value in network.state_dict().items()}
    replace_file(path, packed(tensors, {_KEY: json.dumps(recipe.to_dict())}))


def load(path: Path) -> WaveNet:
    """The network in a file that `trous train wavenet` wrote, or in the folder of its run; float32, in eval mode.

    Raises TrousError for any other file.
    """
    from safetensors import SafetensorError, safe_open

    path = path / WEIGHTS if path.is_dir() else path
    try:
        with safe_open(path, "pt") as file:
            said: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a mapping
        known = {field.name for field in fields(Architecture)}
        network = WaveNet(made(Architecture, {name: value for name, value in said.items() if name in known}))
        network.load_state_dict(tensors)
    except OSError as error:
        raise TrousError("weights", f"must be a file that can be read ({error.strerror or error})", str(path)) from None
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise TrousError("weights", f"must be a file of `trous train wavenet` ({error})", str(path)) from None
    if broken := [name for name, value in tensors.items() if not torch.isfinite(value).all()]:
        raise TrousError("weights", f"must be finite, and {broken[0]} is not", str(path))
    return network.eval()
