"""A compact restoration network of several scales for modest machines."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from gantools.models.blocks import ActivationName, Residual, activation, icnr_
from gantools.models.initialization import RESIDUAL_GAIN
from gantools.models.strided import StridedConv2d

OPEN = 2.0
"""The gates' first bias: five sixths of the residual, and a gradient both ways."""

WINDOW = 7
"""Cells of the coarsest scale, in either direction, that decide together."""

LEVEL = 2 / 255
"""A step of 8 bits."""


class CompactRestoration(nn.Module):
    """The image plus what residual blocks at several scales find to add to it.

    Pixels are folded two by two into channels first, so that nothing is computed at full size; each scale after that
    halves the sides. Residual blocks on the way down and up, sums instead of concatenations across. The last
    convolution starts at zero: an untrained network returns its input, exactly. No norm, so a tile's inside does not
    depend on the rest of the image, and a flat or sharp region stays what it is.

    With ``gate`` the coarsest scale also says, from 0 to 1, how much of that is added where: one gate for what lies all
    over an image, such as compression, decided by many cells together, and one for what lies at one place, such as
    writing. Every change is then made smaller by a level of 8 bits. So a good image, or the good part of one, comes
    back unchanged, to the bit, which no sum of convolutions learns.

    Shapes: (N, in_channels, H, W) → (N, out_channels, H, W), H and W multiples of 2^scales. What is added to are the
    first channels of the input: one more than the output has is a mask.
    Range: [-1, 1] → about [-1, 1], unbounded.
    Paper: none; scales as in SRN (Tao 2018, arXiv 1802.01770) and U-Net, blocks of EDSR (Lim 2017, arXiv 1707.02921).
    """

    scale: int = 1

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        channels: tuple[int, ...] = (32, 64, 128),
        scale_blocks: tuple[int, ...] = (2, 3, 6),
        activation: ActivationName = "relu",
        gate: bool = False,
    ) -> None:
        super().__init__()
        self.size_multiple = self.minimum_size_px = 2 ** len(channels)
        self.halo_px: int | None = _halo_px(scale_blocks, gate)
        self.sees_mask = in_channels == out_channels + 1
        self.head = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * in_channels, channels[0], 3, padding=1))
        self.encoders = nn.ModuleList(_blocks(*pair, activation) for pair in zip(channels, scale_blocks, strict=True))
        self.downs = nn.ModuleList(StridedConv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(channels))
        self.ups = nn.ModuleList(_enlargement(coarse, fine) for fine, coarse in pairwise(channels))
        self.decoders = nn.ModuleList(
            _blocks(*pair, activation) for pair in zip(channels[:-1], scale_blocks[:-1], strict=True)
        )
        self.last = nn.Conv2d(channels[0], 4 * out_channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))
        self.gate = nn.Conv2d(channels[-1], 2, 1) if gate else None
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(cast(Tensor, self.gate.bias), OPEN)

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoders[0](self.head(image))
        scales = [features]
        for down, encoder in zip(self.downs, self.encoders[1:], strict=True):
            scales.append(encoder(down(scales[-1])))
        features = coarsest = scales.pop()
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders), strict=True):
            features = decoder(up(features) + scales.pop())
        start = image[:, :-1] if self.sees_mask else image
        residual = cast(Tensor, self.shuffle(self.last(features)))
        if self.gate is not None:
            overall, local = self.gate(coarsest).split(1, dim=1)
            overall = F.avg_pool2d(overall, WINDOW, 1, WINDOW // 2, count_include_pad=False)
            closed = (1 - F.hardsigmoid(overall)) * (1 - F.hardsigmoid(local))
            residual = residual * F.interpolate(1 - closed, scale_factor=float(self.size_multiple), mode="bilinear")
            residual = F.softshrink(residual, LEVEL)
        return start + residual


def _blocks(channels: int, count: int, activation_name: ActivationName) -> nn.Sequential:
    return nn.Sequential(*(_block(channels, activation_name) for _ in range(count)))


def _block(channels: int, activation_name: ActivationName) -> Residual:
    """Convolution, activation, convolution; the latter starts small, so that a deep stack starts near the identity."""
    last = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.kaiming_normal_(last.weight)
    last.weight.data.mul_(RESIDUAL_GAIN)
    nn.init.zeros_(cast(Tensor, last.bias))
    return Residual(nn.Conv2d(channels, channels, 3, padding=1), activation(activation_name), last)


def _enlargement(coarse: int, fine: int) -> nn.Sequential:
    """Sub-pixel doubling that starts as repeating pixels, so that no checkerboard has to be unlearnt."""
    convolution = nn.Conv2d(coarse, 4 * fine, 1)
    if not convolution.weight.is_meta:
        icnr_(convolution.weight.data, 2)
    return nn.Sequential(convolution, nn.PixelShuffle(2))


def _halo_px(blocks: tuple[int, ...], gate: bool) -> int:
    """Context of an aligned tile in input pixels: two cells per block at each scale, one of two pixels at either end.

    On the way to a coarser scale it is rounded up to that scale's cells, which are computed whole. Gates see half a
    window of the coarsest cells instead of what the decoders see, and one cell more where they are enlarged.
    """
    cells_px = [2 << level for level in range(len(blocks))]
    ways_px = [2 * count * cell for count, cell in zip(blocks, cells_px, strict=True)]
    halo = cells_px[0]
    for way, coarser in zip(ways_px[:-1], cells_px[1:], strict=True):
        halo = -(-(halo + way) // coarser) * coarser
    return sum(ways_px) + cells_px[0] + max(halo, gate * (WINDOW // 2 + 1) * cells_px[-1])
