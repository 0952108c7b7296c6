"""Pixel-wise distances of a generated image to the true one: plain functions, and thin classes for the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch.nn import functional

from gantools.losses.numerics import at_least_float32

if TYPE_CHECKING:
    from torch import Tensor


def l1(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute error, a scalar."""
    return _difference(fake, real).abs().mean()


def mse(fake: Tensor, real: Tensor) -> Tensor:
    """Mean squared error, a scalar."""
    return _difference(fake, real).square().mean()


def charbonnier(fake: Tensor, real: Tensor, epsilon: float = 1e-3) -> Tensor:
    """mean √(d² + ε²), a scalar: like L1, but smooth at zero (Charbonnier 1994; LapSRN, arXiv 1710.01992)."""
    return (_difference(fake, real).square() + epsilon**2).sqrt().mean()


def psnr(fake: Tensor, real: Tensor, epsilon: float = 0.01) -> Tensor:
    """Mean over images of ½ ln(MSE + ε²), a scalar: PSNR as a loss, −8.7 dB per unit (HINet, arXiv 2105.06086).

    A percent less error counts alike in each image, so what is almost right already is not spoilt for the others' sake.
    Shapes: (N, C, H, W) twice.
    """
    by_image = _difference(fake, real).square().mean(dim=(1, 2, 3))
    return (by_image + epsilon**2).log().mean() / 2


def weighted_region_l2(fake: Tensor, real: Tensor, weight_map: Tensor) -> Tensor:
    """Squared error times a weight per pixel, averaged over every element; weight 0 leaves a pixel out of the sum.

    Shapes: (N, C, H, W) twice and a ``weight_map`` that broadcasts to them, such as (N, 1, H, W).
    Paper: Pathak 2016, arXiv 1604.07379 (10 on the overlap, 1 inside the hole).
    """
    return (_difference(fake, real).square() * weight_map).mean()


def weighted_region_l1(fake: Tensor, real: Tensor, weight_map: Tensor) -> Tensor:
    """``weighted_region_l2`` with the absolute error, which forgives what cannot be guessed."""
    return (_difference(fake, real).abs() * weight_map).mean()


def lattice(fake: Tensor, real: Tensor, cell_px: int, window_cells: int = 4) -> Tensor:
    """How much of the difference repeats from cell to cell: mean square of what the cells of a window share, a scalar.

    An enlargement by ``cell_px`` is made in cells of that side. Where each cell differs from the truth in the same way,
    its first sample too bright, its second too dark, a lattice is seen, and averaging over ``window_cells`` ×
    ``window_cells`` cells keeps it; texture that is merely guessed wrong averages out. An offset of a whole window is
    not counted. Feature networks hardly see a lattice and even reward it where the truth is grainy.

    Shapes: (N, C, H, W) twice, both sides at least ``cell_px``; what is beyond the last whole cell is left out.
    Paper: none.
    """
    height, width = (side // cell_px for side in fake.shape[2:])
    difference = _difference(fake, real)[..., : height * cell_px, : width * cell_px]
    samples = functional.pixel_unshuffle(difference, cell_px)
    shared = functional.avg_pool2d(samples, (min(window_cells, height), min(window_cells, width)), stride=1)
    by_place = shared.view(len(shared), -1, cell_px**2, *shared.shape[2:])
    return (by_place - by_place.mean(dim=2, keepdim=True)).square().mean()


class ReconstructionLoss(Protocol):
    """A distance between a generated and a true batch of images."""

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class L1:
    """Mean absolute error."""

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        return l1(fake, real)


@dataclass(frozen=True)
class MeanSquaredError:
    """Mean squared error."""

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        return mse(fake, real)


@dataclass(frozen=True)
class Charbonnier:
    """Smooth mean absolute error."""

    epsilon: float = 1e-3

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        return charbonnier(fake, real, self.epsilon)


@dataclass(frozen=True)
class Psnr:
    """Logarithm of the error, image by image."""

    epsilon: float = 0.01

    def __call__(self, fake: Tensor, real: Tensor) -> Tensor:
        return psnr(fake, real, self.epsilon)


def _difference(fake: Tensor, real: Tensor) -> Tensor:
    return at_least_float32(fake) - at_least_float32(real)
