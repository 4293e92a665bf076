"""Fields, gaps and the fewest layers, against trying every stack."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import pytest

from trous.plan import conv_axis
from trous.plan.plan import Plan
from trous.plan.reach import receptive_field
from trous.plan.stack import dilations_for, field, is_gapless, layers_for


def inputs_read(kernel: int, dilations: tuple[int, ...]) -> set[int]:
    """By the definition: one path for each choice of a tap in each layer."""
    return {sum(taps) for taps in product(*(range(0, kernel * d, d) for d in dilations))}


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_fields_and_gaps(kernel: int) -> None:
    found = 0
    for layers in range(1, 5):
        for dilations in combinations_with_replacement(range(1, 11), layers):
            read = inputs_read(kernel, dilations)
            seen = field(kernel, dilations)
            assert max(read) == seen - 1
            assert is_gapless(kernel, dilations[::-1]) == (len(read) == seen), dilations
            found += len(read) == seen
    assert found > 10
    plans = [Plan((conv_axis(kernel, 1, 0, 0, d),)) for d in (2, 5)]
    assert receptive_field(plans) == (field(kernel, (2, 5)),)


def fewest(wanted: int, kernel: int, max_dilation: int) -> tuple[int, int]:
    """Layers, and the least field of so many, over all stacks whose paths read every input."""
    layers = 1
    while True:
        fields = [
            field(kernel, dilations)
            for dilations in combinations_with_replacement(range(1, max_dilation + 1), layers)
            if field(kernel, dilations) >= wanted and len(inputs_read(kernel, dilations)) == field(kernel, dilations)
        ]
        if fields:
            return layers, min(fields)
        layers += 1


@pytest.mark.parametrize(
    ("kernel", "max_dilation", "most"), [(2, 12, 24), (2, 3, 12), (2, 1, 7), (3, 8, 30), (3, 2, 14), (4, 8, 40)]
)
def test_no_stack_has_fewer_layers_or_overshoots_less(kernel: int, max_dilation: int, most: int) -> None:
    for wanted in range(1, most + 1):
        dilations = dilations_for(wanted, kernel, max_dilation)
        assert is_gapless(kernel, dilations) and max(dilations) <= max_dilation
        assert list(dilations) == sorted(dilations)
        assert len(dilations) == layers_for(wanted, kernel, max_dilation)
        assert (len(dilations), field(kernel, dilations)) == fewest(wanted, kernel, max_dilation), wanted
