"""The examples of the docstrings run, with the public names beside those of their own module; so do a page's."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import torch

import trous
from trous.plan import conv_axis
from trous.problem import Problem

NAMES = {name: getattr(trous, name) for name in trous.__all__} | {
    "Problem": Problem,
    "conv_axis": conv_axis,
    "np": np,
    "torch": torch,
    "x": np.ones((1, 3, 5, 5), np.float32),
}


def test_examples_of_the_docstrings() -> None:
    attempted = 0
    for module in pkgutil.walk_packages(trous.__path__, "trous."):
        if module.name != "trous.__main__":
            results = doctest.testmod(importlib.import_module(module.name), extraglobs=NAMES)
            assert results.failed == 0, module.name
            attempted += results.attempted
    assert attempted > 15


@pytest.mark.parametrize(
    "name", ["choosing", "deconvolution", "drawing", "epilogues", "frozen", "mirroring", "solving"]
)
def test_examples_of_a_page(name: str) -> None:
    page = Path(__file__).parents[1] / "docs" / f"{name}.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert attempted > 3
    assert failed == 0
