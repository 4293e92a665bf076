"""Neural Amp Modeler files: what is written is read again; what is broken says where."""

from __future__ import annotations

import copy
import json
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from apps.audio.nam.models import filled, first_kind, later_kind, smaller
from trous.apps.audio import nam
from trous.errors import TrousError


@pytest.mark.parametrize(("size", "count"), [("standard", 13802), ("lite", 6554), ("feather", 3026), ("nano", 842)])
def test_fresh_networks_come_back_bit_for_bit(tmp_path: Path, size: str, count: int) -> None:
    network = nam.fresh(size)
    assert network.count == len(network.weights()) == count
    assert network.receptive_field == 4093
    nam.save(nam.trained(network, name="test"), tmp_path / "a.nam")
    again = nam.load(tmp_path / "a.nam")
    assert torch.equal(again.network.weights(), network.weights())
    assert (again.metadata["name"], again.version, again.rate) == ("test", "0.5.4", 48000)
    signal = torch.randn(2, 1, 100)
    assert torch.equal(again.network(signal), network(signal))


def test_every_float32_comes_back(tmp_path: Path) -> None:
    network = nam.fresh("nano")
    bits = torch.randint(-(1 << 31), 1 << 31, (network.count,), generator=torch.Generator().manual_seed(1))
    weights = bits.int().view(torch.float32)
    weights = torch.where(torch.isfinite(weights), weights, torch.tensor(-0.0))
    network.set_weights(weights)
    nam.save(nam.Amp(network), tmp_path / "a.nam")
    again = nam.load(tmp_path / "a.nam").network.weights()
    assert torch.equal(again.view(torch.int32), weights.view(torch.int32))


@pytest.mark.parametrize("document", [first_kind(1), later_kind(7), smaller(0), smaller(1), smaller(2)])
def test_a_file_written_again_says_the_same(tmp_path: Path, document: dict[str, Any]) -> None:
    document |= {"metadata": {"name": "a"}, "sample_rate": 44100}
    if inner := document["config"].get("condition_dsp"):
        inner["sample_rate"] = 44100
    (tmp_path / "a.nam").write_text(json.dumps(document))
    nam.save(nam.load(tmp_path / "a.nam"), tmp_path / "b.nam")
    assert json.loads((tmp_path / "b.nam").read_text()) == document


def test_what_it_learns_is_what_is_written(tmp_path: Path) -> None:
    """The network within the network too."""
    document = next(each for each in map(later_kind, range(20)) if "condition_dsp" in each["config"])
    (tmp_path / "a.nam").write_text(json.dumps(document))
    amp = nam.load(tmp_path / "a.nam")
    before = amp.network(torch.ones(1, 1, 20))
    amp.network(torch.ones(1, 1, 20)).sum().backward()
    with torch.no_grad():
        for parameter in amp.network.parameters():
            parameter -= 0.1 * parameter.grad if parameter.grad is not None else 0
    nam.save(amp, tmp_path / "a.nam")
    after = nam.load(tmp_path / "a.nam").network(torch.ones(1, 1, 20))
    assert torch.equal(after, amp.network(torch.ones(1, 1, 20)))
    assert not torch.equal(after, before)


def test_the_silence_before(tmp_path: Path) -> None:
    """A network is at rest where silence longer than its receptive field has been."""
    amp = nam.Amp(nam.fresh("nano"))
    signal = torch.randn(1, 1, 50)
    long = torch.cat([torch.zeros(1, 1, amp.network.receptive_field + 100), signal], -1)
    assert torch.allclose(amp(signal), amp.network(long)[..., -50:], atol=1e-7)
    assert not torch.allclose(amp(signal), amp.network(signal), atol=1e-5)


@torch.no_grad()
def test_what_a_tracer_sees() -> None:
    graph = make_fx(nam.fresh("nano"))(torch.zeros(1, 1, 20)).graph
    operators = {str(node.target).split(".")[1] for node in graph.nodes if node.op == "call_function"}
    assert operators == {"convolution", "constant_pad_nd", "tanh", "add", "mul"}


def container(tmp_path: Path) -> Path:
    models = [{"max_value": bound, "model": first_kind(seed)} for bound, seed in ((0.4, 1), (0.8, 2), (1.0, 3))]
    models[2]["model"]["metadata"] = {"loudness": -20}
    document = {"version": "0.7.0", "architecture": "SlimmableContainer", "config": {"submodels": models}}
    document |= {"weights": [], "metadata": {"name": "box", "loudness": -10}}
    (tmp_path / "box.nam").write_text(json.dumps(document))
    return tmp_path / "box.nam"


