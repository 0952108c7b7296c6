"""SRVGGNetCompact, Real-ESRGAN's small generator."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from gantools.models.blocks import ActivationName
from gantools.models.halo import Halo

_SLOPE = 0.1


class SRVGGNet(nn.Module):
    """Repeated pixels plus what a plain row of convolutions at low resolution finds to add to them.

    The layers see images in [0, 1]. ``prelu`` learns one slope per channel.

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W), any H and W.
    Range: [-1, 1] → about [-1, 1], unbounded.
    Paper: Wang 2021, arXiv 2107.10833 (SRVGGNetCompact in its code).
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
        activation: ActivationName = "prelu",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.halo_px: int | None = Halo().enlarged(scale).convolution(3, times=blocks + 2).px
        layers: list[nn.Module] = []
        for inputs in (in_channels, *[channels] * blocks):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), _activation(activation, channels)]
        last = nn.Conv2d(channels, out_channels * scale**2, 3, padding=1)
        self.body = nn.Sequential(*layers, last, nn.PixelShuffle(scale))

    def forward(self, image: Tensor) -> Tensor:
        details = cast(Tensor, self.body((image + 1) / 2))
        return details * 2 + functional.interpolate(image, scale_factor=self.scale)


def _activation(name: ActivationName, channels: int) -> nn.Module:
    if name == "prelu":
        return nn.PReLU(channels)
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(_SLOPE)
