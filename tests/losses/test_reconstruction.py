"""Pixel distances by hand."""

from __future__ import annotations

import pytest
import torch

from gantools.losses.reconstruction import charbonnier, l1, mse, total_variation, weighted_region_l2

FAKE = torch.tensor([[[[1.0, -1.0], [0.5, 0.0]]]])
REAL = torch.tensor([[[[0.0, -1.0], [-0.5, 2.0]]]])


def test_l1_and_mse() -> None:
    assert l1(FAKE, REAL).item() == pytest.approx((1 + 0 + 1 + 2) / 4)
    assert mse(FAKE, REAL).item() == pytest.approx((1 + 0 + 1 + 4) / 4)


def test_charbonnier() -> None:
    assert charbonnier(FAKE, REAL, 0.5).item() == pytest.approx((2 * 1.25**0.5 + 0.5 + 4.25**0.5) / 4)
    assert charbonnier(FAKE, REAL, 1e-6).item() == pytest.approx(l1(FAKE, REAL).item(), abs=1e-5)
    still = FAKE.clone().requires_grad_()
    torch.autograd.backward(charbonnier(still, FAKE))
    assert still.grad is not None
    assert torch.equal(still.grad, torch.zeros_like(FAKE))


def test_weighted_region_l2() -> None:
    weights = torch.tensor([[[[10.0, 1.0], [1.0, 0.0]]]])
    assert weighted_region_l2(FAKE, REAL, weights).item() == pytest.approx((10 + 0 + 1 + 0) / 4)
    three = weighted_region_l2(FAKE.expand(2, 3, 2, 2), REAL.expand(2, 3, 2, 2), weights)
    assert three.item() == pytest.approx(11 / 4)


def test_total_variation() -> None:
    assert total_variation(FAKE).item() == pytest.approx((2 + 0.5) / 2 + (0.5 + 1) / 2)
    assert total_variation(torch.full((2, 3, 8, 8), 0.3)).item() == 0
    assert total_variation(torch.rand(1, 3, 1, 1)).item() == 0
    assert total_variation(torch.tensor([[[[0.0, 1.0]]]])).item() == 1


def test_half_precision_is_widened_before_the_difference() -> None:
    fake, real = torch.full((1, 3, 64, 64), 1.0), torch.full((1, 3, 64, 64), 1.0 - 2**-8)
    assert l1(fake.bfloat16(), real).item() == pytest.approx(2**-8)
