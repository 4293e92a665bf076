"""Random `.nam` documents, from a seed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from trous.apps.audio.nam.others import LSTM, ConvNet, Linear
from trous.apps.audio.nam.wavenet import WaveNet

ACTIVATIONS: list[Any] = [
    "Tanh",
    "ReLU",
    "Sigmoid",
    "SiLU",
    "Hardswish",
    "Softsign",
    "Hardtanh",
    {"type": "LeakyReLU", "negative_slope": 0.1},
    {"type": "PReLU", "negative_slope": 0.2},
    {"type": "LeakyHardtanh", "min_val": -0.4, "max_val": 0.3, "min_slope": 0.1, "max_slope": 0.2},
    {"type": "Hardtanh", "min_val": -0.5, "max_val": 0.5},
]
FILMS = ("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post", "activation_pre", "activation_post")


def filled(architecture: str, config: dict[str, Any], seed: int) -> dict[str, Any]:
    """A document with as many random weights as its config asks for."""
    inner = config.get("condition_dsp")
    condition = WaveNet(inner["config"]) if inner else None
    makers = {"WaveNet": lambda: WaveNet(config, condition), "LSTM": lambda: LSTM(config)}
    makers |= {"ConvNet": lambda: ConvNet(config), "Linear": lambda: Linear(config)}
    rng = np.random.default_rng(seed)
    weights = (0.5 * rng.standard_normal(makers[architecture]().count)).astype(np.float32)
    if architecture == "ConvNet" and config["batchnorm"]:
        weights = np.abs(weights) + np.float32(0.1)  # variances
    return {"version": "0.7.0", "architecture": architecture, "config": config, "weights": weights.tolist()}


def first_kind(seed: int) -> dict[str, Any]:
    """A WaveNet as the first files have it."""
    rng = random.Random(seed)
    layers: list[dict[str, Any]] = []
    inputs = 1
    widths = [rng.randint(1, 4) for _ in range(rng.randint(1, 3))]
    for i, channels in enumerate(widths):
        last = i == len(widths) - 1
        layers.append(
            {
                "input_size": inputs,
                "condition_size": 1,
                "channels": channels,
                "head_size": 1 if last else widths[i + 1],
                "head_bias": rng.random() < 0.5,
                "kernel_size": rng.randint(1, 3),
                "dilations": [rng.randint(1, 6) for _ in range(rng.randint(1, 3))],
                "activation": rng.choice(["Tanh", "ReLU"]),
                "gated": rng.random() < 0.5,
            }
        )
        inputs = channels
    return filled("WaveNet", {"layers": layers, "head": None, "head_scale": 0.02}, seed)


def later_kind(seed: int) -> dict[str, Any]:
    """A WaveNet with what came later: everything at once, or nearly."""
    rng = random.Random(seed)
    condition, config = 1, {}
    if rng.random() < 0.5:
        inner = first_kind(seed + 1000)
        condition = inner["config"]["layers"][-1]["head_size"] = 2
        config["condition_dsp"] = filled("WaveNet", inner["config"], seed)
    layers: list[dict[str, Any]] = []
    inputs, head1x1 = 1, rng.random() < 0.5
    heads = [2 * rng.randint(1, 2) for _ in range(rng.randint(1, 2))]
    for i, head in enumerate(heads):
        count, channels = rng.randint(1, 3), 2 * rng.randint(1, 2)
        gated = rng.random() < 0.7
        layer = {
            "input_size": inputs,
            "condition_size": condition,
            "channels": channels,
            "bottleneck": 2 * rng.randint(1, 2) if head1x1 else head,
            "kernel_sizes": [rng.randint(1, 4) for _ in range(count)],
            "dilations": [rng.randint(1, 5) for _ in range(count)],
            "activation": [rng.choice(ACTIVATIONS) for _ in range(count)],
            "gating_mode": [rng.choice(["gated", "blended", "none"]) if gated else "none" for _ in range(count)],
            "secondary_activation": [rng.choice(ACTIVATIONS) for _ in range(count)],
            "groups_input": rng.choice([1, 2]),
            "groups_input_mixin": condition,
            "layer1x1": {"active": True, "groups": rng.choice([1, 2])},
            "head1x1": {"active": head1x1, "out_channels": head, "groups": rng.choice([1, 2])},
            "head": {
                "out_channels": 1 if i == len(heads) - 1 else heads[i + 1],
                "kernel_size": rng.randint(1, 4),
                "bias": rng.random() < 0.5,
            },
        }
        for name in (*FILMS, "layer1x1_post", *(["head1x1_post"] if head1x1 else [])):
            film = {"active": rng.random() < 0.4, "shift": rng.random() < 0.5, "groups": condition}
            layer[f"{name}_film"] = film if rng.random() < 0.8 else False
        layers.append(layer)
        inputs = channels
    head = {"channels": 3, "out_channels": 1, "kernel_sizes": [2, 3], "activation": "Tanh"}
    config |= {"layers": layers, "head": head if rng.random() < 0.5 else None, "head_scale": 0.5}
    return filled("WaveNet", config, seed)


def smaller(seed: int) -> dict[str, Any]:
    """One of the other architectures."""
    rng = random.Random(seed)
    match seed % 3:
        case 0:
            return filled(
                "LSTM", {"input_size": 1, "hidden_size": rng.randint(1, 4), "num_layers": 1 + seed // 3}, seed
            )
        case 1:
            config = {"channels": 4, "dilations": [1, 3, 2], "batchnorm": rng.random() < 0.5, "activation": "Tanh"}
            return filled("ConvNet", config, seed)
        case _:
            return filled("Linear", {"receptive_field": rng.randint(1, 40), "bias": rng.random() < 0.5}, seed)
