"""Pixel distances by hand."""

from __future__ import annotations

import math

import pytest
import torch

from gantools.losses.reconstruction import charbonnier, l1, lattice, mse, psnr, weighted_region_l1, weighted_region_l2

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


def test_psnr_counts_each_image_alike() -> None:
    fake, real = torch.cat([FAKE, FAKE / 100]), torch.cat([REAL, REAL / 100])
    assert psnr(fake, real, 1e-9).item() == pytest.approx((math.log(1.5) / 2 + math.log(1.5e-4) / 2) / 2)
    fake.requires_grad_()
    torch.autograd.backward(psnr(fake, real, 1e-9))
    assert fake.grad is not None
    torch.testing.assert_close(fake.grad[1], fake.grad[0] * 100)
    assert psnr(REAL, REAL, 0.01).item() == pytest.approx(math.log(0.01))


def test_weighted_region_l1() -> None:
    weights = torch.tensor([[[[2.0, 0.0], [1.0, 0.0]]]])
    by_hand = (2 * (FAKE - REAL)[0, 0, 0, 0].abs() + (FAKE - REAL)[0, 0, 1, 0].abs()) / 4
    assert weighted_region_l1(FAKE, REAL, weights).item() == pytest.approx(by_hand.item())


def test_weighted_region_l2() -> None:
    weights = torch.tensor([[[[10.0, 1.0], [1.0, 0.0]]]])
    assert weighted_region_l2(FAKE, REAL, weights).item() == pytest.approx((10 + 0 + 1 + 0) / 4)
    three = weighted_region_l2(FAKE.expand(2, 3, 2, 2), REAL.expand(2, 3, 2, 2), weights)
    assert three.item() == pytest.approx(11 / 4)


def test_half_precision_is_widened_before_the_difference() -> None:
    fake, real = torch.full((1, 3, 64, 64), 1.0), torch.full((1, 3, 64, 64), 1.0 - 2**-8)
    assert l1(fake.bfloat16(), real).item() == pytest.approx(2**-8)


def cells(pattern: torch.Tensor, times: int) -> torch.Tensor:
    """Each channel tiled with a pattern of 4 × 4 px."""
    return pattern.repeat(1, 3, times, times)


def test_lattice_is_what_the_cells_of_a_window_share() -> None:
    pattern = torch.zeros(1, 1, 4, 4)
    pattern[..., 1, 2] = 0.5
    truth = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    variance = 0.5**2 * (1 / 16) * (15 / 16)
    assert lattice(truth + cells(pattern, 8), truth, 4).item() == pytest.approx(variance, rel=1e-4)
    assert lattice(truth + 0.3, truth, 4).item() == pytest.approx(0, abs=1e-10)  # an offset is no lattice
    assert lattice(truth, truth, 4).item() == 0


def test_lattice_hardly_counts_texture_that_is_guessed_wrong() -> None:
    stream = torch.Generator().manual_seed(1)
    texture = torch.randn(2, 3, 64, 64, generator=stream)
    shared = lattice(texture, torch.zeros_like(texture), 4).item()
    assert shared == pytest.approx(1 / 16 * 15 / 16, rel=0.2)  # a window of 16 cells averages its variance away
    same = torch.randn(1, 1, 4, 4, generator=stream)
    repeated = cells(same, 16)
    assert lattice(repeated, torch.zeros_like(repeated), 4).item() == pytest.approx(same.var(correction=0).item())


@pytest.mark.parametrize("side_px", [4, 7, 18])
def test_lattice_takes_images_smaller_than_a_window_and_broken_cells(side_px: int) -> None:
    pattern = torch.arange(16.0).view(1, 1, 4, 4)
    image = cells(pattern, 5)[..., :side_px, :side_px].requires_grad_()
    distance = lattice(image, torch.zeros_like(image), 4)
    assert distance.item() == pytest.approx(pattern.var(correction=0).item())
    torch.autograd.backward(distance)
    assert image.grad is not None
    assert bool(image.grad.isfinite().all())
