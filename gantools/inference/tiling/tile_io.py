"""Integer samples as a network sees and makes them, part by part: the picture never becomes float as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.errors import UsageError
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.images.ops.color import gray
from gantools.inference.model import Model
from gantools.inference.tiling.grid import Span, Tile

BLOCK_PX = 1 << 18
"""Pixels of a network's output that are turned into samples at once: what lies between is several times as large."""


@dataclass(frozen=True, eq=False)
class TileIO:
    """A picture padded by reflection at the right and bottom to what a network takes.

    Shapes: ``pixels`` [H, W, 3]; ``made`` [scale·H, scale·W, 3] of the same dtype, written tile by tile.
    """

    pixels: Pixels
    made: Pixels
    channels: int
    height: int
    width: int
    scale: int

    @staticmethod
    def of(pixels: Pixels, model: Model) -> TileIO:
        """An empty result beside a picture. Raises UsageError for a network that takes neither gray nor RGB."""
        channels, scale = model.options.in_channels, model.generator.scale
        if channels not in (1, 3):
            raise UsageError(f"this network reads {channels} channels; pictures are fed to it as gray (1) or RGB (3)")
        height, width = padded_sides(pixels.shape[0], pixels.shape[1], model)
        made = np.empty((pixels.shape[0] * scale, pixels.shape[1] * scale, 3), pixels.dtype)
        return TileIO(pixels, made, channels, height, width, scale)

    def seen(self, tile: Tile, device: torch.device) -> Tensor:
        """What the network sees of a tile. Shapes: [1, channels, h, w]. Range: [-1, 1]."""
        return ranges.to_tensor(self.samples(tile), device)

    def samples(self, tile: Tile) -> Pixels:
        """The same before it becomes float. Shapes: [h, w, channels]."""
        rows = _places(tile.rows, self.pixels.shape[0])
        columns = _places(tile.columns, self.pixels.shape[1])
        part = self.pixels[rows][:, columns]
        return gray(part)[..., None] if self.channels == 1 else part

    def write(self, made: Tensor, tile: Tile) -> None:
        """Put what the network made of what it saw of a tile in its place. Shapes: [1, 1 or 3, scale·h, scale·w]."""
        top, left = ((span.start - span.first) * self.scale for span in (tile.rows, tile.columns))
        target = self.made[_scaled(tile.rows, self.scale), _scaled(tile.columns, self.scale)]
        height, width = target.shape[:2]
        rows = max(1, BLOCK_PX // max(1, width))
        for row in range(0, height, rows):
            stop = min(height, row + rows)
            part = made[..., top + row : top + stop, left : left + width]
            target[row:stop] = ranges.from_tensor(part, target.dtype)


def padded_sides(height: int, width: int, model: Model) -> tuple[int, int]:
    """The sides that a picture is padded to."""
    says = model.generator
    short = min(height, width) < says.minimum_size_px
    multiple = math.lcm(says.size_multiple, says.minimum_size_px) if short else says.size_multiple
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def _scaled(span: Span, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)


def _places(span: Span, length: int) -> slice | npt.NDArray[np.intp]:
    """Where the samples of a stretch lie; beyond the picture's end it is reflected, as often as it takes."""
    if span.last <= length:
        return slice(span.first, span.last)
    period = max(1, 2 * (length - 1))
    position = np.arange(span.first, span.last) % period
    return np.minimum(position, period - position)
