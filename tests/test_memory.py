"""Large arrays lie in the memory of large arrays that are gone, and never in that of one that lives."""

from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trous
from trous import memory
from trous.arrays import address
from trous.backends import execute
from trous.memory import FILLED, LARGE, UNIT, Store

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")

pytestmark = pytest.mark.skipif(not memory._PRIVATE, reason="this system has no private memory to give")


def lent(store: Store, size: int) -> np.ndarray:
    found = store.lend(size)
    assert found is not None
    assert found.nbytes == size
    return found


def doubled(x: Any) -> Any:
    """x times 2, by a convolution."""
    library: Any = torch if isinstance(x, torch.Tensor) else np
    return trous.conv(x, library.full((1, 1, 1, 1), 2.0, dtype=x.dtype))


SIDE = 1100
assert SIDE**2 * 4 > LARGE


def test_what_is_gone_is_lent_again() -> None:
    store = Store()
    first = lent(store, LARGE)
    place, view = address(first), first[100:]
    del first
    assert store.kept == 0, "a view lives"
    del view
    assert store.kept == LARGE
    assert address(lent(store, LARGE)) == place


@pytest.mark.parametrize("size", [LARGE + 1, LARGE + UNIT // 16, LARGE + UNIT, 5 * UNIT - 7])
def test_an_array_of_the_same_size_is_lent_the_same_block(size: int) -> None:
    store = Store()
    place = address(lent(store, size))
    assert address(lent(store, size)) == place


def test_an_array_fills_most_of_its_block() -> None:
    store = Store()
    blocks = [lent(store, n * UNIT) for n in (8, 6, 5)]
    eight, six, five = map(address, blocks)
    blocks.clear()
    assert store.kept == 19 * UNIT
    assert FILLED == 3 / 4
    assert address(lent(store, 6 * UNIT)) == six
    assert address(lent(store, 6 * UNIT + 1)) == eight
    assert address(lent(store, 5 * UNIT - 1)) == five
    assert address(lent(store, 4 * UNIT - 1)) == five
    assert address(lent(store, 3 * UNIT)) not in (five, six, eight)


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    store = Store(10 * UNIT)
    blocks = [lent(store, 4 * UNIT) for _ in range(3)]
    _, second, third = map(address, blocks)
    while blocks:
        del blocks[0]
    assert store.kept == 8 * UNIT
    again = [lent(store, 4 * UNIT), lent(store, 4 * UNIT)]
    assert set(map(address, again)) == {second, third}


def test_ten_thousand_sizes_keep_no_more() -> None:
    store, draw, most = Store(64 * UNIT), random.Random(1), 0
    for _ in range(10_000):
        lent(store, draw.randrange(LARGE, 8 * LARGE))
        most = max(most, store.kept)
    assert 48 * UNIT < most <= 64 * UNIT


def test_arrays_that_live_are_left_alone() -> None:
    """Threads make arrays, hand them to each other, and lose them one by one and in cycles."""
    store, wrong = Store(32 * UNIT), []
    shared: list[tuple[int, np.ndarray]] = []

    def work(seed: int) -> None:
        draw, mine = random.Random(seed), []
        for number in range(150):
            array = lent(store, draw.choice((1, 2, 3)) * UNIT)
            stamp = 1000 * seed + number
            ends = array[: array.size // 8 * 8].view(np.int64)[:: UNIT // 64]
            ends[:] = stamp
            shared.append((stamp, ends))
            cycle: list[Any] = [array]
            cycle.append(cycle)
            if draw.random() < 0.5:
                mine.append(shared.pop(0))
            if len(mine) > 8:
                mine.pop(draw.randrange(len(mine)))
            if draw.random() < 0.03:
                gc.collect()
            wrong.extend(stamp for stamp, ends in mine if not (ends == stamp).all())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all((ends == stamp).all() for stamp, ends in shared)
    shared.clear()
    gc.collect()
    assert 0 < store.kept <= 32 * UNIT


def test_without_such_memory_arrays_are_made_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((1, 1, SIDE, SIDE), np.float32)
    assert doubled(x).base.dtype == np.uint8
    monkeypatch.setattr(execute, "lend", lambda size: None)
    for array in (x, torch.from_numpy(x)):
        y = doubled(array)
        assert (y == 2).all()
    assert doubled(x).base is None


def test_no_memory_is_no_array_and_nothing_kept() -> None:
    store = Store()
    lent(store, LARGE)
    assert store.kept
    for size in (1 << 62, (1 << 63) - 1):
        assert store.lend(size) is None
    assert store.kept == 0


def test_a_system_may_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_PRIVATE", 0)
    assert Store().lend(LARGE) is None


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["numpy", "torch", "torch, needing a gradient", "torch, by its dispatcher"])
def test_outputs_use_memory_again(kind: str, channels: int) -> None:
    x: Any = np.random.default_rng(0).integers(-4, 5, (1, channels, SIDE, SIDE)).astype(np.float32)
    if channels > 1:
        x = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    if kind != "numpy":
        x = torch.from_numpy(x)
        if "gradient" in kind:
            x.requires_grad_()
    w = np.eye(channels, dtype=np.float32).reshape(channels, channels, 1, 1)

    def call() -> Any:
        if kind == "numpy":
            return trous.conv(x, w)
        if "dispatcher" in kind:
            return torch.ops.trous.run(x, torch.from_numpy(w), None, (SIDE, SIDE), (1, 1), (0, 0), (1, 1), 1, False)
        return trous.conv(x, torch.from_numpy(w))

    y = call()
    assert (y == x).all()
    assert y.strides == x.strides if kind == "numpy" else y.stride() == x.stride()
    z, place = call(), address(y)
    assert address(z) != place
    assert (y == x).all()
    del y
    assert address(call()) == place
    assert (z == x).all()


def test_a_tensor_is_like_any_other() -> None:
    x = torch.ones(1, 1, SIDE, SIDE, requires_grad=True)
    y = doubled(x)
    assert not y._is_view()
    assert y.untyped_storage().nbytes() == y.nbytes
    assert y.storage_offset() == 0
    y.mul_(3)
    y.sum().backward()
    assert x.grad is not None
    assert (x.grad == 6).all()

    y = y.detach()
    saved = io.BytesIO()
    torch.save(y, saved)
    saved.seek(0)
    copies = copy.deepcopy(y), pickle.loads(pickle.dumps(y)), torch.load(saved), y.clone(), y.numpy().copy()
    bridge = y.numpy()
    torch.add(y, 1, out=y)
    del y
    assert (bridge == 7).all()
    assert all((other == 6).all() for other in copies)

    shared = doubled(x.detach()).share_memory_()
    assert shared.is_shared()
    assert (shared == 2).all()
    with torch.inference_mode():
        assert doubled(x).is_inference()


def test_a_storage_is_enough_to_keep_memory() -> None:
    x = torch.ones(1, 1, SIDE, SIDE)
    storage = doubled(x).untyped_storage()
    doubled(3 * x)
    assert (torch.empty(0).set_(storage) == 2).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_workers_and_the_end_of_a_process() -> None:
    """Forked workers have memory of their own, and arrays that live to the end are no trouble."""
    script = f"""
import gc, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads
import torch, trous
from torch.utils.data import DataLoader, Dataset

def scaled(by):
    return trous.conv(torch.ones(1, {SIDE}, {SIDE}), torch.full((1, 1, 1, 1), float(by)))

class Scaled(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return scaled(index)

here = scaled(100)
scaled(200)  # gone, and kept
found = list(DataLoader(Scaled(), batch_size=None, num_workers=2, multiprocessing_context="fork"))
assert all((y == index).all() for index, y in enumerate(found))
assert (here == 100).all()
x = torch.ones(1, {SIDE}, {SIDE}, requires_grad=True)
graph = trous.conv(x, torch.ones(1, 1, 1, 1))
left = [graph.numpy(force=True), here]
left.append(left)
gc.disable()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


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
def test_a_large_output_has_large_pages(needs_grad: bool) -> None:
    x = torch.ones(1, 1, 3200, 3200, requires_grad=needs_grad)
    y = trous.conv(x, torch.ones(1, 1, 1, 1))
    assert huge(y.data_ptr() + y.nbytes // 2) > y.nbytes / 1024 / 2
