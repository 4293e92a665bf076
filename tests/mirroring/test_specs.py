"""Specs and their mirrors: exactly the size they began with, by the rules of sizes written out here."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from trous import Conv, ConvTranspose, TrousError, mirror

LARGEST = 100


def rule(spec: Any, size: tuple[int, ...]) -> tuple[int, ...]:
    """torch's size rules, axis by axis."""
    sizes = []
    for axis, n in enumerate(size):
        a = spec.axis_arguments(axis)
        before, after, *extra = spec.axis_padding(axis)
        reach = a["dilation"] * (a["kernel"] - 1)
        if isinstance(spec, Conv):
            sizes.append((n + before + after - reach - 1) // a["stride"] + 1)
        else:
            sizes.append((n - 1) * a["stride"] - before - after + reach + extra[0] + 1)
    return tuple(sizes)


def random_spec(rng: np.random.Generator, ndim: int) -> Conv | ConvTranspose:
    def per_axis(low: int, high: int) -> Any:
        values = tuple(int(n) for n in rng.integers(low, high + 1, ndim))
        return values if rng.integers(2) else values[0]

    kernel, stride, dilation = per_axis(1, 7), per_axis(1, 4), per_axis(1, 3)
    padding: Any = [
        per_axis(0, 3),
        tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (ndim, 2))),
        "same",
        "causal",
        "full",
        "valid",
    ][rng.integers(6)]
    groups = int(rng.integers(1, 4))
    if rng.integers(5):
        return Conv(kernel, stride, padding, dilation, groups)
    least = np.broadcast_to(np.maximum(stride, dilation), ndim)
    extra = 0 if isinstance(padding, str) else tuple(int(rng.integers(n)) for n in least)
    return ConvTranspose(kernel, stride, padding, extra, dilation, groups)


def check_family(rng: np.random.Generator, count: int) -> None:
    """Every size from the smallest to 100 along the first axis, others drawn; one below the smallest is refused."""
    checked = 0
    while checked < count:
        ndim = int(rng.integers(1, 4))
        encoder = [random_spec(rng, ndim) for _ in range(rng.integers(1, 6))]
        try:
            mirror(encoder, (LARGEST,) * ndim)
        except TrousError as error:
            assert error.argument in ("input_size", "output_padding")
            continue
        checked += 1
        for n in range(1, LARGEST + 1):
            size = (n, *(int(m) for m in rng.integers(1, LARGEST + 1, ndim - 1)))
            sizes = [size]
            for spec in encoder:
                sizes.append(rule(spec, sizes[-1]))
                if min(sizes[-1]) < 1:
                    break
            if min(sizes[-1]) < 1:
                with pytest.raises(TrousError, match="input_size must be at least"):
                    mirror(encoder, size)
                continue
            mirrors = mirror(encoder, size)
            for back, spec, wanted, given in zip(mirrors, encoder[::-1], sizes[-2::-1], sizes[::-1], strict=False):
                assert rule(back, given) == wanted, (spec, back, given)
                assert type(back) is not type(spec)
                assert (back.kernel, back.stride, back.dilation, back.groups) == (
                    spec.kernel,
                    spec.stride,
                    spec.dilation,
                    spec.groups,
                )


def test_every_size_of_random_encoders(rng: np.random.Generator) -> None:
    check_family(rng, 100)


@pytest.mark.slow
def test_every_size_of_many_random_encoders(rng: np.random.Generator) -> None:
    check_family(rng, 1000)


def test_the_mirror_has_the_taps_of_the_adjoint(rng: np.random.Generator) -> None:
    """Every output of the way back stands where the convolution read it; "causal" alone moves them."""
    checked = 0
    while checked < 200:
        spec = random_spec(rng, 2)
        if spec.padding == "causal" or (isinstance(spec, ConvTranspose) and not isinstance(spec.padding, str)):
            continue
        checked += 1
        (back,) = mirror(spec, (60, 61))
        assert [axis.taps for axis in back.plan(2).axes] == [axis.taps for axis in spec.plan(2).adjoint().axes]


@pytest.mark.parametrize(
    ("encoder", "size", "mirrors"),
    [
        (Conv(3, stride=2, padding=1), 8, [ConvTranspose(3, stride=2, padding=1, output_padding=1)]),
        (Conv(3, stride=2, padding=1), 7, [ConvTranspose(3, stride=2, padding=1)]),
        (
            Conv(3, stride=2, padding=1),
            (37, 54),
            [ConvTranspose(3, stride=2, padding=1, output_padding=(0, 1))],
        ),
        (Conv(4, padding="same"), (9,), [ConvTranspose(4, padding=((1, 2),))]),
        (Conv(3, dilation=4, padding="causal"), (9,), [ConvTranspose(3, dilation=4, padding=((0, 8),))]),
        (Conv(2, stride=5, padding="causal"), (9,), [ConvTranspose(2, stride=5, padding=((0, 1),), output_padding=3)]),
        (ConvTranspose(4, stride=2, padding=1), 5, [Conv(4, stride=2, padding=1)]),
        (ConvTranspose(3, dilation=3, padding=1, output_padding=1), 5, [Conv(3, dilation=3, padding=((1, 0),))]),
        ([Conv(3, groups=2), Conv(5)], 9, [ConvTranspose(5), ConvTranspose(3, groups=2)]),
    ],
)
def test_mirrors_by_hand(encoder: Any, size: Any, mirrors: list[Any]) -> None:
    assert list(mirror(encoder, size)) == mirrors


@pytest.mark.parametrize(
    ("encoder", "size", "message"),
    [
        ([], 9, "encoder must be a torch module, or a Conv"),
        ([Conv(3), 3], 9, "encoder must be a torch module, or a Conv"),
        ("conv", 9, "encoder must be a torch module, or a Conv"),
        (Conv(3), 0, "input_size must be at least 1"),
        (Conv(3), 2.5, "input_size must be an integer or one integer per axis"),
        (Conv((3, 3)), 9, "input_size must have one entry for each of 2 axes, got 9"),
        ([Conv(3, stride=2)] * 3, 14, "input_size must be at least 15 for this encoder, got 14"),
        ([Conv((3, 5), stride=2)] * 2, (6, 6), r"input_size must be at least \(7, 13\) for this encoder"),
        (ConvTranspose(3, dilation=5, output_padding=4), 9, "output_padding must be at most 0 for a convolution to"),
    ],
)
def test_what_cannot_be_mirrored(encoder: Any, size: Any, message: str) -> None:
    with pytest.raises(TrousError, match=message):
        mirror(encoder, size)


@pytest.mark.parametrize("name", ["in_channels", "norm", "activation", "output_activation"])
def test_arguments_of_modules_are_refused_for_specs(name: str) -> None:
    with pytest.raises(TrousError, match=f"{name} is for torch modules"):
        mirror(Conv(3), 9, **{name: 3})


def test_specs_need_no_torch() -> None:
    code = "import sys, trous; trous.mirror(trous.Conv(3, stride=2), (9, 8)); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
