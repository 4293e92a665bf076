"""A stream that runs as compiled code."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trous.backends.cpu import target
from trous.backends.cpu.engine import code_address
from trous.backends.cpu.stack.compiled import Stack
from trous.backends.cpu.stack.program import channels
from trous.errors import TrousError
from trous.streaming.fused.lowering import check_apart, program
from trous.streaming.live import Stream
from trous.streaming.network import network

#: Types of samples, and those that weights can be kept in beside them.
SAMPLES = {torch.float32: "float32", torch.float64: "float64"}
WEIGHTS = {torch.bfloat16: "bfloat16", torch.float16: "float16"}


class Native(ctypes.Structure):
    """What C calls, the `trous_stream` of `include/trous.h`: the addresses of the function and of a stream's state, how
    many samples late its output comes, how many more they are than the input's, and channels. The addresses hold for as
    long as the stream lives."""

    _fields_ = (
        ("function", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
        ("delay", ctypes.c_int64),
        ("growth", ctypes.c_int64),
        ("in_channels", ctypes.c_int64),
        ("out_channels", ctypes.c_int64),
    )


class FusedStream(Stream):
    """What `trous.stream(module, fused=True)` gives: a `Stream` in one call of compiled code a block.

    Weights are those that the module had at the first block. However a signal is cut into blocks, its output is the
    same to the last bit.
    """

    def __init__(self, module: nn.Module, dim: int = -1, weights: torch.dtype | None = None) -> None:
        if weights is not None and weights not in WEIGHTS:
            raise TrousError("weights", f"must be {' or '.join(map(str, WEIGHTS))}, or None", weights)
        self.weights = weights
        self._stack: Stack | None = None
        self.memories: list[np.ndarray] = []
        self._mono: torch.Size | None = None  # batch and channels of blocks that go the short way
        super().__init__(module, dim)

    def reset(self) -> None:
        """Begin a new signal."""
        self._received = 0
        for memory in self.memories:
            self._call(memory.ctypes.data, 0, 0, 0, 0, 0)

    def again(self) -> FusedStream:
        """Another stream through the same module, at its beginning; they share code and weights."""
        other = FusedStream(self.module, self.dim, self.weights)
        other._network, other._form = self._network, self._form
        if self._stack is not None:
            other._take(self._stack)
        return other

    def push(self, block: Tensor) -> Tensor:
        """The samples of the output that are known now and were not before.

        Args:
            block: the next samples, as the module takes a whole signal: any number of them, none too (which compiles
                the code); all other sizes must be those of the first block.

        Raises:
            TrousError: another shape or dtype, or a module that cannot be streamed so.
        """
        if self._mono and isinstance(block, Tensor):  # the way of single samples, which checks would take longer than
            shape = block.shape
            if len(shape) == 3 and shape[:2] == self._mono and block.dtype is self.dtype and block.is_cpu:
                count = shape[2]
                if count and (count == 1 or block.stride(2) == 1):
                    y = torch.empty((1, self._outputs, count), dtype=self.dtype)
                    given = self._call(
                        self._addresses[0], block.data_ptr(), block.stride(1), y.data_ptr(), count, count
                    )
                    self._received += count
                    return y if given == count else y[..., :given].clone()
        self._prepared(block)
        moved = block.detach().movedim(self.dim, -1)
        count = moved.shape[-1]
        self._received += count
        inputs = self.compiled.program.tracks[0].channels
        return self._called(moved.reshape(self._batch, inputs, count).contiguous(), count)

    def flush(self) -> Tensor:
        """The samples that were still waited for, the signal being over; what is pushed next begins a new one.

        Raises TrousError where nothing was pushed.
        """
        if self._stack is None:
            raise TrousError("flush", "must follow a block", None)
        self._received = 0
        return self._called(None, max(0, self._stack.program.growth + self._stack.program.delay))

    @property
    def delay(self) -> int:
        """By how many samples an output comes later than its place. Known after the first block."""
        return self.compiled.program.delay

    @property
    def native(self) -> Native:
        """What C code needs to run the stream itself. Known after the first block, of a batch of one.

        Samples that C pushes are not counted here: a stream is driven from one side.
        """
        if len(self.memories) != 1:
            raise TrousError("native", "must be of a stream that has seen a block of one signal", len(self.memories))
        entry, inputs = self.compiled.program, self.compiled.program.tracks[0].channels
        function, state = code_address(self._call), self._addresses[0]
        return Native(function, state, entry.delay, entry.growth, inputs, self._outputs)

    def state_dict(self) -> dict[str, Any]:
        """What the stream has to remember, to be saved by torch.save and gone on with by `load_state_dict`."""
        kept = [torch.from_numpy(self.compiled.kept(memory)) for memory in self.memories]
        return {"received": self._received, "form": self._form, "memories": kept}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on where a stream through the same module, on the same instruction set, was when `saved` was taken.

        Raises TrousError where it is no such state; the stream is then as it was before.
        """
        if not isinstance(saved, dict) or saved.keys() != {"received", "form", "memories"}:
            shown = sorted(map(str, saved)) if isinstance(saved, dict) else type(saved).__name__
            raise TrousError("saved", "must be what state_dict gave, with received, form and memories", shown)
        other = self
        if saved["form"] != self._form:
            other = FusedStream(self.module, self.dim, self.weights)
            if other._loaded(saved["form"]) is not None:
                other._prepare(*saved["form"])
        wanted = [(len(other.compiled.kept(memory)), torch.uint8) for memory in other.memories]
        found = [(each.numel(), each.dtype) for each in saved["memories"] if isinstance(each, Tensor)]
        if found != wanted or not isinstance(saved["received"], int):
            raise TrousError("saved", f"must be the state of a stream through the same module, of {wanted}", found)
        for memory, kept in zip(other.memories, saved["memories"], strict=True):
            other.compiled.restore(memory, kept.flatten().numpy())
        self.__dict__.update(other.__dict__)
        self._received = saved["received"]

    @property
    def compiled(self) -> Stack:
        if self._stack is None:
            raise TrousError("stream", "must have seen a block", None)
        return self._stack

    def _prepare(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        if dtype not in SAMPLES or device.type != "cpu":
            raise TrousError("block", "must be float32 or float64 on the CPU", f"{dtype} on {device}")
        if self.weights is not None and dtype is not torch.float32:
            raise TrousError("weights", "must be None for samples other than float32", self.weights)
        dim = self.dim % len(shape)
        one = (1, *shape[1:]) if len(shape) > 2 and dim else shape
        single = network(self.module, one, dim, dtype, device)
        lowered = program(single)
        several = single if one == shape else network(self.module, shape, dim, dtype, device)
        if several is not single:
            check_apart(single, several, shape[0])
        self._network = several
        self._form = shape, dtype, device
        element = SAMPLES[dtype]
        self._take(
            Stack(lowered, element, element if self.weights is None else WEIGHTS[self.weights], target.current())
        )

    def _called(self, x: Tensor | None, most: int) -> Tensor:
        """The output for the next samples, (batch, channels, count), or for the end of the signal: up to `most`."""
        signal, count = self._known().signal, most if x is not None else 0
        y = torch.empty((self._batch, self._outputs, most), dtype=self.dtype)
        given = 0
        for number, state in enumerate(self._addresses):
            source = 0 if x is None else x[number].data_ptr()
            # The address of no samples may be 0, which would end the signal.
            if x is None or count:
                given = self._call(state, source, count, y[number].data_ptr(), most, count)
                self.compiled.check(self.memories[number])
        others = [size for dim, size in enumerate(signal.shape) if dim != signal.place.dim]
        return y[..., :given].reshape(*others, given).movedim(-1, signal.place.dim)

    def _take(self, stack: Stack) -> None:
        """Memory for every signal of the batch."""
        shape, dtype, _ = self._form
        self._stack, self._call, self.dtype = stack, stack.function, dtype
        self._received = 0
        self._batch = shape[0] if len(shape) > 2 and self.dim % len(shape) else 1
        self.memories = [stack.state() for _ in range(self._batch)]
        self._addresses = [memory.ctypes.data for memory in self.memories]
        self._outputs = channels(stack.program.output)
        signal = self._known().signal
        plain = len(shape) == len(signal.shape) == 3 and self.dim % 3 == signal.place.dim == 2
        self._mono = torch.Size(shape[:2]) if plain and self._batch == 1 and not stack.checked else None
