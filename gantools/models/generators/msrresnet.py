"""MSRResNet, the generator that ESRGAN's authors compare with: an SRResNet without norm."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from gantools.models.blocks import Residual, enlarged
from gantools.models.halo import Halo
from gantools.models.initialization import kaiming_residual_

_SLOPE = 0.1


class MSRResNet(nn.Module):
    """Bilinear enlargement plus what residual blocks without norm and sub-pixel convolutions find to add to it.

    The layers see images in [0, 1].

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W), any H and W.
    Range: [-1, 1] → about [-1, 1], unbounded.
    Paper: blocks of EDSR (Lim 2017, arXiv 1707.02921) in an SRResNet (Ledig 2017); network: BasicSR's MSRResNet.
    """

    size_multiple: int = 1
    minimum_size_px: int = 1

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        scale: int = 4,
        channels: int = 64,
        blocks: int = 16,
    ) -> None:
        super().__init__()
        factors = [2, 2] if scale == 4 else [scale]
        self.scale = scale
        self.halo_px: int | None = _halo(blocks, factors).px
        self.head = nn.Sequential(_convolution(in_channels, channels), nn.LeakyReLU(_SLOPE))
        self.body = nn.Sequential(*(_block(channels) for _ in range(blocks)))
        self.ups = nn.Sequential(*(layer for factor in factors for layer in _enlargement(channels, factor)))
        self.last = nn.Sequential(
            _convolution(channels, channels), nn.LeakyReLU(_SLOPE), _convolution(channels, out_channels)
        )

    def forward(self, image: Tensor) -> Tensor:
        details = cast(Tensor, self.last(self.ups(self.body(self.head((image + 1) / 2)))))
        return details * 2 + enlarged(image, self.scale)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return kaiming_residual_(nn.Conv2d(inputs, outputs, 3, padding=1))


def _block(channels: int) -> Residual:
    return Residual(_convolution(channels, channels), nn.ReLU(), _convolution(channels, channels))


def _enlargement(channels: int, factor: int) -> list[nn.Module]:
    return [_convolution(channels, channels * factor**2), nn.PixelShuffle(factor), nn.LeakyReLU(_SLOPE)]


def _halo(blocks: int, factors: list[int]) -> Halo:
    halo = Halo().convolution(3, times=2)
    for factor in reversed(factors):
        halo = halo.enlarged(factor).convolution(3)
    return halo.convolution(3, times=2 * blocks + 1)
