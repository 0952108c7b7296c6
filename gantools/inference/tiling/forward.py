"""Images through a network: from uint8 or uint16 samples to the network's output, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gantools.devices import is_out_of_memory
from gantools.errors import ImageError
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.images.ops.masks import Mask
from gantools.inference.memory import Memory, may_be_too_large, memory_of
from gantools.inference.model import Model
from gantools.inference.tiling.context import ExecutionContext, Tiling, choose_row_passes, choose_tiling, out_of_memory
from gantools.inference.tiling.global_norms import compute_band
from gantools.inference.tiling.grid import Tile
from gantools.inference.tiling.tile_io import TileIO, download, upload

NOT_FINITE = "the network's result has NaN or infinite values"

TileStatus: TypeAlias = Literal["done", "no memory", "not finite"]


def translate(
    pixels: Pixels,
    model: Model,
    *,
    mask: Mask | None = None,
    tile: int | None = None,
    tta: bool = False,
    memory: Memory | None = None,
) -> Pixels:
    """Run the network on an image. Shapes: [H, W, 3] → [scale·H, scale·W, 3] of the same dtype.

    A ``mask``, bool [H, W], is for networks that see it as one channel more.

    Large images are cut into tiles that overlap by the network's halo, so that the result is that of the whole image.
    ``tile`` is their side in px (None: as the memory allows, 0: never cut), ``tta`` averages over flips and rotations.
    16-bit images are computed in float32, whatever the model's precision; so is what is not finite in a smaller type.
    Raises ImageError for what does not fit the memory or is not finite, UsageError for an impossible ``tile``.
    """
    io = TileIO.of(pixels, model, mask)
    for dtype in _arithmetic(pixels, model):
        context = ExecutionContext(model, dtype, tile, tta, memory or memory_of(model.device))
        tiling = choose_tiling(io.grid, context)
        if _compute_bands(io, tiling, context) if tiling.bands else _compute_tiles(io, tiling, context):
            return io.result
    raise ImageError(NOT_FINITE)


def translate_masked(pixels: Pixels, mask: Mask, model: Model, *, tta: bool = False) -> Pixels:
    """Run a network of another code that sees the mask, too. Shapes: [H, W, 3], bool [H, W] → [H, W, 3].

    As with ``translate``, 16-bit images are computed in float32, and so is what is not finite in a smaller type.
    Raises ImageError for what does not fit the memory or is not finite.
    """
    io = TileIO.of(pixels, model)
    shown = replace(io, pixels=np.repeat(mask[..., None].astype(np.uint8) * np.uint8(255), 3, axis=2))
    whole = io.grid.whole()
    for dtype in _arithmetic(pixels, model):
        context = ExecutionContext(model, dtype, None, tta, memory_of(model.device))
        try:
            image = torch.cat((io.read(whole, context.device), shown.read(whole, context.device)[:, :1]), dim=1)
            output = context.run(image)
        except Exception as error:
            if not may_be_too_large(error):
                raise
            raise out_of_memory(io, whole, context) from error
        if torch.isfinite(output).all():
            io.write(output, whole)
            return io.result
    raise ImageError(NOT_FINITE)


def _arithmetic(pixels: Pixels, model: Model) -> Iterable[torch.dtype | None]:
    """What an image is computed in, and then in float32 where that is not finite."""
    return dict.fromkeys((model.autocast if pixels.dtype == np.uint8 else None, None))


def _compute_tiles(io: TileIO, tiling: Tiling, context: ExecutionContext) -> bool:
    """Compute every tile; False where one is not finite.

    A tile that does not fit the memory is halved, and so are those after it, unless ``--tile`` sets their size. Where
    the image cannot be cut into tiles, row passes are tried.
    """
    waiting = io.grid.tiles(tiling.tile_px)
    while waiting:
        tile = waiting[0]
        status = _compute_tile(io, tile, context)
        if status == "not finite":
            return False
        if status == "done":
            waiting = waiting[1:]
            continue
        context.memory.release()
        if context.tile is None and not io.grid.can_tile and context.row_network() is not None:
            return _compute_bands(io, choose_row_passes(io.grid, context), context)
        if context.tile is not None or not io.grid.halves(tile):
            raise out_of_memory(io, tile, context)
        waiting = [
            part for other in waiting for part in (io.grid.halves(other) if other.side_px >= tile.side_px else [other])
        ]
    return True


def _compute_tile(io: TileIO, tile: Tile, context: ExecutionContext) -> TileStatus:
    """Compute one tile and write it, if all of it is finite."""
    try:
        context.memory.claim(context.activation_bytes(tile.input_px))
        output = context.run(io.read(tile, context.device))
        if not torch.isfinite(output).all():
            return "not finite"
        io.write(output, tile)
    except Exception as error:
        small = tile.input_px <= context.memory.unchecked_px
        if not may_be_too_large(error) or (small and not is_out_of_memory(error)):
            raise
        return "no memory"
    return "done"


def _compute_bands(io: TileIO, tiling: Tiling, context: ExecutionContext) -> bool:
    """Compute the image in row passes; False where it is not finite. Passes that do not fit get half the rows."""
    network, steps = context.row_network(), max(1, tiling.rows_px // io.grid.step_px)
    assert network is not None
    while steps:
        try:
            rows_px = steps * io.grid.step_px
            bands = (compute_band(io, each, network, context.device, context.memory, rows_px) for each in tiling.bands)
            return all(bands)
        except Exception as error:
            if not may_be_too_large(error):
                raise
        context.memory.release()
        steps = steps // 2
    raise out_of_memory(io, io.grid.whole(), context)


@dataclass(frozen=True, eq=False)
class PendingBatch:
    """Images of one shape that are being computed together."""

    images: Sequence[TileIO]
    output: Tensor
    context: ExecutionContext
    _download: Callable[[], list[Tensor]]

    def wait(self) -> list[Pixels] | None:
        """The results; None where one is not finite."""
        samples, finite = self._download()
        if not finite:
            return None
        for io, each in zip(self.images, samples.numpy(), strict=True):
            height, width = io.result.shape[:2]
            io.result[:] = each[:height, :width]
        return [io.result for io in self.images]


@torch.inference_mode()
def start_batch(
    images: Sequence[Pixels],
    model: Model,
    *,
    tile: int | None = None,
    tta: bool = False,
    memory: Memory | None = None,
) -> PendingBatch | None:
    """Start computing 8-bit images of one shape together; on CUDA this does not wait for the GPU.

    None where they must not be computed together or do not fit the memory: ``translate`` computes them one by one.
    """
    if images[0].dtype != np.uint8 or model.network.training or tile:
        return None
    ios = [TileIO.of(pixels, model) for pixels in images]
    context = ExecutionContext(model, model.autocast, tile, tta, memory or memory_of(model.device))
    whole = ios[0].grid.whole()
    if context.activation_bytes(whole.input_px * len(ios)) > context.memory.preferred_bytes():
        return None
    try:
        samples = upload(np.stack([io.read_samples(whole) for io in ios]), context.device)
        output = context.run(ranges.batch_to_float(samples))
        results = download((ranges.batch_from_float(output), torch.isfinite(output).all()))
    except Exception as error:
        if not may_be_too_large(error):
            raise
        context.memory.release()
        return None
    return PendingBatch(ios, output, context, results)


def translate_batch(
    images: Sequence[Pixels], model: Model, *, tile: int | None = None, tta: bool = False
) -> list[Pixels]:
    """``translate`` for images of one shape and depth, computed together where they fit, else one by one."""
    batch = start_batch(images, model, tile=tile, tta=tta)
    results = batch.wait() if batch else None
    return results or [translate(pixels, model, tile=tile, tta=tta) for pixels in images]


def translate_proven(
    images: Sequence[Pixels], model: Model, *, tile: int | None = None, tta: bool = False
) -> list[Pixels] | None:
    """``translate`` for images of one shape together; None unless each comes out with the bits that it has alone."""
    batch = start_batch(images, model, tile=tile, tta=tta)
    results = batch.wait() if batch else None
    if batch is None or results is None:
        return None
    whole, context = batch.images[0].grid.whole(), batch.context
    alone = (context.run(io.read(whole, context.device)) for io in batch.images)
    same = all(torch.equal(one, other) for one, other in zip(torch.split(batch.output, 1), alone, strict=True))
    return results if same else None
