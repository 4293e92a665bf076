"""The repository as a whole: what a reader of any file can rely on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 500

# Joined from halves, so that this file does not contain what it looks for.
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + r"X)\b")
PRIVATE_PATH = re.compile(r"(?<![\w./~])/" + r"(wo" + "rk|fa" + "rm|ro" + "ot|ho" + "me)/" + "|/tm" + "p/")


def project_files() -> list[Path]:
    """What git tracks or would track; without git (an unpacked archive), what lies outside hidden folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        listed = [str(path) for path in found if not any(part[0] in "._" for part in path.parts[:-1])]
    return sorted(ROOT / name for name in set(listed) if name and (ROOT / name).is_file())


def text_files() -> list[tuple[Path, str]]:
    found = []
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            found.append((path.relative_to(ROOT), content.decode()))
    return found


def mentions(pattern: re.Pattern[str]) -> list[str]:
    """`file:line: text` wherever the pattern occurs."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_files_are_found() -> None:
    names = {str(path) for path, _ in text_files()}
    assert {"README.md", "Makefile", "pyproject.toml", "src/trous/spec.py", "tests/test_repository.py"} <= names


def test_no_file_mentions_a_path_of_somebody_s_machine() -> None:
    assert mentions(PRIVATE_PATH) == []


def test_nothing_is_left_unfinished() -> None:
    assert mentions(UNFINISHED) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (PRIVATE_PATH, "data = '/" + "work/shared'"),
        (PRIVATE_PATH, "cd /" + "farm/a"),
        (PRIVATE_PATH, "open('/tm" + "p/x')"),
        (UNFINISHED, "# TO" + "DO: later"),
        (UNFINISHED, "# FIX" + "ME"),
    ],
)
def test_the_patterns_see_what_they_are_for(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_no_source_file_is_longer_than_it_may_be() -> None:
    lengths = {str(path): len(text.splitlines()) for path, text in text_files() if path.suffix in (".py", ".md")}
    assert {path: n for path, n in lengths.items() if n > LONGEST} == {}


def test_the_package_needs_nothing_that_is_not_pinned() -> None:
    """Every name in pyproject's dependencies has an exact version in constraints.txt."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pyproject = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'"([a-z-]+)>=[\d.]+"', pyproject))
    assert wanted and wanted <= pinned.keys()
    assert pinned["torch"] == "2.13.0"


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_shows_the_commands(command: str) -> None:
    assert any(command in block for block in readme_blocks("sh"))


def test_the_readme_s_python_runs() -> None:
    """All blocks, in order, in one namespace: what a reader types."""
    blocks = readme_blocks("python")
    assert len(blocks) >= 2
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)


def test_links_in_the_documents_lead_somewhere() -> None:
    broken = []
    for path, text in text_files():
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                if not (ROOT / path.parent / target).exists():
                    broken.append(f"{path}: {target}")
    assert broken == []
