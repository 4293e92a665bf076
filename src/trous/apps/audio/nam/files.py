"""Neural Amp Modeler files, `.nam`: JSON with a configuration, weights as one list, and what the maker says.

Numbers are written with as many digits as bring back the same float32.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trous.apps.audio.nam.amp import RATE, Amp
from trous.apps.audio.nam.fields import Fields, integer, number, shown
from trous.apps.audio.nam.layers import FILMS
from trous.apps.audio.nam.network import Network
from trous.apps.audio.nam.others import LSTM, ConvNet, Linear
from trous.apps.audio.nam.wavenet import WaveNet
from trous.errors import TrousError
from trous.files import replace_file

ARCHITECTURES = "WaveNet", "LSTM", "ConvNet", "Linear", "SlimmableContainer"
#: Bytes of the largest file that is read: 100 times a usual one.
LARGEST_FILE = 64 << 20
#: Networks within networks.
_DEEPEST = 3
#: The version of files that only have what all readers know, and of those that have more.
_FIRST, _LATER = "0.5.4", "0.7.0"


def load(path: str | Path, *, size: float = 1.0) -> Amp:
    """Read a `.nam` file: WaveNet (of the first kind and with what came later), LSTM, ConvNet, Linear, and containers.

    Args:
        path: the file.
        size: of a container, which network: the first whose upper bound lies above, else the last; 1 is the largest.

    Raises:
        TrousError: a file that is not there, damaged, or says something that is not understood; it names the place.
    """
    path = Path(path)
    try:
        return _amp(_document(path), size)
    except TrousError as error:
        raise error.within(str(path)) from None


def save(amp: Amp, path: str | Path) -> None:
    """Write a `.nam` file in one step; of a container, the network that was chosen.

    Raises:
        TrousError: weights that are not finite, metadata that JSON cannot hold, a folder that cannot be written to.
    """
    weights = amp.network.weights()
    if not bool(torch.isfinite(weights).all()):
        raise TrousError("weights", "must be finite to be written", "NaN or infinity")
    document = {
        "version": amp.version,
        "metadata": amp.metadata,
        "architecture": amp.network.architecture,
        "config": amp.network.written(amp.rate),
        "weights": weights.tolist(),
        "sample_rate": amp.rate,
    }
    try:
        replace_file(Path(path), json.dumps(document, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TrousError("metadata", "must be text, finite numbers, lists and objects of these", str(error)) from None
    except OSError as error:
        raise TrousError("model", f"must be where a file can be written ({error.strerror})", str(path)) from None


def trained(network: WaveNet, rate: int = RATE, **metadata: Any) -> Amp:
    """What is to be saved of a network that was trained: with the time, and the version that its configuration needs.

    Args:
        network: as `fresh` makes them, or from a file.
        rate: frames a second that it was trained for.
        metadata: `name`, `modeled_by`, `gear_type`, `gear_make`, `gear_model`, `tone_type`, `loudness` in dB, `gain`,
            `input_level_dbu`, `output_level_dbu`, `training`, and what else should stand in the file.
    """
    now = datetime.now(UTC)
    date = {key: getattr(now, key) for key in ("year", "month", "day", "hour", "minute", "second")}
    later = {"bottleneck", "kernel_sizes", "gating_mode", "head", "head1x1", "groups_input", *FILMS}
    new = network.config.get("head") is not None or any(later & layer.keys() for layer in network.config["layers"])
    return Amp(network, rate, {"date": date, **metadata}, _LATER if new else _FIRST)


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise TrousError("model", "must be a file that is there", str(path))
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise TrousError("model", f"must be a file of {LARGEST_FILE >> 20} MB at most", f"{size / 1e6:.0f} MB")
    try:
        document = json.loads(path.read_bytes(), parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:  # JSON, UTF-8 and integers of too many digits
        raise TrousError("model", "must be a whole .nam file, which is JSON", str(error).partition("\n")[0]) from None
    if not isinstance(document, dict):
        raise TrousError("model", "must be an object", shown(document))
    return document


def _not_finite(name: str) -> float:
    raise TrousError("model", "must have finite numbers", name)


def _amp(document: dict[str, Any], size: float) -> Amp:
    said = Fields(document, "")
    metadata = document.get("metadata") or {}
    Fields(metadata, "metadata")
    if said.text("architecture") != "SlimmableContainer":
        return Amp(_network(document), _rate(said), metadata, str(document.get("version") or _FIRST))
    choices = Fields(said.value("config"), "config").items("submodels")
    parts = [Fields(choice, f"config.submodels[{i}]") for i, choice in enumerate(choices)]
    bounds = tuple(part.number("max_value") for part in parts)
    if any(b <= a for a, b in itertools.pairwise(bounds)):
        raise TrousError("config.submodels", "must have rising max_value", bounds)
    index = next((i for i, bound in enumerate(bounds) if size < bound), len(bounds) - 1)
    inner = parts[index].value("model")
    try:
        if Fields(inner, "").text("architecture") == "SlimmableContainer":
            raise TrousError("architecture", "must not be a container within a container", "SlimmableContainer")
        amp = _amp(inner, size)
    except TrousError as error:
        raise TrousError(f"config.submodels[{index}].model.{error.argument}", error.rule, error.value) from None
    amp.metadata, amp.choices = {**metadata, **amp.metadata}, bounds
    return amp


def _rate(said: Fields) -> int:
    rate = said.value("sample_rate", RATE)
    return integer(int(rate) if isinstance(rate, float) and rate.is_integer() else rate, "sample_rate", 1 << 24)


def _network(document: dict[str, Any], depth: int = 0) -> Network:
    """The network of a file, or of a file within a file, with its weights."""
    said = Fields(document, "")
    name, config, rate = said.text("architecture"), said.value("config"), _rate(said)
    makers = {"WaveNet": lambda: WaveNet(config, condition), "ConvNet": lambda: ConvNet(config)}
    makers |= {"Linear": lambda: Linear(config), "LSTM": lambda: LSTM(config, rate)}
    if name not in makers:
        raise TrousError("architecture", f"must be one of {', '.join(ARCHITECTURES)}", shown(name))
    inner = Fields(config, "config").value("condition_dsp")
    condition: Network | None = None if inner is None else _inner(inner, depth + 1)
    weights = _weights(said)
    with torch.device("meta"):  # sizes without memory: what is broken may ask for any amount
        makers[name]().check_count(weights)
    network = makers[name]()
    network.set_weights(weights)
    return network.eval()


def _inner(document: Any, depth: int) -> Network:
    """The network of a file within a file."""
    place = "config.condition_dsp"
    if depth > _DEEPEST:
        raise TrousError(place, f"must be a network within {_DEEPEST} others at most", depth)
    try:
        if Fields(document, "").text("architecture") == "SlimmableContainer":
            raise TrousError("architecture", "must not be a container within a network", "SlimmableContainer")
        return _network(document, depth)
    except TrousError as error:
        raise TrousError(f"{place}.{error.argument}".rstrip("."), error.rule, error.value) from None


def _weights(said: Fields) -> Tensor:
    values = said.items("weights")
    if any(type(value) is not float for value in values):  # true, text, whole numbers
        values = [number(value, f"weights[{i}]") for i, value in enumerate(values)]
    with np.errstate(over="ignore"):
        weights = np.array(values, np.float32)
    if not np.isfinite(weights).all():
        i = int(np.argmin(np.isfinite(weights)))
        raise TrousError(f"weights[{i}]", "must fit into float32", values[i])
    return torch.from_numpy(weights)
