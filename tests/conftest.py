"""What every test shares: a private cache for compiled code, and numbers that are the same in every run."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

_cache = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Compiled code of the tests stays out of the user's cache, and the user's cache out of the tests.

    Of several processes that share the cores, each leaves torch one thread: its others would spin while they wait.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if "TROUS_CACHE" not in os.environ:
        config.stash[_cache] = os.environ["TROUS_CACHE"] = tempfile.mkdtemp(prefix="trous-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_cache, None)
    if folder is not None:
        del os.environ["TROUS_CACHE"]
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting leaves, torch's modules and thousands of tests, stays to the end of the run.

    So the garbage collector need not look at it, as it would for every few kernels that are generated.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number of the test's own: the same in every run, another for every test and parameter."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def _seed_torch(seed: int) -> None:
    """torch's global generator, for the tests that draw from it; torch is not imported for the purpose."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
