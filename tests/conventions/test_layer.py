"""What all conventions share: how many axes there are, what is checked, what an operator looks like."""

from __future__ import annotations

from typing import Any

import pytest

from trous import Conv, ConvTranspose, TrousError, conventions
from trous.conventions import FRAMEWORKS, from_onnx, to_onnx, to_pytorch


def test_the_names() -> None:
    kinds = ("from_", "to_", "weight_from_", "weight_to_")
    names = {kind + framework for kind in kinds for framework in FRAMEWORKS}
    assert set(conventions.__all__) == names | {"FRAMEWORKS", "Operator"}
    assert conventions.__all__ == sorted(conventions.__all__)
    assert list(FRAMEWORKS) == sorted(FRAMEWORKS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_how_many_axes(framework: str) -> None:
    """By the spec, by ndim, or by the size; nothing is guessed."""
    to = getattr(conventions, f"to_{framework}")
    plain, named = Conv(3), Conv((3, 3))
    assert to(plain, 2) == to(named) == to(plain, size=(8, 8)) == to(named, 2, 8)
    assert to(plain, 1) == to(plain, size=8) != to(named)
    with pytest.raises(TrousError, match="ndim must be given for a spec that names no axes, got None"):
        to(plain)
    for ndim in (0, 1, 4):
        with pytest.raises(TrousError, match="ndim must be the 2 that the spec names"):
            to(named, ndim, 8)
    for wrong in ((8, 8, 8), -1, "8", (8, None)):
        with pytest.raises(TrousError, match="size must"):
            to(named, size=wrong)
    with pytest.raises(TrousError, match=r"spec must be a trous.Conv or a trous.ConvTranspose, got 'Conv2d'"):
        to("Conv2d")


def test_an_operator_is_a_name_and_its_attributes() -> None:
    operator = to_pytorch(Conv(3), 1)
    name, attributes = operator
    assert (name, attributes) == (operator.name, operator.attributes)
    assert str(operator) == "Conv1d(kernel_size=(3,), stride=(1,), padding=(0,), dilation=(1,), groups=1)"


@pytest.mark.parametrize(
    "spec", [Conv((3, 4), (1, 2), ((1, 2), (0, 0)), 3, 4), Conv((5,), padding=2), ConvTranspose((4, 4), 2, 1, 1)]
)
def test_what_comes_back_is_as_short_as_it_can_be(spec: Any) -> None:
    """One number where all axes share it, a pair only where the two ends differ."""
    assert repr(from_onnx(*to_onnx(spec))) == repr(spec)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_said_twice_agrees(framework: str) -> None:
    operator = getattr(conventions, f"to_{framework}")(Conv((3, 3)))
    read = getattr(conventions, f"from_{framework}")
    assert read(*operator, kernel=(3, 3)) == Conv((3, 3))
    with pytest.raises(TrousError, match=r"kernel must|kernel_size must|window_strides must"):
        read(*operator, kernel=(3, 5) if framework != "jax" else (3, 3, 3))
