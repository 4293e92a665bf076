"""Probabilities sum to 1, and what is drawn is distributed by them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trous.apps.audio.wavenet.outputs import Mixture, MuLaw, drawn

ALL = torch.arange(65536, dtype=torch.float64) * (2 / 65535) - 1


def mixture(rng: np.random.Generator, scale: tuple[float, float]) -> torch.Tensor:
    """Outputs (1, 9): three components somewhere, one of them beyond the end."""
    means = [*rng.uniform(-1, 1, 2), 1.02]
    return torch.tensor([[*rng.normal(size=3), *means, *rng.uniform(*scale, 3)]], dtype=torch.float64)


def test_levels_of_mu_law_are_those_of_their_classes() -> None:
    law = MuLaw()
    levels = torch.arange(256) * (2 / 255) - 1
    assert torch.equal(law._number(levels), torch.arange(256))
    assert torch.equal(law.encode(law.decode(levels)), levels)
    sound = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    back = law.decode(law.encode(sound))
    wrong = (back - sound).abs()
    step = (1 + 255 * sound.abs()) * math.log(256) / 255 * (2 / 255)  # the slope of the law, and its step
    assert (wrong <= 0.52 * step).all()
    np.testing.assert_allclose(law.decode(torch.tensor([-1.0, 0.0, 1.0])), [-1, 0, 1], atol=1e-6)


def test_bits_of_mu_law_are_those_of_a_softmax(rng: np.random.Generator) -> None:
    law = MuLaw()
    outputs = torch.from_numpy(rng.normal(size=(2, 256, 3)))
    levels = law.encode(torch.from_numpy(rng.uniform(-1, 1, (2, 3))))
    p = torch.exp(outputs) / torch.exp(outputs).sum(1, keepdim=True)
    wanted = -torch.log2(p.gather(1, law._number(levels)[:, None])[:, 0])
    torch.testing.assert_close(law.bits(outputs, levels), wanted)
    assert torch.allclose(law.bits(torch.zeros(1, 256, 2), torch.zeros(1, 2)), torch.tensor(8.0))


@pytest.mark.parametrize("scale", [(-11.5, -9.0), (-8.0, -4.0), (-3.0, 0.5)])
def test_probabilities_of_a_mixture_sum_to_one(scale: tuple[float, float], rng: np.random.Generator) -> None:
    outputs = mixture(rng, scale)[..., None].expand(1, 9, len(ALL))
    p = torch.exp2(-Mixture(3).bits(outputs, ALL[None]))
    assert p.sum().item() == pytest.approx(1, abs=1e-9)


def test_bits_of_a_mixture_are_the_definition(rng: np.random.Generator) -> None:
    outputs, levels = mixture(rng, (-6, -2)), ALL[[0, 1, 20000, 40001, 65534, 65535]]
    weights, means, scales = outputs[0].reshape(3, 3).numpy()
    share = np.exp(weights) / np.exp(weights).sum()

    def below(x: float) -> float:
        return float(share @ (1 / (1 + np.exp(-(x - means) / np.exp(scales)))))

    edges = [(-np.inf if x < -1 + 1e-6 else x - 1 / 65535, np.inf if x > 1 - 1e-6 else x + 1 / 65535) for x in levels]
    wanted = [-np.log2(below(float(b)) - below(float(a))) for a, b in edges]
    got = Mixture(3).bits(outputs[..., None].expand(1, 9, 6), levels[None])[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_a_mixture_costs_finite_bits_however_far_off_it_is() -> None:
    outputs = torch.tensor([0.0, -0.9, -30.0])[None, :, None].expand(1, 3, 3).clone().requires_grad_()
    bits = Mixture(1).bits(outputs, torch.tensor([[-1.0, 0.3, 1.0]]))
    bits.sum().backward()
    assert torch.isfinite(bits).all() and torch.isfinite(outputs.grad).all()


def test_classes_are_drawn_by_the_inverse_of_their_sums() -> None:
    logits = torch.log(torch.tensor([[0.25, 0.0, 0.5, 0.25]]))
    uniforms = [0.0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2**-53]
    got = [drawn(logits, torch.tensor([u], dtype=torch.float64), 1.0).item() for u in uniforms]
    assert got == [0, 0, 2, 2, 3, 3]
    assert drawn(logits, torch.tensor([0.1]), 0.0).item() == 2
    assert [drawn(logits, torch.tensor([u]), 0.01).item() for u in (0.001, 0.999)] == [2, 2]


def test_samples_of_mu_law_are_as_frequent_as_likely(rng: np.random.Generator) -> None:
    law, count = MuLaw(), 40000
    outputs = torch.from_numpy(rng.normal(size=(1, 256)) * 2)
    u = torch.from_numpy((np.arange(count)[:, None] + 0.5) / count)
    drawn_levels = law.sample(outputs.expand(count, 256), u)
    p = torch.exp2(-law.bits(outputs[..., None].expand(1, 256, 256), torch.arange(256)[None] * (2 / 255) - 1))[0]
    found = torch.bincount(law._number(drawn_levels), minlength=256) / count
    assert (found - p).abs().max() < 2 / count


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_samples_of_a_mixture_are_as_frequent_as_likely(temperature: float, rng: np.random.Generator) -> None:
    outputs, count = mixture(rng, (-4, -2)), 200
    u = torch.from_numpy(np.stack(np.meshgrid(*[(np.arange(count) + 0.5) / count] * 2), -1).reshape(-1, 2))
    levels = Mixture(3).sample(outputs.expand(len(u), 9), u, temperature)
    assert levels.abs().max() <= 1
    colder = outputs.clone()
    colder[:, :3] /= temperature
    colder[:, 6:] += math.log(temperature)
    p = torch.exp2(-Mixture(3).bits(colder[..., None].expand(1, 9, len(ALL)), ALL[None]))[0]
    for cut in (-0.7, -0.2, 0.1, 0.6, 0.99):
        assert (levels <= cut).double().mean().item() == pytest.approx(p[cut >= ALL].sum().item(), abs=0.012)


def test_without_temperature_the_likeliest_is_taken(rng: np.random.Generator) -> None:
    outputs = torch.tensor([[0.0, 2.0, -0.3, 0.4, -1.0, -1.0]])
    assert Mixture(2).sample(outputs, torch.tensor([[0.1, 0.9]]), 0.0).item() == pytest.approx(0.4)
