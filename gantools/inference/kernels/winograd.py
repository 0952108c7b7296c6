"""RRDBNet's dense blocks in float32 with half of the multiplications.

Winograd's F(4, 3) along the rows: of six rows of a map six sums are made, between which and as many sums of the
kernel's rows four rows of a 3×3 convolution take six 1×3 convolutions instead of twelve. Each map of features is summed
once for all convolutions that see it. Equal to the plain convolution up to the rounding of float32, one digit more.

Paper: Lavin and Gray 2015, arXiv 1509.09308.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools.inference.kernels.onednn import PackedConv2d, PackedConv3d
from gantools.models.blocks import LEAKY_SLOPE
from gantools.models.generators.rrdb import RESIDUAL_SHARE, DenseBlock, DenseGroup

_ROWS = 4
"""Rows of the output that come from one set of sums."""

_KERNEL_SUMS = (
    *((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6)),
    *((1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1)),
)


class WinogradGroups(nn.Module):
    """Groups of dense blocks. Shapes: (N, C, H, W) → the same, in float32."""

    def __init__(self, groups: Iterable[DenseGroup]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(
            nn.ModuleList(_WinogradBlock(cast(DenseBlock, block)) for block in group.blocks) for group in groups
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([self._one(image) for image in torch.split(features, 1)])

    def _one(self, features: Tensor) -> Tensor:
        first = cast(_WinogradBlock, cast(nn.ModuleList, self.groups[0])[0])
        _, channels, height, width = features.shape
        maps = _Maps(features, channels // first.width, len(first.layers))
        for group in self.groups:
            given = maps.input.clone()
            for block in cast(nn.ModuleList, group):
                block(maps)
            torch.add(given, maps.input, alpha=RESIDUAL_SHARE, out=maps.input)
        known = maps.input[:, 1 : height + 1]
        return known.permute(0, 3, 1, 2).reshape(1, channels, height, width)


class _Maps:
    """The features of a dense block: the input's rows with zeros around them, and the sums of all maps.

    Shapes: ``input`` (C / width, rows + 2, W, width); ``made`` likewise, of one convolution's output; ``sums``
    (6, maps, rows / 4, W, width). Rows are a multiple of four, those beyond the image zero.
    """

    def __init__(self, features: Tensor, inputs: int, layers: int) -> None:
        _, channels, self.height, columns = features.shape
        width, self.groups = channels // inputs, -(-self.height // _ROWS)
        rows = self.groups * _ROWS + 2
        self.input, self.made = (features.new_zeros(inputs, rows, columns, width) for _ in range(2))
        self.sums = features.new_empty(6, inputs + layers, self.groups, columns, width)
        self.input[:, 1 : self.height + 1] = features.reshape(inputs, width, self.height, columns).permute(0, 2, 3, 1)

    def add_sums(self, rows: Tensor, place: int) -> None:
        """Make the sums of a map with zeros around it."""
        last = (self.groups - 1) * _ROWS + 1
        r0, r1, r2, r3, r4, r5 = (rows[first : first + last : _ROWS] for first in range(6))
        s0, s1, s2, s3, s4, s5 = self.sums[:, place]
        even, odd = torch.sub(r4, r2, alpha=4), torch.sub(r3, r1, alpha=4)
        torch.add(even, odd, out=s1)
        torch.sub(even, odd, out=s2)
        torch.sub(r4, r2, out=even)
        torch.sub(r3, r1, out=odd)
        torch.add(even, odd, alpha=2, out=s3)
        torch.sub(even, odd, alpha=2, out=s4)
        torch.sub(torch.add(r4, r0, alpha=4), r2, alpha=5, out=s0)
        torch.sub(torch.add(r5, r1, alpha=4), r3, alpha=5, out=s5)

    def write(self, products: Sequence[Tensor], place: int) -> Tensor:
        """The rows of a convolution's output from its six products (rows / 4, W, width). Shapes: (H, W, width)."""
        p0, p1, p2, p3, p4, p5 = products
        made = self.made[place, 1 : 1 + self.groups * _ROWS]
        y0, y1, y2, y3 = made.view(self.groups, _ROWS, *made.shape[1:]).unbind(1)
        even, odd, even2, odd2 = p1 + p2, p1 - p2, p3 + p4, p3 - p4
        torch.add(even, even2, out=y0).add_(p0)
        torch.add(odd, odd2, alpha=2, out=y1)
        torch.add(even, even2, alpha=4, out=y2)
        torch.add(odd, odd2, alpha=8, out=y3).add_(p5)
        made[self.height :] = 0
        return made[: self.height]


class _WinogradBlock(nn.Module):
    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        layers = [cast(PackedConv2d, cast(nn.Sequential, layer)[0]) for layer in block.layers]
        last = cast(PackedConv2d, cast(nn.Module, block.last))
        self.width = layers[0].weight.shape[0]
        self.inputs = last.weight.shape[0] // self.width
        self.layers = nn.ModuleList(_products(layer.weight, layer.bias, self.width) for layer in layers)
        self.last = _products(last.weight * RESIDUAL_SHARE, cast(Tensor, last.bias) * RESIDUAL_SHARE, self.width)

    def forward(self, maps: _Maps) -> None:
        for place, rows in enumerate(maps.input):
            maps.add_sums(rows, place)
        for place, layer in enumerate(self.layers, self.inputs):
            made = maps.write(_computed(layer, maps.sums[:, :place]), 0)
            functional.leaky_relu_(made, LEAKY_SLOPE)
            maps.add_sums(maps.made[0], place)
        products = _computed(self.last, maps.sums)
        for place, rows in enumerate(maps.input):
            channels = slice(place * self.width, (place + 1) * self.width)
            rows[1 : maps.height + 1].add_(maps.write([each[..., channels] for each in products], place))


def _computed(layers: nn.Module, sums: Tensor) -> list[Tensor]:
    """The six products of a convolution. Shapes: ``sums`` (6, maps, h, W, width) → six of (h, W, C)."""
    pairs = zip(cast(nn.ModuleList, layers), sums, strict=True)
    return [layer(each.permute(3, 0, 1, 2)[None])[0, :, 0].permute(1, 2, 0) for layer, each in pairs]


def _products(weight: Tensor, bias: Tensor | None, width: int) -> nn.ModuleList:
    """The six 1×3 convolutions of maps one behind the other; the second one's bias is that of all four rows."""
    outputs, inputs, *sides = weight.shape
    deep = weight.reshape(outputs, inputs // width, width, *sides).transpose(1, 2).double()
    kernels = torch.einsum("ky,ocdyx->kocdx", torch.tensor(_KERNEL_SUMS, dtype=torch.float64), deep).float()
    made = nn.ModuleList()
    for number, kernel in enumerate(kernels):
        size = (inputs // width, 1, kernel.shape[-1])
        layer = nn.Conv3d(width, outputs, size, padding=(0, 0, 1), device="meta")
        layer.weight = nn.Parameter(kernel.unsqueeze(3))
        layer.bias = None if bias is None or number != 1 else nn.Parameter(bias)
        made.append(PackedConv3d(layer, torch.float32))
    return made
