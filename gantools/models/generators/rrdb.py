"""RRDBNet, the generator of ESRGAN and Real-ESRGAN."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gantools.models.blocks import LEAKY_SLOPE, Residual
from gantools.models.halo import Halo
from gantools.models.initialization import kaiming_residual_

RESIDUAL_SHARE = 0.2
"""What a dense block's output counts for in the sum with its input, and a group's (β of the paper)."""

_DENSE_LAYERS = 5
_DENSE_BLOCKS = 3


class RRDBNet(nn.Module):
    """Residual groups of dense blocks at low resolution, then doublings by repeated pixels and 3×3 convolutions.

    ``unshuffle`` folds cells of that side into channels first, as Real-ESRGAN does for ×2 and ×1: the body then works
    at a fraction of the input's size, and there are log2(scale · unshuffle) doublings. The layers see images in [0, 1].

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W), H and W multiples of ``unshuffle``.
    Range: [-1, 1] → about [-1, 1], unbounded.
    Paper: Wang 2018, arXiv 1809.00219; unshuffle: Wang 2021, arXiv 2107.10833.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        scale: int = 4,
        channels: int = 64,
        growth_channels: int = 32,
        blocks: int = 23,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        doublings = (scale * unshuffle).bit_length() - 1
        self.scale = scale
        self.size_multiple = self.minimum_size_px = unshuffle
        self.halo_px: int | None = _halo(blocks, doublings, unshuffle).px
        fold = nn.PixelUnshuffle(unshuffle) if unshuffle > 1 else nn.Identity()
        self.head = nn.Sequential(fold, _convolution(in_channels * unshuffle**2, channels))
        groups = (DenseGroup(channels, growth_channels) for _ in range(blocks))
        self.body = Residual(*groups, _convolution(channels, channels))
        self.ups = nn.Sequential(*(layer for _ in range(doublings) for layer in _doubling(channels)))
        self.last = nn.Sequential(
            _convolution(channels, channels), nn.LeakyReLU(LEAKY_SLOPE), _convolution(channels, out_channels)
        )

    def forward(self, image: Tensor) -> Tensor:
        features = self.ups(self.body(self.head((image + 1) / 2)))
        return cast(Tensor, self.last(features)) * 2 - 1


class DenseGroup(nn.Module):
    """Three dense blocks, and a fifth of what they make added to their input. Shapes: (N, C, H, W) → the same."""

    def __init__(self, channels: int, growth_channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels, growth_channels) for _ in range(_DENSE_BLOCKS)))

    def forward(self, features: Tensor) -> Tensor:
        return features + cast(Tensor, self.blocks(features)) * RESIDUAL_SHARE


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the input and what those before it made; a fifth of the last is added.

    Shapes: (N, C, H, W) → the same.
    """

    def __init__(self, channels: int, growth_channels: int) -> None:
        super().__init__()
        self.channels, self.growth_channels = channels, growth_channels
        widths = [channels + number * growth_channels for number in range(_DENSE_LAYERS)]
        self.layers = nn.ModuleList(
            nn.Sequential(_convolution(width, growth_channels), nn.LeakyReLU(LEAKY_SLOPE)) for width in widths[:-1]
        )
        self.last = _convolution(widths[-1], channels)
        for convolution in (*(cast(nn.Sequential, layer)[0] for layer in self.layers), self.last):
            kaiming_residual_(cast(nn.Conv2d, convolution))

    def forward(self, features: Tensor) -> Tensor:
        known = features
        for layer in self.layers:
            known = torch.cat((known, layer(known)), dim=1)
        return features + cast(Tensor, self.last(known)) * RESIDUAL_SHARE


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _doubling(channels: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), _convolution(channels, channels), nn.LeakyReLU(LEAKY_SLOPE)]


def enlargement_halo(doublings: int) -> Halo:
    """What an aligned tile of the output needs of the features before the enlargement."""
    halo = Halo().convolution(3, times=2)
    for _ in range(doublings):
        halo = halo.convolution(3).enlarged(2)
    return halo


def _halo(blocks: int, doublings: int, unshuffle: int) -> Halo:
    halo = enlargement_halo(doublings)
    return halo.convolution(3, times=2 + _DENSE_LAYERS * _DENSE_BLOCKS * blocks).folded(unshuffle)
