"""Where something was measured: the machine, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_HERE = Path(__file__).resolve()

#: Packages that have a part in something that is measured.
PACKAGES = (
    *("numpy", "llvmlite", "torch", "onnx", "onnxruntime", "openvino", "jax", "jaxlib"),
    *("scipy", "scikit-image", "pylops", "pyproximal", "deepinv"),
)


def machine() -> dict[str, str]:
    """The processor, the system, the versions of the packages that are installed, and the commit of the source."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": cpu_model(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
        "commit": _commit(),
    }


def cpu_model() -> str:
    """The name of the processor, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The short hash, with a plus sign where the source differs from it; "unknown" outside a clone."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=_HERE.parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", _HERE.name)  # an environment may lie in somebody else's clone
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "../..") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def busy(seconds: float = 0.5) -> float:
    """How many cores are at work for somebody else, on average over `seconds`; 0 where the system does not tell."""
    try:
        before = _idle()
        time.sleep(seconds)
        idle, ticks = (after - early for after, early in zip(_idle(), before, strict=True))
    except OSError:
        return 0.0
    return (os.cpu_count() or 1) * (1 - idle / max(ticks, 1))


def _idle() -> tuple[int, int]:
    """Ticks of all cores since the start of the system: idle ones, and all."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
