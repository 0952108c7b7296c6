"""A compact super-resolution network for modest machines."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.models.blocks import ActivationName, Residual, activation
from gantools.models.initialization import RESIDUAL_GAIN


class CompactSR(nn.Module):
    """Bilinear enlargement plus what residual blocks without norm find to add to it.

    The enlargement takes pixels as squares (``align_corners=False``), as resizing does, so nothing is shifted. The last
    convolution starts at zero: an untrained network is the bilinear enlargement, exactly. No norm, so a tile's inside
    does not depend on the rest of the picture and training and inference agree.

    Shapes: (N, in_channels, H, W) → (N, out_channels, scale·H, scale·W), any H and W.
    Range: [-1, 1] → about [-1, 1], unbounded.
    Paper: none; blocks of EDSR (Lim 2017, arXiv 1707.02921) and the long skip of VDSR (Kim 2016, arXiv 1511.04587).
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
    ) -> None:
        super().__init__()
        self.scale = scale
        self.halo_px: int | None = 3 + 2 * blocks
        self.head = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.body = Residual(
            *(_block(channels, activation) for _ in range(blocks)), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.last = nn.Conv2d(channels, out_channels * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, image: Tensor) -> Tensor:
        details = cast(Tensor, self.shuffle(self.last(self.body(self.head(image)))))
        return details + _enlarged(image, self.scale)


def _enlarged(image: Tensor, scale: int) -> Tensor:
    """Bilinear enlargement whose weights are the same for every pixel, wherever it lies.

    ``interpolate`` counts positions from the edge in float32, and thirds run out of digits there: a tile would not be
    that part of the whole. Halves are exact.
    """
    if scale & (scale - 1) == 0:
        return functional.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
    return _enlarged_along(_enlarged_along(image, 2, scale), 3, scale)


def _enlarged_along(image: Tensor, axis: int, scale: int) -> Tensor:
    """Every sample becomes ``scale`` samples, each between it and the neighbour on its side."""
    length = image.shape[axis]
    places = torch.arange(length, device=image.device)
    before, after = (image.index_select(axis, (places + step).clamp(0, length - 1)) for step in (-1, 1))
    offsets = [(part + 0.5) / scale - 0.5 for part in range(scale)]
    parts = [torch.lerp(image, before if offset < 0 else after, abs(offset)) for offset in offsets]
    return torch.stack(parts, dim=axis + 1).flatten(axis, axis + 1)


def _block(channels: int, activation_name: ActivationName) -> Residual:
    """Convolution, activation, convolution; the latter starts small, so that a deep stack starts near the identity."""
    last = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.kaiming_normal_(last.weight)
    last.weight.data.mul_(RESIDUAL_GAIN)
    nn.init.zeros_(cast(Tensor, last.bias))
    return Residual(nn.Conv2d(channels, channels, 3, padding=1), activation(activation_name), last)