def test_the_networks_of_a_container(tmp_path: Path) -> None:
    path = container(tmp_path)
    for size, seed in ((1.0, 3), (0.8, 3), (0.79, 2), (0.4, 2), (0.0, 1)):
        amp = nam.load(path, size=size)
        assert amp.network.weights().tolist() == first_kind(seed)["weights"]
        assert (amp.choices, amp.metadata["name"]) == ((0.4, 0.8, 1.0), "box")
    assert nam.load(path).loudness == -20
    assert nam.load(path).gain_to_normal == pytest.approx(10 ** (2 / 20))
    assert nam.load(path, size=0).loudness == -10


def document() -> dict[str, Any]:
    """One of the first kind: two arrays, of which something will be broken."""
    common = {"condition_size": 1, "kernel_size": 2, "dilations": [1, 4], "activation": "Tanh", "gated": False}
    layers = [
        {"input_size": 1, "channels": 4, "head_size": 2, "head_bias": False, **common},
        {"input_size": 4, "channels": 2, "head_size": 1, "head_bias": True, **common},
    ]
    return filled("WaveNet", {"layers": layers, "head": None, "head_scale": 0.02}, 1)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Something else in one place."""

    def change(document: dict[str, Any]) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
        place: Any = document
        for part in way:
            place = place[part]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value

    return change


REMOVED = object()
FIRST = "config.layers[0]"
BROKEN = [
    ("architecture", "Transformer", "architecture must be one of WaveNet, LSTM"),
    ("architecture", ["WaveNet"], "architecture must be text"),
    ("architecture", REMOVED, "architecture must be text, got None"),
    ("config", [], "config must be an object"),
    ("config", REMOVED, "config must be an object, got None"),
    ("weights", REMOVED, "weights must be a list"),
    ("weights", [], "weights must be a list, and not an empty one"),
    ("weights", [1.0, 2.0], r"weights must be \d+ numbers, as the config says, got '2 numbers'"),
    ("weights[3]", float("nan"), "model must have finite numbers, got 'NaN'"),
    ("weights[3]", float("-inf"), "model must have finite numbers, got '-Infinity'"),
    ("weights[3]", None, r"weights\[3\] must be a finite number, got None"),
    ("weights[3]", "0.5", r"weights\[3\] must be a finite number, got '0.5'"),
    ("weights[3]", True, r"weights\[3\] must be a finite number, got True"),
    ("weights[3]", 1e39, r"weights\[3\] must fit into float32"),
    ("weights[3]", 10**400, r"weights\[3\] must be a finite number"),
    ("sample_rate", 0, "sample_rate must be a whole number"),
    ("sample_rate", 44100.5, "sample_rate must be a whole number"),
    ("metadata", "loud", "metadata must be an object"),
    ("config.layers", [], r"config.layers must be a list, and not an empty one"),
    ("config.layers", {}, "config.layers must be a list"),
    (FIRST, None, r"config.layers\[0\] must be an object"),
    (f"{FIRST}.dilations", [1, -4], r"config.layers\[0\].dilations\[1\] must be a whole number from 1"),
    (f"{FIRST}.dilations", [1, 0], r"dilations\[1\] must be a whole number from 1"),
    (f"{FIRST}.dilations", [1, 2.5], r"dilations\[1\] must be a whole number"),
    (f"{FIRST}.dilations", 4, "dilations must be a list"),
    (f"{FIRST}.dilations", [1] * 1_000_000, "dilations must be fewer"),
    (f"{FIRST}.dilations", [1, 1 << 24], "must reach less than"),
    (f"{FIRST}.kernel_size", -3, "kernel_size must be a whole number from 1"),
    (f"{FIRST}.kernel_size", REMOVED, "kernel_size must be a whole number from 1 to 65536, got None"),
    (f"{FIRST}.kernel_sizes", [2, 2], "kernel_size must not stand beside kernel_sizes"),
    (f"{FIRST}.channels", 60000, r"groups|numbers|must be"),
    (f"{FIRST}.channels", 10**12, "channels must be a whole number from 1 to 65536"),
    (f"{FIRST}.channels", True, "channels must be a whole number"),
    (f"{FIRST}.activation", "Fasttanh", r"activation\[0\] must be one of Tanh, ReLU"),
    (f"{FIRST}.activation", ["Tanh"], "activation must have a value for each of the 2 dilations"),
    (f"{FIRST}.activation", {"type": "Tanh", "beta": 2}, "beta is not understood here"),
    (f"{FIRST}.gated", 1, "gated must be true or false"),
    (f"{FIRST}.gating_mode", "sometimes", r"gating_mode\[0\] must be one of none, gated, blended"),
    (f"{FIRST}.groups_input", 3, "groups_input must divide the channels, 4"),
    (f"{FIRST}.conv_pre_film", {"groups": 3}, r"conv_pre_film.groups must divide the channels"),
    (f"{FIRST}.layer1x1", {"active": False, "groups": 1}, "layer1x1 must be active"),
    (f"{FIRST}.head1x1_post_film", {"groups": 1}, "head1x1_post_film must not be active without head1x1"),
    (f"{FIRST}.attention", {"heads": 4}, r"config.layers\[0\].attention is not understood here"),
    (f"{FIRST}.input_size", 3, "input_size must be the channels before this array, 1"),
    (f"{FIRST}.condition_size", 2, "condition_size must be the channels of the condition, 1"),
    (f"{FIRST}.head_size", 3, "head_size must be what the next head takes, 2"),
    ("config.head_scale", "loud", "config.head_scale must be a finite number"),
    ("config.head", {"channels": 2}, "config.head.out_channels must be a whole number"),
    ("config.reverb", 1, "config.reverb is not understood here"),
    ("config.condition_dsp", {"architecture": "SlimmableContainer"}, "must not be a container within a network"),
    ("config.condition_dsp", {"architecture": "WaveNet"}, "config.condition_dsp.config must be an object"),
]


def _name(part: Any) -> str:
    return "removed" if part is REMOVED else str(part)[:30]


@pytest.mark.parametrize(("place", "value", "message"), BROKEN, ids=_name)
def test_what_is_wrong_is_said(tmp_path: Path, place: str, value: Any, message: str) -> None:
    path, broken = tmp_path / "broken.nam", copy.deepcopy(document())
    nam_file = json.dumps(broken)
    path.write_text(nam_file)
    nam.load(path)
    put(place, value)(broken)
    path.write_text(json.dumps(broken))
    with pytest.raises(TrousError, match=message) as raised:
        nam.load(path)
    assert str(raised.value).endswith(f"\n  in {path}")
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "must be a file that is there"),
        (b"", "must be a whole .nam file"),
        (json.dumps(document()).encode()[:-500], "must be a whole .nam file"),
        (b"[1, 2]", "model must be an object"),
        (b"\xff\xfe\x00", "must be a whole .nam file"),
        (b"[" * 1_000_000, "must be a whole .nam file"),
        (b'{"weights": [' + b"9" * 10_000 + b"]}", "must be a whole .nam file"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.nam").write_bytes(content)
    with pytest.raises(TrousError, match=message):
        nam.load(tmp_path / "a.nam")


def test_networks_within_networks(tmp_path: Path) -> None:
    text = json.dumps(first_kind(1))
    head, tail = text.split('"config": {')
    for depth in (3, 4, 100, 3000):
        nested = f'{head}"config": {{"condition_dsp": ' * depth + text + f", {tail}" * depth
        (tmp_path / f"{depth}.nam").write_text(nested)
    assert nam.load(tmp_path / "3.nam").network.count == len(first_kind(1)["weights"])
    for depth in (4, 100):
        with pytest.raises(TrousError, match="must be a network within 3 others at most"):
            nam.load(tmp_path / f"{depth}.nam")
    with pytest.raises(TrousError, match=r"must be a whole \.nam file"):
        nam.load(tmp_path / "3000.nam")


def test_a_hundred_megabytes_of_noise(tmp_path: Path) -> None:
    with open(tmp_path / "a.nam", "wb") as file:
        file.truncate(100_000_000)
    began = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(TrousError, match="must be a file of 64 MB at most"):
        nam.load(tmp_path / "a.nam")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    assert time.perf_counter() - began < 1


def test_a_broken_network_of_a_container_is_named(tmp_path: Path) -> None:
    path = container(tmp_path)
    broken = json.loads(path.read_text())
    broken["config"]["submodels"][1]["model"]["config"]["layers"][0]["channels"] = -1
    path.write_text(json.dumps(broken))
    assert nam.load(path).network.count
    with pytest.raises(TrousError, match=r"config.submodels\[1\].model.config.layers\[0\].channels must be"):
        nam.load(path, size=0.5)
    broken["config"]["submodels"][2]["max_value"] = 0.5
    path.write_text(json.dumps(broken))
    with pytest.raises(TrousError, match=r"config\.submodels must have rising max_value"):
        nam.load(path)


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    network = nam.fresh("nano")
    network.set_weights(torch.full((network.count,), torch.nan))
    with pytest.raises(TrousError, match="weights must be finite"):
        nam.save(nam.Amp(network), tmp_path / "a.nam")
    for said in ({"loudness": float("-inf")}, {"esr": torch.zeros(1)}):
        with pytest.raises(TrousError, match="metadata must be text, finite numbers"):
            nam.save(nam.trained(nam.fresh("nano"), **said), tmp_path / "a.nam")
    with pytest.raises(TrousError, match="must be where a file can be written"):
        nam.save(nam.Amp(nam.fresh("nano")), tmp_path / "none" / "a.nam")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrousError, match="size must be one of standard, lite, feather, nano"):
        nam.fresh("huge")
