"""Imports go one way: a module sees its own level and the ones below, never one above."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "trous"

#: Lowest first. Modules of one level do not know each other.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors", "arrays", "files", "memory", "settings"),
    ("plan",),
    ("spec",),
    ("problem",),
    ("backends",),
    ("frozen",),
    ("entry",),
    ("autograd",),
    ("functional",),
    ("nn",),
    ("explanation", "interpolation", "conventions", "solving"),
    ("inspection",),
    ("mirroring", "streaming", "inverse"),
    ("drawing",),
    ("bench",),
    ("apps",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}

#: The package itself gathers the public names of everything below the applications.
PACKAGE = LEVEL["drawing"] + 0.5


def module_of(path: Path) -> str:
    """`trous.plan.axis` for `.../plan/axis.py`, `trous.plan` for `.../plan/__init__.py`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("trous", *parts)).removesuffix(".__init__")


def top(module: str) -> str:
    """The name under `trous` that a module belongs to, or "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports(source: str, module: str) -> set[str]:
    """Every module that `source` imports, inside functions and type checking blocks too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively, line {node.lineno}"
            if node.module == "trous":
                known = {f"trous.{alias.name}" if alias.name in LEVEL else "trous" for alias in node.names}
                found |= known
            else:
                found.add(node.module or "")
    return found


def level_of(module: str) -> float:
    name = top(module)
    assert not name or name in LEVEL, f"{module} has no place in the order of levels"
    return LEVEL[name] if name else PACKAGE


def upward(source: str, module: str) -> list[str]:
    """What `module` imports and should not."""
    return sorted(
        imported
        for imported in imports(source, module)
        if imported.split(".")[0] == "trous"
        and not (top(imported) == top(module) and top(module))
        and level_of(imported) >= level_of(module)
    )


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down(path: Path) -> None:
    assert upward(path.read_text(), module_of(path)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "plan").rglob("*.py")), ids=module_of)
def test_the_plan_needs_the_standard_library_only(path: Path) -> None:
    for imported in imports(path.read_text(), module_of(path)):
        own = imported.startswith("trous.plan") or imported == "trous.errors"
        assert own or imported.split(".")[0] in sys.stdlib_module_names, imported


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("trous.plan.axis", "from trous.spec import Conv", ["trous.spec"]),
        ("trous.plan.axis", "from trous import spec, errors", ["trous.spec"]),
        ("trous.errors", "import trous.arrays", ["trous.arrays"]),
        ("trous.functional", "def f():\n    import trous.nn.conv", ["trous.nn.conv"]),
        ("trous.nn.conv", "import trous", ["trous"]),
        ("trous.spec", "from trous.plan import Plan", []),
        ("trous.backends.cpu.ir", "from trous.backends.operation import Operation", []),
        ("trous.cli.demo", "import trous\nfrom trous.demo import page", []),
        ("trous", "from trous.spec import Conv\nfrom trous import functional", []),
    ],
)
def test_the_check_sees_what_goes_up(module: str, source: str, wrong: list[str]) -> None:
    assert upward(source, module) == wrong


def test_every_level_has_been_found() -> None:
    """The files were found where this test looks, and the lower levels among them."""
    assert {"errors", "plan", "spec", "backends"} <= {top(module_of(path)) for path in FILES}
