"""From IR text to a callable: optimise, lower, keep the object code on disk, load it."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from trous.backends.cpu.header import POINTER_COUNT
from trous.backends.cpu.target import Target
from trous.files import replace_file

#: Part of every cache key: object code of another LLVM, or of other generators, is never loaded.
_GENERATORS = (
    "narrow",
    "values",
    "ir",
    "header",
    "windows",
    "live",
    "packing",
    "product",
    "runs",
    "gemm",
    "staging",
    "strips",
    "overlap",
    "stems",
    "channelwise",
    "maps",
    "panels",
    "correlate",
    "activations",
    "finishing",
    "amx",
    "amx_inputs",
    "amx_weights",
    "amx_dense",
    "sharing",
    "stack/program",
    "stack/form",
    "stack/memory",
    "stack/kernel",
    "stack/driver",
    "engine",
)

_DIGEST = hashlib.sha256().digest_size

_lock = threading.Lock()
_loaded: dict[str, Callable[..., Any]] = {}

#: The C type of kernels.
KERNEL = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (2 + POINTER_COUNT), ctypes.c_int64, ctypes.c_int64)


def cache_folder() -> Path | None:
    """Where object code is kept: `TROUS_CACHE`, by default the user's cache folder; None when it is set empty."""
    named = os.environ.get("TROUS_CACHE")
    if named is not None:
        return Path(named) if named else None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / (
        "Library/Caches" if sys.platform == "darwin" else ".cache"
    )
    return Path(base) / "trous"


def function(name: str, target: Target, build: Callable[[], str], kind: Any = KERNEL) -> Callable[..., Any]:
    """The compiled function `name`, whose IR `build` gives; from memory's or the disk's cache if it was made before."""
    key = f"{name}-{target.name}-{_fingerprint()}"
    if key in _loaded:
        return _loaded[key]
    path = None if (folder := cache_folder()) is None else folder / f"{key}.o"
    with _lock:
        code = _read(path)
        if code is None:
            code = compile_object(build(), target)
            _write(path, code)
        if key not in _loaded:
            _loaded[key] = _load(key, name, code, kind)
        return _loaded[key]


def compile_object(text: str, target: Target) -> bytes:
    """Object code of a module. A short pipeline: what the generators emit is already in the right order, and the whole
    of LLVM's takes four times as long for the same speed."""
    module = llvm.parse_assembly(text)
    machine = _machine(target)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_new_gvn_pass()
    passes.add_loop_rotate_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return machine.emit_object(module)


@lru_cache(maxsize=8)
def _machine(target: Target) -> llvm.TargetMachine:
    _initialise()
    triple = llvm.get_process_triple()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=1, reloc="pic", codemodel="default"
    )


@lru_cache(maxsize=1)
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@lru_cache(maxsize=1)
def _jit() -> llvm.LLJIT:
    _initialise()
    return llvm.create_lljit_compiler()


def _load(key: str, name: str, code: bytes, kind: Any) -> Callable[..., Any]:
    tracker = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(name).add_current_process().link(_jit(), key)
    found: Callable[..., Any] = kind(tracker[name])
    found.tracker = tracker  # type: ignore[attr-defined] # keeps the code where it is
    return found


def code_address(function: Any) -> int:
    """Where the code of a ctypes function lies."""
    return ctypes.c_void_p.from_buffer(function).value or 0


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    folder = Path(__file__).parent
    digest = hashlib.sha256(f"{llvmlite.__version__} {llvm.llvm_version_info}".encode())
    for source in _GENERATORS:
        digest.update((folder / f"{source}.py").read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path | None) -> bytes | None:
    """Object code that was kept, if it is all there: its digest stands in front of it."""
    try:
        kept = b"" if path is None else path.read_bytes()
    except OSError:
        return None
    digest, code = kept[:_DIGEST], kept[_DIGEST:]
    return code if digest == hashlib.sha256(code).digest() else None


def _write(path: Path | None, code: bytes) -> None:
    """Keep `code`; a folder that cannot be written is no reason to stop."""
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, hashlib.sha256(code).digest() + code)
