"""Where something was measured."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

from trous.bench import machine

ROOT = Path(__file__).parents[2]


def test_versions_and_commit() -> None:
    about = machine.machine()
    assert about["numpy"] == version("numpy")
    assert "no_such_package" not in about
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    assert about["commit"].removesuffix("+") == (head.stdout.strip() if head.returncode == 0 else "unknown")


def test_a_busy_core_is_seen() -> None:
    """This machine's counters move on by the time that passes."""
    before = machine._idle()
    assert 0 <= machine.busy(0.2) <= (os.cpu_count() or 1)
    idle, ticks = machine._idle()
    assert ticks > before[1] and idle >= before[0]
