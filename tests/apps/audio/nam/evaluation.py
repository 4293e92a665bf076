"""Neural Amp Modeler files evaluated sample by sample from the format's description, in NumPy and float64.

It shares no line with what it checks: it takes the JSON, its own reading of the order of the weights, and loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Vector = np.ndarray


class Weights:
    """The file's list, taken from the front."""

    def __init__(self, values: list[float]) -> None:
        self.values, self.at = np.array(values, np.float32).astype(np.float64), 0

    def take(self, *shape: int) -> Vector:
        count = int(np.prod(shape))
        self.at += count
        return self.values[self.at - count : self.at].reshape(shape)


class Conv:
    """A causal convolution; `memory` are its inputs, the newest last."""

    def __init__(self, w: Weights, ins: int, outs: int, kernel: int = 1, dilation: int = 1, groups: int = 1, bias=True):
        self.taps = np.zeros((kernel, outs, ins))
        rows, columns = outs // groups, ins // groups
        for group in range(groups):
            for row in range(rows):
                for column in range(columns):
                    self.taps[:, group * rows + row, group * columns + column] = w.take(kernel)
        self.bias = w.take(outs) if bias else np.zeros(outs)
        self.dilation = dilation
        self.memory: list[Vector] = []

    def __call__(self, x: Vector, settle: bool) -> Vector:
        span = self.dilation * (len(self.taps) - 1) + 1
        self.memory = [x] * span if settle else [*self.memory[-(span - 1) :], x][-span:]
        out = self.bias.copy()
        for k in range(len(self.taps)):
            out += self.taps[k] @ self.memory[k * self.dilation]
        return out


def activation(said: Any) -> Callable[[Vector], Vector]:
    said = {"type": said} if isinstance(said, str) else said
    low, high = said.get("min_val", -1.0), said.get("max_val", 1.0)
    low_slope, high_slope = said.get("min_slope", 0.01), said.get("max_slope", 0.01)

    def sigmoid(x: Vector) -> Vector:
        return 1 / (1 + np.exp(-x))

    def leaky(x: Vector) -> Vector:
        slopes = np.array(said.get("negative_slopes", said.get("negative_slope", 0.01)))
        return np.where(x > 0, x, slopes * x)

    def leaky_hard(x: Vector) -> Vector:
        return np.where(x < low, low + low_slope * (x - low), np.where(x > high, high + high_slope * (x - high), x))

    return {
        "Tanh": np.tanh,
        "ReLU": lambda x: np.maximum(x, 0),
        "Sigmoid": sigmoid,
        "SiLU": lambda x: x * sigmoid(x),
        "Hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
        "Softsign": lambda x: x / (1 + np.abs(x)),
        "Hardtanh": lambda x: np.clip(x, low, high),
        "LeakyReLU": leaky,
        "PReLU": leaky,
        "LeakyHardtanh": leaky_hard,
    }[said["type"]]


class Film:
    def __init__(self, w: Weights, condition: int, channels: int, said: dict[str, Any]) -> None:
        self.shift = said.get("shift", True)
        outs = channels * (2 if self.shift else 1)
        self.conv, self.channels = Conv(w, condition, outs, groups=said.get("groups", 1)), channels

    def __call__(self, x: Vector, condition: Vector, settle: bool) -> Vector:
        out = self.conv(condition, settle)
        return x * out[: self.channels] + (out[self.channels :] if self.shift else 0)


class Layer:
    def __init__(self, w: Weights, array: dict[str, Any], i: int) -> None:
        def each(key: str, default: Any) -> Any:
            value = array.get(key, default)
            return value[i] if isinstance(value, list) else value

        channels, condition = array["channels"], array["condition_size"]
        self.width = array.get("bottleneck", channels)
        self.mode = each("gating_mode", "gated" if array.get("gated") else "none")
        wide = self.width if self.mode == "none" else 2 * self.width
        kernel = array["kernel_sizes"][i] if "kernel_sizes" in array else array["kernel_size"]
        self.conv = Conv(w, channels, wide, kernel, array["dilations"][i], array.get("groups_input", 1))
        self.mixin = Conv(w, condition, wide, groups=array.get("groups_input_mixin", 1), bias=False)
        self.out = Conv(w, self.width, channels, groups=array.get("layer1x1", {}).get("groups", 1))
        head = array.get("head1x1") or {}
        self.head = None
        if head.get("active", bool(head)):
            self.head = Conv(w, self.width, head["out_channels"], groups=head.get("groups", 1))
        sizes = {"conv_pre": channels, "conv_post": wide, "input_mixin_pre": condition, "input_mixin_post": wide}
        sizes |= {"activation_pre": wide, "activation_post": self.width, "layer1x1_post": channels}
        sizes["head1x1_post"] = head.get("out_channels", self.width)
        self.films = {}
        for name, size in sizes.items():
            said = array.get(f"{name}_film")
            if said and said.get("active", True):
                self.films[name] = Film(w, condition, size, said)
        self.activation = activation(each("activation", None))
        self.gate = activation(each("secondary_activation", "Sigmoid")) if self.mode != "none" else None

    def __call__(self, x: Vector, condition: Vector, settle: bool) -> tuple[Vector, Vector]:
        def film(name: str, value: Vector) -> Vector:
            return self.films[name](value, condition, settle) if name in self.films else value

        z = film("conv_post", self.conv(film("conv_pre", x), settle))
        z = z + film("input_mixin_post", self.mixin(film("input_mixin_pre", condition), settle))
        z = film("activation_pre", z)
        if self.gate is None:
            a = self.activation(z)
        else:
            first, second = z[: self.width], self.gate(z[self.width :])
            a = self.activation(first) * second
            if self.mode == "blended":
                a = a + (1 - second) * first
        a = film("activation_post", a)
        head = a if self.head is None else film("head1x1_post", self.head(a, settle))
        return x + film("layer1x1_post", self.out(a, settle)), head


