"""Penalties where the gradient is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantools.losses.penalties import gradient_penalty, r1_penalty
from gantools.models import DISCRIMINATORS
from gantools.models.options import CriticOptions

DIRECTION = torch.arange(1.0, 13).view(1, 3, 2, 2) / 10
LENGTH = DIRECTION.norm().item()


def linear(image: Tensor) -> Tensor:
    return (image * DIRECTION).flatten(1).sum(dim=1, keepdim=True)


def half_square(image: Tensor) -> Tensor:
    """Its gradient is the image itself."""
    return image.square().flatten(1).sum(dim=1) / 2


def test_penalties_of_a_linear_critic() -> None:
    """A map of logits counts as its mean."""
    real, fake = torch.randn(2, 4, 3, 2, 2)
    for critic in (linear, lambda image: linear(image).view(-1, 1, 1, 1).expand(-1, 1, 5, 7)):
        assert gradient_penalty(critic, real, fake).item() == pytest.approx((LENGTH - 1) ** 2, rel=1e-5)
        assert r1_penalty(critic, real).item() == pytest.approx(LENGTH**2, rel=1e-5)


def test_penalties_take_one_norm_and_one_point_per_sample() -> None:
    """Between zeros and an image of norm 2 the point is 2·α long: the mean of (2α - 1)² is 1/3."""
    torch.manual_seed(0)
    ones = torch.ones(4000, 1, 2, 2)
    between = gradient_penalty(half_square, torch.zeros_like(ones), ones)
    torch.testing.assert_close(between.item(), 1 / 3, rtol=0.05, atol=0)
    batch = torch.stack([torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), 1.5)])
    assert gradient_penalty(half_square, batch, batch).item() == pytest.approx((0 + 4) / 2, rel=1e-6)
    assert r1_penalty(half_square, batch).item() == pytest.approx((1 + 9) / 2, rel=1e-6)


@pytest.mark.parametrize("norm", ["instance", "layer", "none"])
def test_penalties_reach_the_weights_of_a_real_critic(norm: Any) -> None:
    torch.manual_seed(0)
    critic = DISCRIMINATORS.build(CriticOptions(base_channels=4, downs=2, norm=norm), in_channels=3)
    real, fake = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16, requires_grad=True)
    torch.autograd.backward(gradient_penalty(critic, real, fake) + r1_penalty(critic, real))
    assert fake.grad is None
    weights = [parameter.grad for name, parameter in critic.named_parameters() if name.endswith("weight")]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in weights)


def test_penalties_ignore_autocast_and_no_grad() -> None:
    """Penalties are second-order: half precision would drown them."""
    seen = []
    layer = nn.Linear(12, 1)

    def critic(image: Tensor) -> Tensor:
        scores: Tensor = layer(image.flatten(1))
        seen.append(scores.dtype)
        return scores

    real = torch.randn(2, 3, 2, 2)
    expected = (layer.weight.detach().norm() - 1).square().item()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        value = gradient_penalty(critic, real.bfloat16(), real)
        r1_penalty(critic, real)
    assert seen == [torch.float32, torch.float32]
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=1e-5)
