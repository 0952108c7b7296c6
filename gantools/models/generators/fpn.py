"""The feature-pyramid generator of DeblurGAN-v2."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.blocks import NORMS, NormName, Residual, convolution_bias, widths
from gantools.models.fpn_encoders import Encoder, EncoderName, inception_resnet_v2, mobilenet_v2
from gantools.models.halo import LOCAL_NORMS, Halo
from gantools.models.strided import StridedConv2d

LEVELS = 5
"""Scales of the encoder: 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's side."""


class FPN(nn.Module):
    """An encoder of five scales, a pyramid that carries the coarse ones down, and one head that reads four of them.

    Each pyramid scale is the encoder's, by a 1×1 convolution, plus the enlarged coarser one. The heads' outputs of 1/4
    to 1/32 are enlarged to 1/4 and concatenated; two smoothing convolutions bring them to full size, the 1/2 scale
    added between, and the result is added to the image: y = clamp(x + tanh(…), -1, 1).

    Shapes: (N, in_channels, H, W) → (N, out_channels, H, W), H and W multiples of 32, at least 128 with an encoder
    of DeblurGAN-v2.
    Range: [-1, 1] → [-1, 1].
    Paper: Kupyn 2019, arXiv 1908.03826 (DeblurGAN-v2); Lin 2017, arXiv 1612.03144.
    Differs from the paper: unless told otherwise the encoder is strided convolutions with residual blocks of its own,
    instead of a pretrained Inception-ResNet-v2 or MobileNet, so that no foreign weights are needed.
    """

    scale: int = 1
    size_multiple: int = 2**LEVELS

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        encoder: EncoderName = "strided",
        base_channels: int = 64,
        max_channels: int = 512,
        blocks: int = 2,
        pyramid_channels: int = 256,
        head_channels: int = 128,
        norm: NormName = "instance",
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        has_bias = convolution_bias(norm, bias)
        if encoder == "strided":
            own = [in_channels, *widths(base_channels, max_channels, LEVELS)]
            made = _strided_encoder(own, blocks, norm, has_bias)
        else:
            made = mobilenet_v2() if encoder == "mobilenet_v2" else inception_resnet_v2()
        is_local = norm in LOCAL_NORMS and made.strides is not None
        self.halo_px: int | None = _halo(made.strides or ()).px if is_local else None
        self.minimum_size_px: int = made.minimum_size_px
        self.encoder, self.pads, channels = nn.ModuleList(made.levels), nn.ModuleList(made.pads), made.channels
        self.lateral = nn.ModuleList(nn.Conv2d(width, pyramid_channels, 1, bias=False) for width in channels[1:])
        self.lateral_fine = nn.Conv2d(channels[0], head_channels, 1, bias=False)
        self.smooth_pyramid = nn.ModuleList(
            nn.Sequential(*_convolution(pyramid_channels, pyramid_channels, norm, has_bias)) for _ in range(3)
        )
        self.heads = nn.ModuleList(_head(pyramid_channels, head_channels) for _ in range(4))
        self.smooth = nn.Sequential(*_convolution(4 * head_channels, head_channels, norm, has_bias))
        self.smooth_fine = nn.Sequential(*_convolution(head_channels, head_channels // 2, norm, has_bias))
        self.last = nn.Conv2d(head_channels // 2, out_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        scales, features = [], image
        for level, pad in zip(self.encoder, self.pads, strict=True):
            features = level(features)
            scales.append(pad(features))
        pyramid = self._pyramid(scales[1:])
        quarter = [
            functional.interpolate(head(features), size=scales[1].shape[-2:])
            for head, features in zip(self.heads, pyramid, strict=True)
        ]
        half = _doubled(self.smooth(torch.cat(quarter, dim=1)))
        full = _doubled(self.smooth_fine(half + self.lateral_fine(scales[0])))
        return (image + torch.tanh(self.last(full))).clamp(-1, 1)

    def _pyramid(self, scales: list[Tensor]) -> list[Tensor]:
        """Features of 1/4 to 1/32, each with what the coarser ones saw."""
        sides = [lateral(features) for lateral, features in zip(self.lateral, scales, strict=True)]
        made = [sides.pop()]
        for smooth in self.smooth_pyramid:
            made.append(smooth(sides.pop() + _doubled(made[-1])))
        return made[::-1]


def _convolution(inputs: int, outputs: int, norm: NormName, bias: bool, stride: int = 1) -> list[nn.Module]:
    convolution = StridedConv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)
    return [convolution, NORMS[norm](outputs), nn.ReLU()]


def _strided_encoder(channels: list[int], blocks: int, norm: NormName, bias: bool) -> Encoder:
    """At each level halve the sides, then residual blocks. ``channels`` begin with those of the image."""

    def level(inputs: int, outputs: int) -> nn.Sequential:
        halving = _convolution(inputs, outputs, norm, bias, stride=2)
        return nn.Sequential(*halving, *(_block(outputs, norm, bias) for _ in range(blocks)))

    levels = [level(inputs, outputs) for inputs, outputs in pairwise(channels)]
    strides = [[2] + [1] * (2 * blocks)] * LEVELS
    return Encoder(levels, tuple(channels[1:]), strides, minimum_size_px=2**LEVELS)


def _block(channels: int, norm: NormName, bias: bool) -> Residual:
    last = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
    return Residual(*_convolution(channels, channels, norm, bias), last, NORMS[norm](channels))


def _head(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.ReLU(),
    )


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2)


def _halo(encoder: Sequence[Sequence[int]]) -> Halo:
    """What a tile needs of the image: head and pyramid at every scale, then the encoder's needs on top of them.

    ``encoder`` has the strides of the 3×3 convolutions of each level.
    """
    half = Halo().convolution(3).enlarged().convolution(3)
    quarter = half.enlarged().convolution(3)
    needs = [half]
    for level in range(LEVELS - 1):
        head = quarter.enlarged(2**level).convolution(3, times=2)
        needs.append(head if level == 0 else head | needs[-1].enlarged())
        if level < LEVELS - 2:
            needs[-1] = needs[-1].convolution(3)
    halo = Halo()
    for strides in reversed(encoder):
        halo = halo | needs.pop()
        for stride in reversed(strides):
            halo = halo.convolution(3, stride)
    return halo
