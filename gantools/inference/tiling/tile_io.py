"""Between integer samples and the network's floats, tile by tile: the image is never float as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.errors import UsageError
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.images.ops.color import gray
from gantools.images.ops.masks import Mask
from gantools.images.ops.resize import reflected_indices
from gantools.inference.model import Model
from gantools.inference.tiling.grid import Grid, Span, Tile

BLOCK_PX = 1 << 18
"""Output pixels that become samples at once: the floats in between take several times the memory."""


@dataclass(frozen=True, eq=False)
class TileIO:
    """Reads tiles of an image, padded by reflection at the right and bottom to what a network takes; writes results.

    Shapes: ``pixels`` [H, W, 3]; ``result`` [scale·H, scale·W, 3] of the same dtype. A ``mask`` [H, W] is read as one
    channel more, 1 where it is True, else -1.
    """

    pixels: Pixels
    result: Pixels
    grid: Grid
    channels: int
    scale: int
    mask: Mask | None = None

    @staticmethod
    def of(pixels: Pixels, model: Model, mask: Mask | None = None) -> TileIO:
        """With an empty result. Raises UsageError for a network that takes neither gray nor RGB."""
        network, channels = model.generator, model.options.in_channels - (mask is not None)
        if channels not in (1, 3):
            raise UsageError(f"this network reads {channels} channels; images are fed to it as gray (1) or RGB (3)")
        height, width = padded_sides(pixels.shape[0], pixels.shape[1], model)
        grid = Grid(height, width, network.size_multiple, None if model.network.training else network.halo_px)
        result = np.empty((pixels.shape[0] * network.scale, pixels.shape[1] * network.scale, 3), pixels.dtype)
        return TileIO(pixels, result, grid, channels, network.scale, mask)

    def read(self, tile: Tile, device: torch.device) -> Tensor:
        """The network's input for a tile. Shapes: [1, channels, h, w]. Range: [-1, 1]."""
        return ranges.to_tensor(self.read_samples(tile), device)

    def read_samples(self, tile: Tile) -> Pixels:
        """The same as samples. Shapes: [h, w, channels], or one channel more with a mask."""
        rows = _indices(tile.rows, self.pixels.shape[0])
        columns = _indices(tile.columns, self.pixels.shape[1])
        part = self.pixels[rows][:, columns]
        samples = gray(part)[..., None] if self.channels == 1 else part
        if self.mask is None:
            return samples
        missing = self.mask[rows][:, columns, None] * samples.dtype.type(np.iinfo(samples.dtype).max)
        return np.concatenate((samples, missing), axis=2)

    def write(self, output: Tensor, tile: Tile) -> None:
        """Put the network's output for a tile into the result, without halo. Shapes: [1, 1 or 3, scale·h, scale·w]."""
        scale = self.scale
        top, left = ((span.start - span.first) * scale for span in (tile.rows, tile.columns))
        rows, columns = (slice(span.start * scale, span.stop * scale) for span in (tile.rows, tile.columns))
        target = self.result[rows, columns]
        height, width = target.shape[:2]
        block = max(1, BLOCK_PX // max(1, width))
        for row in range(0, height, block):
            stop = min(height, row + block)
            part = output[..., top + row : top + stop, left : left + width]
            target[row:stop] = ranges.from_tensor(part, target.dtype)


def padded_sides(height: int, width: int, model: Model) -> tuple[int, int]:
    """Height and width that an image is padded to."""
    network = model.generator
    short = min(height, width) < network.minimum_size_px
    multiple = math.lcm(network.size_multiple, network.minimum_size_px) if short else network.size_multiple
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def upload(samples: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Samples on a device; on CUDA through page-locked memory, without waiting for the copy."""
    tensor = torch.from_numpy(samples)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def download(tensors: Sequence[Tensor]) -> Callable[[], list[Tensor]]:
    """Start copying tensors to the CPU. The returned function waits for what is being computed, and for the copies."""
    if tensors[0].device.type != "cuda":
        return lambda: [tensor.cpu() for tensor in tensors]
    copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor, non_blocking=True)
    copied = torch.cuda.current_stream(tensors[0].device).record_event()

    def wait() -> list[Tensor]:
        copied.synchronize()
        return copies

    return wait


def _indices(span: Span, length: int) -> slice | npt.NDArray[np.intp]:
    """The samples of a span; beyond the end of the image it is reflected, as often as it takes."""
    if span.last <= length:
        return slice(span.first, span.last)
    return reflected_indices(span.first, span.last, length)
