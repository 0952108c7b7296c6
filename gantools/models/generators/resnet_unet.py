"""A U-Net on a ResNet encoder, for restoration (fastai's DynamicUnet)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gantools.images.imagenet import FROM_NORMALISED
from gantools.models.attention import SelfAttention
from gantools.models.blocks import ReplicationPad2d, Residual, icnr_
from gantools.models.encoders import BLOCKS, ChannelAffine, EncoderName, ResNetEncoder
from gantools.models.halo import Halo

ATTENTION_UP = 1
"""The up after which self-attention stands: the second of four, at 1/8 of the image's sides."""


class ResNetUNet(nn.Module):
    """Encode by a ResNet, decode by sub-pixel ups with a skip at every scale, the image itself included.

    ``encoder.early``, ``encoder.late`` and ``decoder`` hold all weights, so that they can learn at different rates.
    The last layer is a sigmoid stretched to ``output_range`` on ImageNet's statistics, carried to [-1, 1] by
    2·(σ·y + μ) - 1: with the source's (-3, 3) the result reaches from about -1.4 to 1.4, and users clamp it.

    Shapes: (N, 3, H, W) → (N, 3, H, W), sides multiples of 32.
    Range: [-1, 1] → about [-1.4, 1.4].
    Paper: Ronneberger 2015, arXiv 1505.04597; Howard and Gugger 2020, arXiv 2002.04688 (fastai's unet_learner).
    """

    scale: int = 1
    size_multiple: int = 32
    minimum_size_px: int = 32

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        encoder: EncoderName = "resnet34",
        base_channels: int = 64,
        blur: bool = True,
        self_attention: bool = True,
        weight_norm: bool = True,
        output_range: tuple[float, float] = (-3.0, 3.0),
    ) -> None:
        super().__init__()
        if (in_channels, out_channels) != (3, 3):
            raise ValueError("a ResNet U-Net takes and makes RGB images: in_channels and out_channels are 3")
        self.halo_px: int | None = None if self_attention else _halo(encoder, blur).px
        self.encoder = ResNetEncoder(encoder, base_channels)
        layers = _Layers(weight_norm, blur)
        self.decoder = Decoder(layers, self.encoder.channels, self_attention, output_range)

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.decoder(self.encoder(image)))


class Decoder(nn.Module):
    """From the encoder's maps to the image."""

    def __init__(
        self, layers: _Layers, channels: list[int], self_attention: bool, output_range: tuple[float, float]
    ) -> None:
        super().__init__()
        deepest, *skips = reversed(channels)
        self.middle = nn.Sequential(
            nn.BatchNorm2d(deepest),
            nn.ReLU(),
            layers.convolution(deepest, 2 * deepest),
            layers.convolution(2 * deepest, deepest),
        )
        self.ups, inputs = nn.ModuleList(), deepest
        for number, skip in enumerate(skips):
            up = Up(layers, inputs, skip, last=number == len(skips) - 1)
            if self_attention and number == ATTENTION_UP:
                up.after.append(SelfAttention(up.outputs))
            self.ups.append(up)
            inputs = up.outputs
        self.enlarge = layers.enlargement(inputs, inputs, blur=False)
        both = inputs + 3  # the image itself is the last skip
        self.refine = Residual(layers.convolution(both, both), layers.convolution(both, both))
        self.last = layers.normed(nn.Conv2d(both, 3, 1))
        self.low, self.high = output_range
        self.to_picture = ChannelAffine(FROM_NORMALISED)

    def forward(self, maps: list[Tensor]) -> Tensor:
        image, *skips, deepest = maps
        features = self.middle(deepest)
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            features = up(features, skip)
        features = torch.cat((self.enlarge(features), image), dim=1)
        stretched = self.last(self.refine(features)).sigmoid() * (self.high - self.low) + self.low
        return cast(Tensor, self.to_picture(stretched))


class Up(nn.Module):
    """Double the sides, add the skip, two convolutions. The last one halves its channels."""

    def __init__(self, layers: _Layers, inputs: int, skip: int, *, last: bool) -> None:
        super().__init__()
        both = inputs // 2 + skip
        self.outputs = both // 2 if last else both
        self.enlarge = layers.enlargement(inputs, inputs // 2, blur=layers.blur)
        self.norm = nn.BatchNorm2d(skip)
        self.after = nn.Sequential(
            layers.convolution(both, self.outputs), layers.convolution(self.outputs, self.outputs)
        )

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        both = torch.cat((self.enlarge(features), self.norm(skip)), dim=1)
        return cast(Tensor, self.after(both.relu()))


class _Layers:
    """Builds the decoder's layers, with weight norm or without (Salimans and Kingma 2016, arXiv 1602.07868)."""

    def __init__(self, weight_norm: bool, blur: bool) -> None:
        self.weight_norm, self.blur = weight_norm, blur

    def normed(self, convolution: nn.Conv2d) -> nn.Module:
        """The convolution with weights for ReLU, its length and direction learnt apart."""
        nn.init.kaiming_normal_(convolution.weight)
        nn.init.zeros_(cast(Tensor, convolution.bias))
        return self._parametrized(convolution)

    def convolution(self, inputs: int, outputs: int) -> nn.Module:
        """3×3 and ReLU."""
        return nn.Sequential(self.normed(nn.Conv2d(inputs, outputs, 3, padding=1)), nn.ReLU())

    def enlargement(self, inputs: int, outputs: int, *, blur: bool) -> nn.Module:
        """PixelShuffle ×2 that starts as nearest-neighbour enlargement; a 2×2 mean then takes checkerboards away."""
        wide = nn.Conv2d(inputs, 4 * outputs, 1)
        icnr_(wide.weight, 2)
        nn.init.zeros_(cast(Tensor, wide.bias))
        mean = [ReplicationPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, stride=1)] if blur else []
        return nn.Sequential(self._parametrized(wide), nn.ReLU(), nn.PixelShuffle(2), *mean)

    def _parametrized(self, convolution: nn.Conv2d) -> nn.Module:
        return parametrizations.weight_norm(convolution) if self.weight_norm else convolution


def _halo(encoder: EncoderName, blur: bool) -> Halo:
    """What a tile needs of the image: the decoder's needs at every scale, then the encoder's on top of them."""
    halo, skips = Halo().convolution(3, times=2).enlarged(), []
    for _ in BLOCKS[encoder]:
        halo = halo.convolution(3, times=2)
        skips.append(halo)
        halo = (halo.convolution(2, padding=1) if blur else halo).enlarged()
    halo = halo.convolution(3, times=2)
    first, *strided = BLOCKS[encoder]
    for blocks in reversed(strided):
        halo = halo.convolution(3, times=2 * blocks - 1).convolution(3, 2) | skips.pop()
    return (halo.convolution(3, times=2 * first).convolution(3, 2) | skips.pop()).convolution(7, 2)