class WaveNet:
    def __init__(self, document: dict[str, Any]) -> None:
        config, w = document["config"], Weights(document["weights"])
        inner = config.get("condition_dsp")
        self.condition = evaluator(inner) if inner else None
        self.arrays = []
        for array in config["layers"]:
            rechannel = Conv(w, array["input_size"], array["channels"], bias=False)
            layers = [Layer(w, array, i) for i in range(len(array["dilations"]))]
            head1x1 = array.get("head1x1") or {}
            ins = layers[0].width
            if head1x1.get("active", bool(head1x1)):
                ins = head1x1["out_channels"]
            said = array.get("head") or {"out_channels": array["head_size"], "bias": array["head_bias"]}
            kernel, dilation = said.get("kernel_size", 1), said.get("head_dilation", 1)
            head = Conv(w, ins, said["out_channels"], kernel, dilation, bias=said["bias"])
            self.arrays.append((rechannel, layers, head))
        self.post: list[tuple[Callable[[Vector], Vector], Conv]] = []
        if said := config.get("head"):
            ins = head.taps.shape[1]
            for i, kernel in enumerate(said["kernel_sizes"]):
                outs = said["out_channels"] if i == len(said["kernel_sizes"]) - 1 else said["channels"]
                self.post.append((activation(said["activation"]), Conv(w, ins, outs, kernel)))
                ins = outs
        self.scale = w.take(1)
        assert w.at == len(w.values)

    def __call__(self, x: Vector, settle: bool) -> Vector:
        condition = x if self.condition is None else self.condition(x, settle)
        total: Vector | None = None
        for rechannel, layers, head in self.arrays:
            x = rechannel(x, settle)
            for layer in layers:
                x, more = layer(x, condition, settle)
                total = more if total is None else total + more
            total = head(total, settle)
        out = self.scale * total
        for act, conv in self.post:
            out = conv(act(out), settle)
        return out


class LSTM:
    def __init__(self, document: dict[str, Any]) -> None:
        config, w = document["config"], Weights(document["weights"])
        ins, hidden = config["input_size"], config["hidden_size"]
        self.layers = []
        for _ in range(config["num_layers"]):
            matrix, bias = w.take(4 * hidden, ins + hidden), w.take(4 * hidden)
            self.layers.append([matrix, bias, w.take(hidden), w.take(hidden)])
            ins = hidden
        outs = config.get("out_channels", 1)
        self.head, self.bias = w.take(outs, hidden), w.take(outs)
        self.silence = int(document.get("sample_rate", 48000) / 2)
        assert w.at == len(w.values)

    def __call__(self, x: Vector, settle: bool) -> Vector:
        for _ in range(self.silence if settle else 1):
            value = x
            for layer in self.layers:
                matrix, bias, h, c = layer
                gates = matrix @ np.concatenate([value, h]) + bias
                i, f, g, o = np.split(gates, 4)
                c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
                value = np.tanh(c) / (1 + np.exp(-o))
                layer[2], layer[3] = value, c
        return self.head @ value + self.bias


class ConvNet:
    def __init__(self, document: dict[str, Any]) -> None:
        config, w = document["config"], Weights(document["weights"])
        ins, channels = 1, config["channels"]
        self.blocks = []
        for dilation in config["dilations"]:
            conv = Conv(w, ins, channels, 2, dilation, config.get("groups", 1), bias=not config["batchnorm"])
            norm = [w.take(channels) for _ in range(4)] + [w.take(1)] if config["batchnorm"] else None
            self.blocks.append((conv, norm))
            ins = channels
        self.activation, self.head = activation(config["activation"]), Conv(w, channels, 1)
        assert w.at == len(w.values)

    def __call__(self, x: Vector, settle: bool) -> Vector:
        for conv, norm in self.blocks:
            x = conv(x, settle)
            if norm is not None:
                mean, variance, weight, bias, epsilon = norm
                x = (x - mean) / np.sqrt(variance + epsilon) * weight + bias
            x = self.activation(x)
        return self.head(x, settle)


class Linear:
    def __init__(self, document: dict[str, Any]) -> None:
        w, taps = Weights(document["weights"]), document["config"]["receptive_field"]
        self.response = w.take(taps)
        self.bias = w.take(1) if document["config"].get("bias") else np.zeros(1)
        self.memory = np.zeros(taps)

    def __call__(self, x: Vector, settle: bool) -> Vector:
        self.memory = np.concatenate([x, self.memory[:-1]])  # the newest first
        return self.response @ self.memory + self.bias


def evaluator(document: dict[str, Any]) -> Callable[[Vector, bool], Vector]:
    """A file's network: a sample and whether it has been that for ever, to a sample."""
    if document["architecture"] == "SlimmableContainer":
        return evaluator(document["config"]["submodels"][-1]["model"])
    return {"WaveNet": WaveNet, "LSTM": LSTM, "ConvNet": ConvNet, "Linear": Linear}[document["architecture"]](document)


def evaluate(document: dict[str, Any], signal: np.ndarray) -> np.ndarray:
    """The output (out_channels, frames) for `signal` (frames,), which silence has been before."""
    network = evaluator(document)
    network(np.zeros(1), True)
    return np.stack([network(np.array([sample], np.float64), False) for sample in signal], axis=1)
