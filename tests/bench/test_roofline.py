"""The probes do what they are counted for."""

from __future__ import annotations

import numpy as np
import pytest

from trous.backends.cpu.target import available, use
from trous.bench import probes, roofline


@pytest.mark.parametrize("name", available())
def test_memory_probes_touch_their_part_and_no_more(name: str) -> None:
    with use(name):
        target = roofline.current()
        copy, write, read = (probes.memory(way, target) for way in ("copy", "write", "read"))
    x, y = np.arange(3072, dtype=np.float32), np.full(3072, -1, np.float32)
    probes.call(copy, x, y, passes=2, length=1024)(1)
    assert np.array_equal(y, np.concatenate([np.full(1024, -1), x[1024:2048], np.full(1024, -1)]))
    probes.call(write, x, y, passes=1, length=1024)(1)
    assert np.count_nonzero(y == 0) == 1024
    probes.call(read, x, y, passes=3, length=1024)(2)
    assert y[2048 : 2048 + target.lanes(4)].sum() == 3 * x[2048:].sum(dtype=np.float64)


@pytest.mark.parametrize("name", available())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_multiply_adds_are_done_as_often_as_counted(name: str, dtype: str) -> None:
    with use(name):
        target = roofline.current()
        probe = probes.arithmetic(dtype, target)
    x, y = np.full(1024, 1, dtype), np.zeros(1024, dtype)
    probes.call(probe.kernel, x, y, passes=5, length=16)(0)
    # Each lane of each chain begins at 1 and adds 1 in every pass; the lanes of all chains are summed.
    assert y.sum() == probe.multiply_adds * (1 + 5)


def test_limits_of_this_machine() -> None:
    sizes = (1 << 16, 1 << 22)
    limits = roofline.measure("float32", threads=1, sizes=sizes)
    assert limits.peak > 1e9
    assert all(rate > 1e8 for by_size in limits.bandwidths.values() for rate in by_size.values())
    assert set(limits.to_dict()["gbytes_per_second"]["copy"]) == {str(size) for size in sizes}
    # 16-bit products are done by an instruction of their own, or as float32 ones.
    assert roofline.measure("bfloat16", threads=1, sizes=sizes[:1]).peak > limits.peak / 2
