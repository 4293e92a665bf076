"""The networks run at their sizes, and the judge's hulls are wide enough for them as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from inspection.gradients import Statistics, dependence, one_thread, sample
from inspection.networks import NETWORKS


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def few(size: tuple[int, ...]) -> list[tuple[int, ...]]:
    return sample(size, random=1)[::4]


def corner(size: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(0,) * len(size)]


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_outside_the_hull_changes_the_network(name: str) -> None:
    """The network as it is, with its own weights and activations: new numbers outside the hull leave the output."""
    entry = NETWORKS[name]
    network = entry.build().double().eval()
    judged = dependence(network, entry.shape, modules=[""], positions=few, complex_input=entry.complex_input)
    (output,) = judged[""]
    dtype = torch.complex128 if entry.complex_input else torch.float64
    x = torch.randn(entry.shape, dtype=dtype)
    with torch.no_grad():
        expected = network(x)
        assert expected.shape == output.shape
        for position, hull in output.hulls.items():
            changed = torch.randn_like(x)
            if hull is not None:
                inside = (..., *(slice(first, last + 1) for first, last in hull))
                changed[inside] = x[inside]
            here = (slice(None), slice(None), *position)
            torch.testing.assert_close(network(changed)[here], expected[here], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.reach != "global"])
def test_reach_is_as_the_list_says(name: str) -> None:
    """Some position of a local network sees less than its longest axis; statistics see all of it until held."""
    entry = NETWORKS[name]
    whole = entry.shape[-1] - 1

    def local(statistics: Statistics) -> bool:
        output = dependence(entry.build(), entry.shape, modules=[""], statistics=statistics, positions=corner)[""][0]
        (hull,) = output.hulls.values()
        return hull[-1] != (0, whole)

    assert local("exact") is (entry.reach == "local")
    assert local("held")
