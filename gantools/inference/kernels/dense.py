"""RRDBNet on whole images: dense blocks without copies of features, and the large maps of its end in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from gantools.inference.kernels.fuse import Doubling, copy_sharing_weights, replace_children
from gantools.inference.kernels.onednn import PackedConv2d, PackedConv3d, pack
from gantools.inference.kernels.winograd import WinogradGroups
from gantools.inference.tiling.grid import Grid
from gantools.models.generators.rrdb import RESIDUAL_SHARE, DenseBlock, DenseGroup, RRDBNet, enlargement_halo

PART_BYTES = 24 << 20
"""Of the largest map of a part. Larger blocks come fresh from the system and are zeroed at first use, each time."""


def for_whole_images(network: nn.Module) -> nn.Module:
    """A copy of a packed network that computes the same faster, unless rows have to be computed one after the other."""
    if not isinstance(network, RRDBNet) or not works(next(_packed(network)).dtype):
        return network
    made = cast(RRDBNet, copy_sharing_weights(network))
    replace_children(made, _in_slots)
    end = InParts([*made.ups.children(), *made.last.children()])
    made.ups, made.last = nn.Sequential(), cast(nn.Sequential, end)
    return made


class SlottedGroups(nn.Module):
    """Groups of dense blocks whose features lie in one buffer, as maps of few channels one behind the other.

    A dense block's convolution over the first features is one over the first maps, in three dimensions with a kernel
    as deep as they are many: nothing is put together before it. The numbers are those of the plain block.

    Shapes: (N, C, H, W) → the same.
    """

    def __init__(self, groups: Iterable[DenseGroup]) -> None:
        super().__init__()
        self.groups = nn.ModuleList(
            nn.ModuleList(_SlottedBlock(cast(DenseBlock, block)) for block in group.blocks) for group in groups
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([self._one(image) for image in torch.split(features, 1)])

    def _one(self, features: Tensor) -> Tensor:
        first = cast(_SlottedBlock, cast(nn.ModuleList, self.groups[0])[0])
        count, width = first.inputs, first.width
        _, channels, *sides = features.shape
        buffer = features.new_empty(1, count + len(first.layers), *sides, width, dtype=first.dtype)
        slots, known = buffer.permute(0, 4, 1, 2, 3), buffer[0, :count]
        known.copy_(features.reshape(count, width, *sides).permute(0, 2, 3, 1))
        for group in self.groups:
            given = known.clone()
            for block in cast(nn.ModuleList, group):
                block(slots)
            torch.add(given, known, alpha=RESIDUAL_SHARE, out=known)
        return known.permute(0, 3, 1, 2).reshape(1, channels, *sides)


class _SlottedBlock(nn.Module):
    """A dense block on slots (1, width, inputs + layers, H, W): its input is in the first, and so is its output."""

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        layers = [cast(PackedConv2d, cast(nn.Sequential, layer)[0]) for layer in block.layers]
        last = cast(PackedConv2d, cast(nn.Module, block.last))
        self.width, self.dtype = layers[0].weight.shape[0], last.dtype
        self.inputs = last.weight.shape[0] // self.width
        self.layers = nn.ModuleList(_slotted(layer, layer.weight, layer.bias, self.width) for layer in layers)
        parts = zip(*(torch.split(each, self.width) for each in (last.weight, cast(Tensor, last.bias))), strict=True)
        self.last = nn.ModuleList(
            _slotted(last, weight * RESIDUAL_SHARE, bias * RESIDUAL_SHARE, self.width) for weight, bias in parts
        )

    def forward(self, slots: Tensor) -> None:
        for place, layer in enumerate(self.layers, self.inputs):
            slots[:, :, place : place + 1] = layer(slots[:, :, :place])
        made = [layer(slots, slots[:, :, place : place + 1]) for place, layer in enumerate(self.last)]
        for place, output in enumerate(made):
            slots[:, :, place : place + 1] = output


class InParts(nn.Module):
    """RRDBNet's enlargement and last layers, a part of the image after the other, each with what it sees around it.

    Shapes: (N, C, H, W) → (N, C', scale·H, scale·W).
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers, self.part_bytes = nn.Sequential(*layers), PART_BYTES
        doublings = sum(isinstance(layer, Doubling) for layer in layers)
        self.scale, self.halo_px = 2**doublings, enlargement_halo(doublings).px
        *_, last = layers
        self.channels, self.outputs = cast(Tensor, last.weight).shape[1], cast(Tensor, last.weight).shape[0]

    def forward(self, features: Tensor) -> Tensor:
        """One image after the other: parts of many would be small, and mostly halo."""
        return torch.cat([self._one(image) for image in torch.split(features, 1)])

    def _one(self, features: Tensor) -> Tensor:
        _, _, height, width = features.shape
        grid, scale = Grid(height, width, 1, self.halo_px), self.scale
        px = self.part_bytes / (self.channels * scale**2 * features.element_size())
        made: Tensor | None = None
        for tile in grid.tiles(grid.largest_side_px(px)):
            part = self.layers(features[:, :, tile.rows.first : tile.rows.last, tile.columns.first : tile.columns.last])
            if made is None:
                made = part.new_empty(1, self.outputs, scale * height, scale * width)
            top, left = (scale * (span.start - span.first) for span in (tile.rows, tile.columns))
            rows, columns = (slice(scale * span.start, scale * span.stop) for span in (tile.rows, tile.columns))
            target = made[:, :, rows, columns]
            target.copy_(part[:, :, top : top + target.shape[2], left : left + target.shape[3]])
        return cast(Tensor, made)


@contextmanager
def in_small_parts(network: object) -> Iterator[None]:
    """Compute an end in parts that grow no more with a small image, where memory is measured on one."""
    parts = (
        [layer for layer in network.modules() if isinstance(layer, InParts)] if isinstance(network, nn.Module) else []
    )
    for part in parts:
        part.part_bytes = PART_BYTES >> 10
    try:
        yield
    finally:
        for part in parts:
            part.part_bytes = PART_BYTES


def _in_slots(layer: nn.Module) -> nn.Module:
    """Groups of dense blocks as one layer, where the channels of their input are a multiple of what is added."""
    if type(layer) is not nn.Sequential or not all(isinstance(each, DenseGroup) for each in layer):
        return layer
    first = cast(DenseBlock, cast(DenseGroup, layer[0]).blocks[0]) if len(layer) else None
    if first is None or first.channels % first.growth_channels:
        return layer
    return _groups(cast("Iterable[DenseGroup]", layer), next(_packed(layer)).dtype)


def _groups(layers: Iterable[DenseGroup], dtype: torch.dtype) -> nn.Module:
    return WinogradGroups(layers) if dtype == torch.float32 else SlottedGroups(layers)


def _packed(network: nn.Module) -> Iterator[PackedConv2d]:
    return (layer for layer in network.modules() if isinstance(layer, PackedConv2d))


@cache
@torch.no_grad()
def works(dtype: torch.dtype) -> bool:
    """Whether this torch has convolutions in three dimensions for ``dtype`` that compute what the plain block does."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain, image = nn.Sequential(DenseGroup(16, 8)), torch.rand(1, 16, 9, 7)
    try:
        made = _groups(cast("Iterable[DenseGroup]", pack(plain, dtype)), dtype)(image.to(dtype))
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):
        return False  # another torch or CPU: the features are then put together before each convolution
    return torch.allclose(made.float(), plain(image), atol=1e-5 if dtype == torch.float32 else 0.02, rtol=0)


def _slotted(source: PackedConv2d, weight: Tensor, bias: Tensor | None, width: int) -> PackedConv3d:
    """A convolution of features as one of slots. Its activation is the source's."""
    outputs, inputs, *kernel = weight.shape
    deep = weight.reshape(outputs, inputs // width, width, *kernel).transpose(1, 2)
    size, padding = (inputs // width, kernel[0], kernel[1]), (0, source.padding[0], source.padding[1])
    layer = nn.Conv3d(width, outputs, size, padding=padding, device="meta")
    layer.weight, layer.bias = nn.Parameter(deep), None if bias is None else nn.Parameter(bias)
    made = PackedConv3d(layer, source.dtype)
    made.activation, made.parameters_of_activation = source.activation, source.parameters_of_activation
    return made
