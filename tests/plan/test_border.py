"""Padding modes as index maps, against torch's and NumPy's padding."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from trous.errors import TrousError
from trous.plan.border import PADDING_MODES, known_border, source_indices
from trous.plan.piece import Known

NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
CASES = tuple(product(range(1, 7), range(7), range(7)))


@pytest.mark.parametrize("mode", NUMPY)
def test_modes_are_torchs_and_numpys(mode: str) -> None:
    agreed = refused = 0
    for size, before, after in CASES:
        x = torch.arange(size, dtype=torch.float64)[None, None]
        try:
            expected = torch.nn.functional.pad(x, (before, after), mode=mode)[0, 0].tolist()
        except RuntimeError:
            with pytest.raises(TrousError):
                source_indices(mode, size, before, after)
            refused += 1
            continue
        indices = source_indices(mode, size, before, after)
        assert list(indices) == expected
        assert list(indices) == np.pad(np.arange(size), (before, after), mode=NUMPY[mode]).tolist()
        agreed += 1
    assert agreed > 80
    assert refused > 50 or mode == "replicate"


def test_zeros_copy_nothing() -> None:
    assert source_indices("zeros", 3, 2, 1) == (None, None, 0, 1, 2, None)
    assert source_indices("zeros", 0, 1, 1) == (None, None)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_negative_padding_crops(mode: str) -> None:
    assert source_indices(mode, 6, -2, -1) == (2, 3, 4)
    assert source_indices(mode, 2, -1, -1) == source_indices(mode, 0, 0, 0) == ()
    assert source_indices(mode, 4, -1, 1)[:3] == (1, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mirror", 4, 1, 1), "padding_mode must be one of zeros, reflect, replicate, circular, got 'mirror'"),
        (("reflect", 4, 0, 4), "padding must be smaller than the axis (4) for padding_mode reflect, got 4"),
        (("circular", 4, 5, 0), "padding must be at most the axis (4) for padding_mode circular, got 5"),
        (("replicate", 0, 1, 0), "padding must be 0 on an empty axis for padding_mode replicate, got 1"),
    ],
)
def test_padding_that_cannot_be(arguments: tuple, message: str) -> None:
    with pytest.raises(TrousError) as error:
        source_indices(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_gather_and_scatter_add_are_adjoint(mode: str, rng: np.random.Generator) -> None:
    sources = source_indices(mode, 5, 3, 4)
    x, y = rng.integers(-9, 9, 5), rng.integers(-9, 9, len(sources))
    padded = np.array([0 if source is None else x[source] for source in sources])
    back = np.zeros(5, int)
    for position, source in enumerate(sources):
        if source is not None:
            back[source] += y[position]
    assert padded @ y == x @ back
    assert padded.any() and back.any()


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_positions_of_a_signal_that_goes_on_are_known_with_what_they_copy(mode: str) -> None:
    """Against all positions of a signal so long that its end plays no part."""
    for first, before in product(range(9), range(6)):
        for others in ((), (first + 2,), (first + 1, first + 3)):
            inputs = Known.of(first, others)
            copied = source_indices(mode, 40, before, 0)
            expected = {o for o, i in enumerate(copied) if i is not None and inputs.holds(i)}
            found = known_border(mode, inputs, before)
            assert {*range(found.first), *found.others} == expected, (mode, inputs, before)
            assert found.first not in expected


def test_some_of_the_positions() -> None:
    assert source_indices("reflect", 4, 2, 1, range(1, 7)) == (1, 0, 1, 2, 3, 2)
