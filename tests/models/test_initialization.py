"""Statistics and reproducibility of starting weights."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from gantools.models.blocks import maybe_spectral
from gantools.models.initialization import initialize
from gantools.models.options import Initialization


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.ConvTranspose2d(64, 32, 4), nn.Linear(32, 128))


def weights(parts: nn.Sequential) -> list[torch.Tensor]:
    return [part.weight.detach() for part in parts if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_normal_is_the_papers() -> None:
    parts: Any = initialize(network(), "normal")
    for weight in weights(parts):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert parts[1].weight.mean().item() == pytest.approx(1, abs=0.01)
    assert parts[1].weight.std().item() == pytest.approx(0.02, rel=0.3)
    for part in parts:
        assert torch.count_nonzero(part.bias) == 0


def test_kaiming_and_xavier_are_scaled() -> None:
    parts: Any = initialize(network(), "kaiming", gain=0.1)
    assert parts[0].weight.std().item() == pytest.approx(0.1 * (2 / (32 * 9)) ** 0.5, rel=0.05)
    assert torch.equal(parts[1].weight, torch.ones(64))
    parts = initialize(network(), "xavier", gain=0.5)
    assert parts[3].weight.std().item() == pytest.approx(0.5 * (2 / (32 + 128)) ** 0.5, rel=0.05)


def test_orthogonal_is_orthogonal() -> None:
    parts: Any = initialize(network(), "orthogonal", gain=2.0)
    flat = parts[0].weight.detach().flatten(1)
    torch.testing.assert_close(flat @ flat.T, 4 * torch.eye(64), rtol=1e-4, atol=1e-4)


def test_default_leaves_the_network_alone() -> None:
    parts = network()
    before = [weight.clone() for weight in weights(parts)]
    assert initialize(parts, "default") is parts
    assert all(torch.equal(one, other) for one, other in zip(before, weights(parts), strict=True))


@pytest.mark.parametrize("scheme", get_args(Initialization))
def test_same_seed_same_weights(scheme: Initialization) -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        drawn.append(weights(initialize(network(), scheme, 0.5)))  # type: ignore[arg-type]
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))


@pytest.mark.parametrize("scheme", get_args(Initialization))
def test_meta_tensors_draw_nothing(scheme: Initialization) -> None:
    with torch.device("meta"):
        parts = nn.Sequential(network(), maybe_spectral(nn.Conv2d(3, 4, 3), True))
    before = torch.get_rng_state()
    assert all(parameter.is_meta for parameter in initialize(parts, scheme).parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_spectral_norm_knows_the_new_weights() -> None:
    layer: Any = maybe_spectral(nn.Conv2d(16, 16, 3), True)
    initialize(layer, "normal")
    layer.eval()
    assert layer.parametrizations.weight.original.std().item() == pytest.approx(0.02, rel=0.1)
    assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1, rel=0.1)
