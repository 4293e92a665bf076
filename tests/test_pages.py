"""Large outputs lie in large pages, where the system has them to give."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import trous
from trous import pages

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def test_anything_may_be_asked_about() -> None:
    array = np.ones(pages.LARGE + 100, np.uint8)
    for start in (0, 1, 4095):
        pages.ask_for_large_pages(array.ctypes.data + start, array.nbytes - start)
    pages.ask_for_large_pages(0, 0)
    assert array.all()


def huge(address: int) -> int:
    """Kilobytes in large pages of the mapping that holds an address."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            low, high = (int(n, 16) for n in first.split("-"))
            inside = low <= address < high
        elif inside and first == "AnonHugePages:":
            return int(rest[0])
    return 0


@pytest.mark.skipif(
    sys.platform != "linux" or not SETTING.exists() or "[never]" in SETTING.read_text(), reason="no large pages here"
)
@pytest.mark.parametrize("needs_grad", [False, True])
def test_a_large_output_has_them(needs_grad: bool) -> None:
    x = torch.ones(1, 1, 3200, 3200, requires_grad=needs_grad)
    y = trous.conv(x, torch.ones(1, 1, 1, 1))
    assert huge(y.data_ptr() + y.nbytes // 2) > y.nbytes / 1024 / 2
