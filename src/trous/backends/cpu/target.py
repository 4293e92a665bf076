"""The instruction sets that code is generated for, and which of them this machine runs."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import llvmlite.binding as llvm

from trous import settings
from trous.errors import TrousError


@dataclass(frozen=True)
class Target:
    """An instruction set: LLVM's names for it and the register file that tiles must fit."""

    name: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    broadcast_operands: bool  #: multiply-add takes a broadcast memory operand, so tiles need no register for it
    matrix_tiles: bool = False  #: AMX multiplies tiles of bfloat16

    def lanes(self, element_bytes: int) -> int:
        return self.vector_bytes // element_bytes


_X86 = (
    Target("sse4", "x86-64-v2", "", 16, 16, False),
    Target("avx2", "x86-64-v3", "", 32, 16, False),
    # LLVM prefers half registers on some AVX-512 processors; the tiles are meant for whole ones.
    Target("avx512", "x86-64-v4", "-prefer-256-bit", 64, 32, True),
    Target("amx", "x86-64-v4", "-prefer-256-bit,+avx512bf16,+amx-tile,+amx-bf16", 64, 32, True, True),
)
_NEEDS = {
    "sse4": ("sse4.2",),
    "avx2": ("avx2", "fma", "bmi2"),
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    "amx": ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16", "amx-tile", "amx-bf16"),
}
_PORTABLE = Target("portable", "", "", 16, 32, False)


@lru_cache(maxsize=1)
def available() -> tuple[str, ...]:
    """Names of the instruction sets this machine can lower to, widest last."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return (_PORTABLE.name,)
    host = llvm.get_host_cpu_features()
    known = [t for t in _X86 if all(host.get(feature, False) for feature in _NEEDS[t.name])]
    return tuple(t.name for t in known if not t.matrix_tiles or _tiles_are_granted())


def _tiles_are_granted() -> bool:
    """Ask Linux for the use of tile registers, which it grants to a process and the threads that it has from then on.

    Their 8 KB make the memory that a thread is switched with so large that the system wants to be asked:
    `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
    """
    if platform.system() != "Linux":
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    return int(call(ctypes.c_long(158), ctypes.c_long(0x1023), ctypes.c_long(18))) == 0


@contextmanager
def use(name: str) -> Iterator[None]:
    """Generate code for the instruction set `name` inside the block, as `TROUS_CPU=name` does for a process."""
    _named(name)
    with settings.forced(settings.CPU, name):
        yield


def current() -> Target:
    """The widest instruction set available, unless `use` or `TROUS_CPU` names another."""
    return _named(settings.get(settings.CPU) or "")


@lru_cache(maxsize=8)
def _named(name: str) -> Target:
    names = available()
    if name and name not in names:
        raise TrousError("TROUS_CPU", f"must be one of {', '.join(names)}, which this machine runs", name)
    return {t.name: t for t in (*_X86, _PORTABLE)}[name or names[-1]]
