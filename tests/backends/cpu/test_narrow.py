"""16-bit floats in generated code: every number read, and every kind of rounding, as torch has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from problems import INSTRUCTION_SETS
from trous.backends.cpu import engine, target
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.target import Target

FIELDS = Fields(numbers=(), arrays=("x", "y"), scratch=())
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def copy_kernel(source: str, result: str, lanes: int, target: Target):
    """A kernel that copies `x` to `y`, from one element type to another."""
    name = f"copy_{source}_{result}_{lanes}"

    def build() -> str:
        kernel = Kernel(FIELDS, name, checked=False)
        x, y = kernel.array("x", source), kernel.array("y", result)
        with kernel.fn.loop(kernel.begin, kernel.end, lanes) as i:
            if lanes == 1:
                y[i] = x[i]
            else:
                y.set_vector(i, x.vector(i, lanes))
        return kernel.finish()

    return engine.function(name, target, build)


def copied(x: np.ndarray, y: np.ndarray, *kernel) -> np.ndarray:
    header = FIELDS.pack({})
    copy_kernel(*kernel)(header.ctypes.data, 0, x.ctypes.data, 0, 0, 0, y.ctypes.data, 0, len(x))
    return y


@pytest.mark.parametrize("lanes", ["one", "all"])
@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
class TestConversions:
    def test_every_number_is_read(self, instruction_set: str, element: str, lanes: str) -> None:
        with target.use(instruction_set):
            chosen = target.current()
        count = chosen.lanes(4) if lanes == "all" else 1
        bits = np.arange(1 << 16).astype(np.uint16)
        got = copied(bits, np.full(len(bits), 7, np.float32), element, "float32", count, chosen)
        expected = torch.from_numpy(bits.view(np.int16)).view(DTYPES[element]).float().numpy()
        same = (got.view(np.uint32) == expected.view(np.uint32)) | np.isnan(got) & np.isnan(expected)
        assert same.all(), bits[~same][:5]

    def test_numbers_are_rounded_to_the_nearest_even(self, instruction_set: str, element: str, lanes: str) -> None:
        with target.use(instruction_set):
            chosen = target.current()
        count = chosen.lanes(4) if lanes == "all" else 1
        upper = np.arange(1 << 16, dtype=np.uint32) << 16
        bits = np.concatenate(
            [
                *(upper + low for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)),  # around the ties of bfloat16
                *(  # and of float16, with its subnormal numbers and its overflow
                    np.arange(first, last, step, dtype=np.uint32) + low
                    for first, last, step in ((0x32800000, 0x39000000, 1 << 12), (0x47700000, 0x47900000, 1 << 8))
                    for low in (0, 1, (1 << 12) - 1)
                ),
            ]
        )
        got = copied(bits, np.full(len(bits), 7, np.uint16), "float32", element, count, chosen)
        expected = torch.from_numpy(bits.view(np.float32)).to(DTYPES[element])
        as_numbers = torch.from_numpy(got.view(np.int16)).view(DTYPES[element])
        same = got == expected.view(torch.int16).numpy().view(np.uint16)
        same |= (torch.isnan(as_numbers) & torch.isnan(expected)).numpy()
        assert same.all(), bits[~same][:5]
