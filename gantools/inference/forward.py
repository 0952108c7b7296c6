"""Samples through a network: from uint8 or uint16 colours to what the network makes of them, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gantools.devices import says_no_memory
from gantools.errors import ImageError
from gantools.images import ranges
from gantools.images.picture import Pixels
from gantools.inference.bundle import Model
from gantools.inference.canvas import Canvas
from gantools.inference.cuda import Ferry, Landing
from gantools.inference.cutting import Cut, choose, no_memory, stripes
from gantools.inference.memory import Memory, memory_of, says_too_large
from gantools.inference.striped import Striping
from gantools.inference.tiles import Grid, Tile
from gantools.inference.way import Way

Outcome: TypeAlias = Literal["made", "no memory", "not finite"]
Arrival: TypeAlias = Callable[[], "list[Pixels] | None"]
"""Waits for pictures that are under way; None where one is not finite."""


def translate(
    pixels: Pixels, model: Model, *, tile: int | None = None, tta: bool = False, memory: Memory | None = None
) -> Pixels:
    """What the network makes of colours. Shapes: [H, W, 3] → [scale·H, scale·W, 3] of the same dtype.

    Large pictures go through in tiles, each with the context that the network needs, so that the result is that of the
    whole picture. ``tile`` is their side in pixels (None: as large as is comfortable, 0: never cut), ``tta`` takes
    the mean over flips and turns. Pictures of 16 bits are computed in float32, whatever the model's precision: smaller
    types hold too few digits; so is what is not finite in a smaller type.
    Raises ImageError for what does not fit the memory or is not finite, UsageError for tiles where there can be none.
    """
    canvas = Canvas.of(pixels, model)
    for dtype in _precisions(pixels, model):
        way = Way(model, dtype, tile, tta, memory or memory_of(model.device))
        if _filled(canvas, way):
            return canvas.made
    raise ImageError("the network's result has NaN or infinite values")


def translate_batch(
    pictures: Sequence[Pixels],
    model: Model,
    *,
    tile: int | None = None,
    tta: bool = False,
    memory: Memory | None = None,
) -> list[Pixels]:
    """What the network makes of pictures of one shape and depth, together where they fit; else one after the other."""
    batch = _Batch.of(pictures, model, tile, tta, memory)
    made = batch.together()
    if made is None:
        return [translate(pixels, model, tile=tile, tta=tta, memory=memory) for pixels in pictures]
    return batch.written(made)


def translate_proven(
    pictures: Sequence[Pixels],
    model: Model,
    *,
    tile: int | None = None,
    tta: bool = False,
    memory: Memory | None = None,
) -> list[Pixels] | None:
    """What the network makes of pictures of one shape together; None unless each gets the bits that it gets alone.

    Floats are compared: a last digit that differs shows in few samples of 8 bits, and in others each time.
    """
    batch = _Batch.of(pictures, model, tile, tta, memory)
    made = batch.together()
    return batch.written(made) if made is not None and batch.is_each_alone(made) else None


def begin_batch(
    pictures: Sequence[Pixels],
    model: Model,
    ferry: Ferry,
    *,
    tile: int | None = None,
    tta: bool = False,
    memory: Memory | None = None,
) -> Arrival | None:
    """Start on pictures of one shape, of 8 bits, on a GPU; call what is returned for what becomes of them.

    None, now or then: they have to be made in another way, as ``translate_batch`` makes them.
    """
    batch = _Batch.of(pictures, model, tile, tta, memory)
    return batch.begun(ferry) if pictures[0].dtype == np.uint8 and batch.may_be() else None


@dataclass(frozen=True, eq=False)
class _Batch:
    """Pictures of one shape and depth, and the way that they go through a network together."""

    canvases: Sequence[Canvas]
    whole: Tile
    way: Way

    @staticmethod
    def of(pictures: Sequence[Pixels], model: Model, tile: int | None, tta: bool, memory: Memory | None) -> _Batch:
        canvases = [Canvas.of(pixels, model) for pixels in pictures]
        way = Way(model, _precisions(pictures[0], model)[0], tile, tta, memory or memory_of(model.device))
        return _Batch(canvases, _grid(canvases[0], model).whole(), way)

    def together(self) -> Tensor | None:
        """What the network makes of all at once; None where they do not fit, must not be or one is not finite."""
        if not self.may_be():
            return None
        try:
            made = self.way.network(torch.cat([self._seen(canvas) for canvas in self.canvases]))
        except Exception as error:
            if not says_too_large(error):
                raise
            return None
        return made if torch.isfinite(made).all() else None

    def may_be(self) -> bool:
        """Whether they may go through at once, and are thought to fit."""
        return not self.way.model.network.training and not self.way.tile and self._fits()

    @torch.inference_mode()
    def begun(self, ferry: Ferry) -> Arrival | None:
        """As ``together``, without waiting for what a GPU computes."""
        try:
            samples = ferry.there(torch.from_numpy(np.stack([each.samples(self.whole) for each in self.canvases])))
            made = self.way.network(ranges.batch_to_float(samples))
            landing = ferry.back((ranges.batch_from_float(made), torch.isfinite(made).all()))
        except Exception as error:
            if not says_too_large(error):
                raise
            self.way.memory.release()
            return None
        return partial(self._arrived, landing)

    def _arrived(self, landing: Landing) -> list[Pixels] | None:
        made, finite = landing.wait()
        if not finite:
            return None
        for canvas, samples in zip(self.canvases, made.numpy(), strict=True):
            height, width = canvas.made.shape[:2]
            canvas.made[:] = samples[:height, :width]
        return [canvas.made for canvas in self.canvases]

    def is_each_alone(self, made: Tensor) -> bool:
        """Whether the network makes the same bits of each picture alone."""
        alone = (self.way.network(self._seen(canvas)) for canvas in self.canvases)
        return all(torch.equal(one, other) for one, other in zip(torch.split(made, 1), alone, strict=True))

    def written(self, made: Tensor) -> list[Pixels]:
        """The pictures."""
        for canvas, one in zip(self.canvases, torch.split(made, 1), strict=True):
            canvas.write(one, self.whole)
        return [canvas.made for canvas in self.canvases]

    def _fits(self) -> bool:
        memory, together_px = self.way.memory, self.whole.seen_px * len(self.canvases)
        return together_px <= memory.carefree_px or self.way.bytes_of(together_px) <= memory.comfortable_bytes()

    def _seen(self, canvas: Canvas) -> Tensor:
        return canvas.seen(self.whole, self.way.device)


def _precisions(pixels: Pixels, model: Model) -> list[torch.dtype | None]:
    """The type that a picture is computed in, and the one that is tried after it."""
    return list(dict.fromkeys((model.autocast if pixels.dtype == np.uint8 else None, None)))


def _grid(canvas: Canvas, model: Model) -> Grid:
    says = model.generator
    return Grid(canvas.height, canvas.width, says.size_multiple, None if model.network.training else says.halo_px)


def _filled(canvas: Canvas, way: Way) -> bool:
    """Make every tile; False where one is not finite. A tile that does not fit is halved, and so are those after it."""
    grid = _grid(canvas, way.model)
    cut = choose(grid, way)
    if cut.bands:
        return _striped(canvas, grid, way, cut)
    waiting = grid.tiles(cut.side_px)
    while waiting:
        tile = waiting[0]
        outcome = _made(canvas, tile, way)
        if outcome == "not finite":
            return False
        if outcome == "made":
            waiting = waiting[1:]
        else:
            way.memory.release()
            if way.tile is None and grid.halo_px is None and way.steps() is not None:
                return _striped(canvas, grid, way, stripes(grid, way))
            waiting = _halved(waiting, grid, canvas, way)
    return True


def _striped(canvas: Canvas, grid: Grid, way: Way, cut: Cut) -> bool:
    """Make the picture in stripes; False where it is not finite. Stripes that do not fit are halved."""
    steps, rows = way.steps(), max(1, cut.stripe_px // grid.step_px)
    assert steps is not None
    while rows:
        try:
            stripe_px = rows * grid.step_px
            return all(Striping(canvas, band, steps, way.device, way.memory, stripe_px).fill() for band in cut.bands)
        except Exception as error:
            if not says_too_large(error):
                raise
        way.memory.release()
        rows = rows // 2
    raise no_memory(canvas, grid, grid.whole(), way)


def _made(canvas: Canvas, tile: Tile, way: Way) -> Outcome:
    """Make one tile and write it, if all of it is finite."""
    try:
        way.memory.claim(way.bytes_of(tile.seen_px))
        made = way.network(canvas.seen(tile, way.device))
        if not torch.isfinite(made).all():
            return "not finite"
        canvas.write(made, tile)
    except Exception as error:
        if not says_too_large(error) or (tile.seen_px <= way.memory.carefree_px and not says_no_memory(error)):
            raise
        return "no memory"
    return "made"


def _halved(waiting: Sequence[Tile], grid: Grid, canvas: Canvas, way: Way) -> list[Tile]:
    """The tiles that are still to be made, smaller. Raises ImageError where they must or can not be."""
    failed = waiting[0]
    if way.tile is not None or not grid.smaller(failed):
        raise no_memory(canvas, grid, failed, way)
    return [part for tile in waiting for part in (grid.smaller(tile) if tile.side_px >= failed.side_px else [tile])]
