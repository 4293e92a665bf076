"""The public names, and what importing them costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import types
from pathlib import Path

import pytest

import trous

#: Users rely on these; a name is added here when it is added there.
NAMES = [
    "Conv",
    "ConvTranspose",
    "TrousError",
    "__version__",
    "accelerate",
    "conv",
    "conv_transpose",
    "conventions",
    "deconvolve",
    "draw",
    "explain",
    "freeze",
    "functional",
    "inspect",
    "interpolation_kernel",
    "interpolation_spec",
    "mirror",
    "nn",
    "solve",
    "solve_stack",
    "stream",
]

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; import trous; "


def python(code: str, **environment: str) -> str:
    """What a fresh process prints; a warning there is an error."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_list_of_names() -> None:
    assert trous.__all__ == NAMES == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_exists(name: str) -> None:
    assert getattr(trous, name) is not None
    assert name in dir(trous)


def test_nothing_else_is_public() -> None:
    """Submodules become attributes as they are imported; whatever else has no underscore is listed."""
    modules = {name for name, value in vars(trous).items() if isinstance(value, types.ModuleType)}
    language = {"annotations", "Any", "TYPE_CHECKING"}
    assert {name for name in vars(trous) if not name.startswith("_")} - modules - language <= set(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'convolve'"):
        trous.convolve  # noqa: B018 - the access is what is tested


def test_torch_is_not_imported() -> None:
    assert python("import sys, trous; print('torch' in sys.modules)") == "False"


def test_numpy_works_where_torch_is_missing() -> None:
    code = "import numpy as np; print(trous.conv(np.ones((1, 1, 5)), np.ones((1, 1, 3)), dilation=2).tolist())"
    assert python(WITHOUT_TORCH + code) == "[[[3.0]]]"


@pytest.mark.parametrize(
    "code", ["trous.nn", "trous.accelerate", "import trous.nn", "from trous.nn import Conv2d", "from trous import nn"]
)
def test_what_needs_torch_says_so(code: str) -> None:
    attempt = f"""
try:
    {code}
except ImportError as error:
    print(error)
"""
    assert python(WITHOUT_TORCH + attempt) == "trous.nn and trous.accelerate need PyTorch: pip install torch"


def test_help_works_where_torch_is_missing() -> None:
    assert "conv_transpose" in python(WITHOUT_TORCH + "import pydoc; print(pydoc.render_doc(trous))")


#: What `import numpy` takes on the machine that the limit of 0.2 s is meant for.
NUMPY_SECONDS = 0.13


def test_import_time(tmp_path: Path) -> None:
    """Below 0.2 s, the interpreter's own start taken off, where NumPy's part of it takes 0.13 s; in proportion where a
    machine is slower, as shared ones are at times. Medians of several fresh processes that take turns.

    Processor time, user and system, all threads: what passes on a machine that has nothing else to do, without what
    other programs take meanwhile. The processes find bytecode, as in an installed package.
    """
    bytecode = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}

    def seconds(code: str) -> float:
        before = os.times()
        python(code, **bytecode)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    python("import trous", **bytecode)
    rounds = [[seconds(code) for code in ("pass", "import numpy", "import trous")] for _ in range(9)]
    start, numpy, own = (statistics.median(times) for times in zip(*rounds, strict=True))
    assert own - start < 0.2 * max(1, (numpy - start) / NUMPY_SECONDS), rounds
