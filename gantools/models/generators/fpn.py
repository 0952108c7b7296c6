"""The feature-pyramid generator of DeblurGAN-v2."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.blocks import NORMS, NormName, Residual, convolution_bias, widths
from gantools.models.halo import LOCAL_NORMS, Halo
from gantools.models.strided import StridedConv2d

LEVELS = 5
"""Scales of the encoder: 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's side."""


class FPN(nn.Module):
    """An encoder of five scales, a pyramid that carries the coarse ones down, and one head that reads four of them.

    Each pyramid scale is the encoder's, by a 1×1 convolution, plus the enlarged coarser one. The heads' outputs of 1/4
    to 1/32 are enlarged to 1/4 and concatenated; two smoothing convolutions bring them to full size, the 1/2 scale
    added between, and the result is added to the image: y = clamp(x + tanh(…), -1, 1).

    Shapes: (N, in_channels, H, W) → (N, out_channels, H, W), H and W multiples of 32.
    Range: [-1, 1] → [-1, 1].
    Paper: Kupyn 2019, arXiv 1908.03826 (DeblurGAN-v2); Lin 2017, arXiv 1612.03144.
    Differs from the paper: the encoder is strided convolutions with residual blocks of its own, instead of a pretrained
    Inception-ResNet-v2 or MobileNet, so that no foreign weights are needed.
    """

    scale: int = 1
    size_multiple: int = 2**LEVELS
    minimum_size_px: int = 2**LEVELS

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        max_channels: int = 512,
        blocks: int = 2,
        pyramid_channels: int = 256,
        head_channels: int = 128,
        norm: NormName = "instance",
        bias: bool | None = None,
    ) -> None:
        super().__init__()
        self.halo_px: int | None = _halo(blocks).px if norm in LOCAL_NORMS else None
        channels = [in_channels, *widths(base_channels, max_channels, LEVELS)]
        has_bias = convolution_bias(norm, bias)
        self.encoder = nn.ModuleList(_encoder_level(*pair, blocks, norm, has_bias) for pair in pairwise(channels))
        self.lateral = nn.ModuleList(nn.Conv2d(width, pyramid_channels, 1, bias=False) for width in channels[2:])
        self.lateral_fine = nn.Conv2d(channels[1], head_channels, 1, bias=False)
        self.smooth_pyramid = nn.ModuleList(
            nn.Sequential(*_convolution(pyramid_channels, pyramid_channels, norm, has_bias)) for _ in range(3)
        )
        self.heads = nn.ModuleList(_head(pyramid_channels, head_channels) for _ in range(4))
        self.smooth = nn.Sequential(*_convolution(4 * head_channels, head_channels, norm, has_bias))
        self.smooth_fine = nn.Sequential(*_convolution(head_channels, head_channels // 2, norm, has_bias))
        self.last = nn.Conv2d(head_channels // 2, out_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        scales, features = [], image
        for level in self.encoder:
            features = level(features)
            scales.append(features)
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


def _encoder_level(inputs: int, outputs: int, blocks: int, norm: NormName, bias: bool) -> nn.Sequential:
    """Halve the sides, then residual blocks."""
    halving = _convolution(inputs, outputs, norm, bias, stride=2)
    return nn.Sequential(*halving, *(_block(outputs, norm, bias) for _ in range(blocks)))


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


def _halo(blocks: int) -> Halo:
    """What a tile needs of the image: head and pyramid at every scale, then the encoder's needs on top of them."""
    half = Halo().convolution(3).enlarged().convolution(3)
    quarter = half.enlarged().convolution(3)
    needs = [half]
    for level in range(LEVELS - 1):
        head = quarter.enlarged(2**level).convolution(3, times=2)
        needs.append(head if level == 0 else head | needs[-1].enlarged())
        if level < LEVELS - 2:
            needs[-1] = needs[-1].convolution(3)
    halo = needs.pop()
    for skip in reversed(needs):
        halo = halo.convolution(3, times=2 * blocks).convolution(3, 2) | skip
    return halo.convolution(3, times=2 * blocks).convolution(3, 2)
