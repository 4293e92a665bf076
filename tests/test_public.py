"""The public names, and what importing them costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import types

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
    "functional",
    "interpolation_kernel",
    "nn",
]

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; import trous; "


def python(code: str) -> str:
    """What a fresh process prints; a warning there is an error."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
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


@pytest.mark.parametrize("name", ["nn", "accelerate"])
def test_what_needs_torch_says_so(name: str) -> None:
    code = f"""
try:
    trous.{name}
except ImportError as error:
    print(error)
"""
    assert python(WITHOUT_TORCH + code) == f"trous.{name} needs PyTorch: pip install trous[torch]"


def test_import_time() -> None:
    """Below 0.2 s, the interpreter's own start taken off; the median of several fresh processes."""

    def seconds(code: str) -> float:
        start = time.perf_counter()
        python(code)
        return time.perf_counter() - start

    python("import trous")  # compiles to bytecode where nobody has yet
    differences = [seconds("import trous") - seconds("pass") for _ in range(7)]
    assert statistics.median(differences) < 0.2, differences
