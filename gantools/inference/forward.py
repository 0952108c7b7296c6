"""Samples through a network: from uint8 or uint16 colours to what the network makes of them, whole or in tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.images.picture import Pixels
from gantools.inference.augmentation import eightfold
from gantools.inference.bundle import Model
from gantools.inference.canvas import Canvas
from gantools.inference.footprint import bytes_per_px
from gantools.inference.graph import Graph
from gantools.inference.memory import Memory, memory_of, says_no_memory
from gantools.inference.striped import Striping, graph_for
from gantools.inference.tiles import Grid, Tile

Outcome: TypeAlias = Literal["made", "no memory", "not finite"]

_SEED = 0
_USEFUL_HALOS = 4
"""Tiles smaller than this many times their context would mostly compute what others compute too."""

_measured: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, float]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Way:
    """How pictures go through a network. ``tile`` and ``tta`` are those of the settings."""

    model: Model
    dtype: torch.dtype | None
    tile: int | None
    tta: bool
    memory: Memory

    @property
    def device(self) -> torch.device:
        """Where the network's weights lie."""
        return next(self.model.network.parameters()).device

    def network(self, image: Tensor) -> Tensor:
        """Run the network. Shapes: [N, C, h, w] → [N, C', scale·h, scale·w], h and w as it asks for."""
        with torch.inference_mode():
            run: Callable[[Tensor], Tensor] = self._once
            return (eightfold(run) if self.tta else run)(image)

    def graph(self) -> Graph | None:
        """The steps of a network that is computed in stripes. Its mean over turns needs the picture as a whole."""
        cut = self.tta or self.model.network.training or self.model.generator.halo_px is not None
        return None if cut else graph_for(self.model)

    def bytes_of(self, seen_px: int) -> int:
        """What the features of so many pixels take; nothing for so few that it does not matter."""
        return 0 if seen_px <= self.memory.carefree_px else int(seen_px * self.bytes_per_px())

    def bytes_per_px(self) -> float:
        """What the features of a pixel take."""
        known = _measured.setdefault(self.model.network, {})
        if self.dtype not in known:
            says = self.model.generator
            side_px = -(-max(16, says.minimum_size_px) // says.size_multiple) * says.size_multiple
            known[self.dtype] = bytes_per_px(self._once, self.model.options.in_channels, side_px, self.device)
        return known[self.dtype]

    def _once(self, image: Tensor) -> Tensor:
        """Dropout, where a network keeps it, draws the same numbers for every picture, whatever came before."""
        devices, training = [image.device] if image.device.type == "cuda" else [], self.model.network.training
        with torch.random.fork_rng(devices, enabled=training):
            if training:
                torch.manual_seed(_SEED)
            return self.model.runnable(image, self.dtype)


def translate(
    pixels: Pixels, model: Model, *, tile: int | None = None, tta: bool = False, memory: Memory | None = None
) -> Pixels:
    """What the network makes of colours. Shapes: [H, W, 3] → [scale·H, scale·W, 3] of the same dtype.

    Large pictures go through in tiles, each with the context that the network needs, so that the result is that of the
    whole picture. ``tile`` is their side in pixels (None: as large as the memory allows, 0: never cut), ``tta`` takes
    the mean over flips and turns. Pictures of 16 bits are computed in float32, whatever the model's precision: smaller
    types hold too few digits; so is what is not finite in a smaller type.
    Raises ImageError for what does not fit the memory or is not finite, UsageError for tiles where there can be none.
    """
    canvas = Canvas.of(pixels, model)
    for dtype in _precisions(pixels, model):
        way = Way(model, dtype, tile, tta, memory or memory_of(next(model.network.parameters()).device))
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
    canvases = [Canvas.of(pixels, model) for pixels in pictures]
    held = memory or memory_of(next(model.network.parameters()).device)
    way = Way(model, _precisions(pictures[0], model)[0], tile, tta, held)
    grid = _grid(canvases[0], model)
    together_px = grid.whole().seen_px * len(pictures)
    fits = together_px <= held.carefree_px or way.bytes_of(together_px) <= held.comfortable_bytes()
    if not model.network.training and not tile and fits and _made_together(canvases, grid.whole(), way):
        return [canvas.made for canvas in canvases]
    return [translate(pixels, model, tile=tile, tta=tta, memory=memory) for pixels in pictures]


def batch_is_exact(pictures: Sequence[Pixels], model: Model, *, tta: bool = False) -> bool:
    """Whether the network gives each of these pictures of one shape the same bits together as alone.

    Floats are compared: a last digit that differs shows in few samples of 8 bits, and in others each time.
    """
    way = Way(model, _precisions(pictures[0], model)[0], 0, tta, memory_of(next(model.network.parameters()).device))
    canvases = [Canvas.of(pixels, model) for pixels in pictures]
    whole = _grid(canvases[0], model).whole()
    given = [canvas.seen(whole, way.device) for canvas in canvases]
    try:
        together = way.network(torch.cat(given))
    except Exception as error:
        if says_no_memory(error):
            return False
        raise
    return all(torch.equal(together[at : at + 1], way.network(image)) for at, image in enumerate(given))


def _precisions(pixels: Pixels, model: Model) -> list[torch.dtype | None]:
    """The type that a picture is computed in, and the one that is tried after it."""
    return list(dict.fromkeys((model.autocast if pixels.dtype == np.uint8 else None, None)))


def _grid(canvas: Canvas, model: Model) -> Grid:
    says = model.generator
    return Grid(canvas.height, canvas.width, says.size_multiple, None if model.network.training else says.halo_px)


def _filled(canvas: Canvas, way: Way) -> bool:
    """Make every tile; False where one is not finite. A tile that does not fit is halved, and so are those after it."""
    grid = _grid(canvas, way.model)
    side_px = _side_px(grid, way)
    if side_px and grid.halo_px is None:
        return _striped(canvas, grid, way, side_px)
    waiting = grid.tiles(side_px)
    while waiting:
        tile = waiting[0]
        outcome = _made(canvas, tile, way)
        if outcome == "not finite":
            return False
        if outcome == "made":
            waiting = waiting[1:]
        else:
            way.memory.release()
            if way.tile is None and way.graph():
                return _striped(canvas, grid, way, grid.height // 2)
            waiting = _cut(waiting, grid, canvas, way)
    return True


def _side_px(grid: Grid, way: Way) -> int:
    """The side of tiles; 0: the picture in one piece."""
    longest = max(grid.height, grid.width)
    if way.tile is not None:
        if grid.halo_px is None and 0 < way.tile < longest and way.graph() is None:
            raise UsageError(f"--tile {way.tile}: {_why_whole(way)}; leave it out")
        return way.tile if way.tile < longest else 0
    if way.bytes_of(grid.height * grid.width) <= way.memory.comfortable_bytes():
        return 0
    if grid.halo_px is None:
        fitting = way.memory.comfortable_bytes() / (way.bytes_per_px() * grid.width)
        return max(int(fitting), grid.step_px) if way.graph() else 0
    wanted = grid.largest_side_px(way.memory.comfortable_bytes() / way.bytes_per_px())
    possible = grid.largest_side_px(way.memory.free_bytes() / way.bytes_per_px()) or longest
    return max(wanted, min(_USEFUL_HALOS * grid.halo_px, possible))


def _striped(canvas: Canvas, grid: Grid, way: Way, stripe_px: int) -> bool:
    """Make the picture in stripes; False where it is not finite. Stripes that do not fit are halved."""
    graph, steps = way.graph(), max(1, stripe_px // grid.step_px)
    assert graph is not None
    while steps:
        try:
            return Striping(canvas, graph, way.device, way.dtype, way.memory, steps * grid.step_px).fill()
        except Exception as error:
            if not says_no_memory(error):
                raise
        way.memory.release()
        steps = steps // 2
    raise _no_memory(canvas, grid, grid.whole(), way)


def _made(canvas: Canvas, tile: Tile, way: Way) -> Outcome:
    """Make one tile and write it, if all of it is finite."""
    try:
        way.memory.claim(way.bytes_of(tile.seen_px))
        made = way.network(canvas.seen(tile, way.device))
        if not torch.isfinite(made).all():
            return "not finite"
        canvas.write(made, tile)
    except Exception as error:
        if not says_no_memory(error):
            raise
        return "no memory"
    return "made"


def _made_together(canvases: Sequence[Canvas], tile: Tile, way: Way) -> bool:
    """Make pictures of one shape at once; False where they do not fit or one is not finite."""
    try:
        made = way.network(torch.cat([canvas.seen(tile, way.device) for canvas in canvases]))
    except Exception as error:
        if not says_no_memory(error):
            raise
        return False
    if not torch.isfinite(made).all():
        return False
    for number, canvas in enumerate(canvases):
        canvas.write(made[number : number + 1], tile)
    return True


def _cut(waiting: Sequence[Tile], grid: Grid, canvas: Canvas, way: Way) -> list[Tile]:
    """The tiles that are still to be made, smaller. Raises ImageError where they must or can not be."""
    failed = waiting[0]
    if way.tile is not None or not grid.smaller(failed):
        raise _no_memory(canvas, grid, failed, way)
    return [part for tile in waiting for part in (grid.smaller(tile) if tile.side_px >= failed.side_px else [tile])]


def _no_memory(canvas: Canvas, grid: Grid, failed: Tile, way: Way) -> ImageError:
    height, width = canvas.pixels.shape[:2]
    what = f"not enough memory for {width}×{height} px"
    if grid.halo_px is None:
        return ImageError(f"{what}: {_why_whole(way)}; make the picture smaller or try --device cpu")
    never = ImageError(f"{what}, not even in the smallest tiles; try --device cpu")
    if not grid.smaller(failed):
        return never
    seen_px = min(way.memory.free_bytes() / way.bytes_per_px(), failed.seen_px / 2)
    fitting_px = min(grid.largest_side_px(seen_px), failed.side_px // 2)
    if not grid.fits(fitting_px, seen_px):
        return never
    whole = way.tile == 0
    return ImageError(f"{what}{' at once' if whole else f' in tiles of {way.tile} px'}; --tile {fitting_px} would fit")


def _why_whole(way: Way) -> str:
    if way.tta and graph_for(way.model):
        return "the mean over turns of this network is taken of whole pictures"
    if way.model.network.training:
        return "this network keeps dropout and batch statistics, which belong to the whole picture"
    return "every pixel of this network's result depends on the whole picture, so it is not computed in tiles"
