"""Those who do the same layers. Each has a module with `prepare(job, last)`, which imports the library.

`prepare` gives a call that does the job and returns when it is done; it raises `Refused`, or whatever the library
raises, for what the library cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from trous.bench.peers.job import Job, Prepared, Refused

__all__ = ["OURS", "PEERS", "Job", "Peer", "Prepared", "Refused"]


@dataclass(frozen=True)
class Peer:
    """A library that does layers: what it is called, how it is chosen, which packages it needs."""

    key: str
    name: str
    module: str
    needs: tuple[str, ...]
    layouts: tuple[bool, ...] = (False, True)  #: channels-first, channels-last
    trains: bool = False

    def missing(self) -> str | None:
        """Which package is not installed; None where all are."""
        absent = [package for package in self.needs if find_spec(package) is None]
        return f"{', '.join(absent)} not installed" if absent else None

    def prepare(self, job: Job, last: bool) -> Prepared:
        return import_module(f"{__name__}.{self.module}").prepare(job, last)

    def contender(self, last: bool) -> str:
        """What a table calls the peer in this layout."""
        return f"{self.name}, channels last" if last else self.name

    @property
    def contenders(self) -> list[str]:
        return [self.contender(last) for last in self.layouts]


OURS = Peer("trous", "trous", "ours", ("numpy", "llvmlite"), trains=True)
PEERS = (
    Peer("torch", "PyTorch", "pytorch", ("torch",), trains=True),
    Peer("compile", "torch.compile", "compiled", ("torch",), trains=True),
    Peer("onnxruntime", "ONNX Runtime", "onnx_runtime", ("onnxruntime", "onnx"), layouts=(False,)),
    Peer("openvino", "OpenVINO", "openvino_cpu", ("openvino",), layouts=(False,)),
    Peer("jax", "JAX", "jax_cpu", ("jax", "jaxlib")),
)
