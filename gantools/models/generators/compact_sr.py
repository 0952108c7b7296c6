"""A compact super-resolution network for modest machines."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from gantools.models.blocks import ActivationName, Residual, activation, enlarged, icnr_
from gantools.models.halo import Halo
from gantools.models.initialization import RESIDUAL_GAIN


class CompactSR(nn.Module):
    """Bilinear enlargement plus what residual blocks without norm find to add to it.

    The enlargement takes pixels as squares (``align_corners=False``), as resizing does, so nothing is shifted. The last
    convolution starts at zero: an untrained network is the bilinear enlargement, exactly. No norm, so a tile's inside
    does not depend on the rest of the image and training and inference agree.

    Without ``upsampling_channels`` one convolution and one shuffle make the large image from features of the input's
    size: quick, but no layer sees a cell of scale × scale samples beside the next one, and a game leaves a lattice of
    cells in flat areas. With it the features grow by one prime factor of ``scale`` after the other, that many channels
    after the first and half as many after each further one, and the last convolution works at full size.

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W), any H and W.
    Range: [-1, 1] → about [-1, 1], unbounded.
    Paper: none; blocks of EDSR (Lim 2017, arXiv 1707.02921), the long skip of VDSR (Kim 2016, arXiv 1511.04587).
    """

    size_multiple: int = 1
    minimum_size_px: int = 1

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        scale: int = 4,
        channels: int = 48,
        blocks: int = 10,
        activation: ActivationName = "prelu",
        upsampling_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        factors = _prime_factors(scale) if upsampling_channels else []
        self.halo_px: int | None = _halo(blocks, factors, scale).px
        self.head = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.body = Residual(
            *(_block(channels, activation) for _ in range(blocks)), nn.Conv2d(channels, channels, 3, padding=1)
        )
        widths = [channels, *(max(1, (upsampling_channels or 0) >> step) for step in range(len(factors)))]
        self.upsampling = nn.Sequential(
            *(_enlargement(*sides, factor, activation) for sides, factor in zip(pairwise(widths), factors, strict=True))
        )
        cell = 1 if factors else scale
        self.last = nn.Conv2d(widths[-1], out_channels * cell**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(cell)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, image: Tensor) -> Tensor:
        features = self.upsampling(self.body(self.head(image)))
        details = cast(Tensor, self.shuffle(self.last(features)))
        return details + enlarged(image, self.scale)


def _block(channels: int, activation_name: ActivationName) -> Residual:
    """Convolution, activation, convolution; the latter starts small, so that a deep stack starts near the identity."""
    last = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.kaiming_normal_(last.weight)
    last.weight.data.mul_(RESIDUAL_GAIN)
    nn.init.zeros_(cast(Tensor, last.bias))
    return Residual(nn.Conv2d(channels, channels, 3, padding=1), activation(activation_name), last)


def _enlargement(inputs: int, outputs: int, factor: int, activation_name: ActivationName) -> nn.Sequential:
    """Features ``factor`` times as large, alike in each cell at first."""
    convolution = nn.Conv2d(inputs, outputs * factor**2, 3, padding=1)
    icnr_(convolution.weight, factor)
    nn.init.zeros_(cast(Tensor, convolution.bias))
    return nn.Sequential(convolution, nn.PixelShuffle(factor), activation(activation_name))


def _prime_factors(scale: int) -> list[int]:
    for factor in range(2, scale + 1):
        if scale % factor == 0:
            return [factor, *_prime_factors(scale // factor)]
    return []


def _halo(blocks: int, factors: list[int], scale: int) -> Halo:
    halo = Halo().convolution(3) if factors else Halo().enlarged(scale).convolution(3)
    for factor in reversed(factors):
        halo = halo.enlarged(factor).convolution(3)
    return halo.convolution(3, times=2 * blocks + 2)
