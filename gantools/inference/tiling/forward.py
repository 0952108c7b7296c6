"""Samples through a network: from uint8 or uint16 colours to what the network makes of them, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from gantools.checkpoint.weights import DROPOUT_SEED
from gantools.devices import is_out_of_memory
from gantools.errors import ImageError, UsageError
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.inference.kernels.compile import Ferry, Landing
from gantools.inference.memory import Memory, bytes_per_px, may_be_too_large, memory_of
from gantools.inference.model import Model
from gantools.inference.tiling.global_norms import Steps, Striping, steps_of
from gantools.inference.tiling.grid import Grid, Span, Tile
from gantools.inference.tiling.tile_io import TileIO

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
    canvas = TileIO.of(pixels, model)
    for dtype in _precisions(pixels, model):
        way = ExecutionContext(model, dtype, tile, tta, memory or memory_of(model.device))
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

    canvases: Sequence[TileIO]
    whole: Tile
    way: ExecutionContext

    @staticmethod
    def of(pictures: Sequence[Pixels], model: Model, tile: int | None, tta: bool, memory: Memory | None) -> _Batch:
        canvases = [TileIO.of(pixels, model) for pixels in pictures]
        way = ExecutionContext(model, _precisions(pictures[0], model)[0], tile, tta, memory or memory_of(model.device))
        return _Batch(canvases, _grid(canvases[0], model).whole(), way)

    def together(self) -> Tensor | None:
        """What the network makes of all at once; None where they do not fit, must not be or one is not finite."""
        if not self.may_be():
            return None
        try:
            made = self.way.network(torch.cat([self._seen(canvas) for canvas in self.canvases]))
        except Exception as error:
            if not may_be_too_large(error):
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
            if not may_be_too_large(error):
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
        return together_px <= memory.unchecked_px or self.way.bytes_of(together_px) <= memory.preferred_bytes()

    def _seen(self, canvas: TileIO) -> Tensor:
        return canvas.seen(self.whole, self.way.device)


def _precisions(pixels: Pixels, model: Model) -> list[torch.dtype | None]:
    """The type that a picture is computed in, and the one that is tried after it."""
    return list(dict.fromkeys((model.autocast if pixels.dtype == np.uint8 else None, None)))


def _grid(canvas: TileIO, model: Model) -> Grid:
    says = model.generator
    return Grid(canvas.height, canvas.width, says.size_multiple, None if model.network.training else says.halo_px)


def _filled(canvas: TileIO, way: ExecutionContext) -> bool:
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


def _striped(canvas: TileIO, grid: Grid, way: ExecutionContext, cut: Cut) -> bool:
    """Make the picture in stripes; False where it is not finite. Stripes that do not fit are halved."""
    steps, rows = way.steps(), max(1, cut.stripe_px // grid.step_px)
    assert steps is not None
    while rows:
        try:
            stripe_px = rows * grid.step_px
            return all(Striping(canvas, band, steps, way.device, way.memory, stripe_px).fill() for band in cut.bands)
        except Exception as error:
            if not may_be_too_large(error):
                raise
        way.memory.release()
        rows = rows // 2
    raise no_memory(canvas, grid, grid.whole(), way)


def _made(canvas: TileIO, tile: Tile, way: ExecutionContext) -> Outcome:
    """Make one tile and write it, if all of it is finite."""
    try:
        way.memory.claim(way.bytes_of(tile.seen_px))
        made = way.network(canvas.seen(tile, way.device))
        if not torch.isfinite(made).all():
            return "not finite"
        canvas.write(made, tile)
    except Exception as error:
        if not may_be_too_large(error) or (tile.seen_px <= way.memory.unchecked_px and not is_out_of_memory(error)):
            raise
        return "no memory"
    return "made"


def _halved(waiting: Sequence[Tile], grid: Grid, canvas: TileIO, way: ExecutionContext) -> list[Tile]:
    """The tiles that are still to be made, smaller. Raises ImageError where they must or can not be."""
    failed = waiting[0]
    if way.tile is not None or not grid.smaller(failed):
        raise no_memory(canvas, grid, failed, way)
    return [part for tile in waiting for part in (grid.smaller(tile) if tile.side_px >= failed.side_px else [tile])]


measured: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, float]] = WeakKeyDictionary()
"""What the features of a pixel take, by network and arithmetic."""


@dataclass(frozen=True, eq=False)
class ExecutionContext:
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
            return (self_ensemble(run) if self.tta else run)(image)

    def steps(self) -> Steps | None:
        """The network in steps on rows, if it can be. The mean over turns needs pictures that are not taken apart."""
        return None if self.tta else steps_of(self.model, self.dtype)

    def bytes_of(self, seen_px: int) -> int:
        """What the features of so many pixels take; nothing for so few that it does not matter."""
        return 0 if seen_px <= self.memory.unchecked_px else int(seen_px * self.bytes_per_px())

    def bytes_per_px(self) -> float:
        """What the features of a pixel take."""
        known = measured.setdefault(self.model.network, {})
        if self.dtype not in known:
            says = self.model.generator
            side_px = -(-max(16, says.minimum_size_px) // says.size_multiple) * says.size_multiple
            known[self.dtype] = bytes_per_px(self._uncompiled, self.model.options.in_channels, side_px, self.device)
        return known[self.dtype]

    def _uncompiled(self, image: Tensor) -> Tensor:
        return self.model.variants.form(self.dtype)(image).float()

    def _once(self, image: Tensor) -> Tensor:
        """Dropout, where a network keeps it, draws the same numbers for every picture, whatever came before."""
        devices, training = [image.device] if image.device.type == "cuda" else [], self.model.network.training
        with torch.random.fork_rng(devices, enabled=training):
            if training:
                torch.manual_seed(DROPOUT_SEED)
            return self.model.variants(image, self.dtype)


WASTEFUL_WORK = 1.15
"""Tiles whose contexts add more work than this give way to stripes, which have none."""

LEAST_ROWS = 32
"""Stripes of fewer rows lose to what every layer computes beyond its edges; the picture is cut into bands instead."""

_USEFUL_HALOS = 4
"""Tiles smaller than this many times their context would mostly compute what others compute too."""

_STRIPES_PER_TILE = 2
"""What stripes take per pixel, measured by what tiles take: the rows between them are kept."""


@dataclass(frozen=True)
class Cut:
    """Tiles of a side, or bands of columns in stripes of rows; neither: the picture in one piece."""

    side_px: int = 0
    stripe_px: int = 0
    bands: tuple[Span, ...] = ()


def choose(grid: Grid, way: ExecutionContext) -> Cut:
    """How a picture is cut. Raises UsageError where it was asked for and cannot be."""
    if way.tile is not None:
        return _asked_for(grid, way, way.tile)
    if way.bytes_of(grid.height * grid.width) <= way.memory.preferred_bytes():
        return Cut()
    if grid.halo_px is None:
        return stripes(grid, way)
    side_px = _fitting_side_px(grid, way, grid.halo_px)
    work = grid.work(grid.tiles(side_px))
    other = stripes(grid, way) if work > WASTEFUL_WORK else Cut()
    rows = grid.whole().rows
    return other if other.bands and grid.work([Tile(rows, band) for band in other.bands]) < work else Cut(side_px)


def stripes(grid: Grid, way: ExecutionContext) -> Cut:
    """Stripes as high as is comfortable; where they would be too low, of bands of the picture."""
    if way.steps() is None:
        return Cut()
    columns = way.memory.preferred_bytes() / (_STRIPES_PER_TILE * way.bytes_per_px())
    least = max(LEAST_ROWS, 4 * grid.step_px)
    if grid.halo_px is None or columns / grid.width >= least:
        return Cut(stripe_px=max(int(columns / grid.width), grid.step_px), bands=(grid.whole().columns,))
    width_px = int(columns / least) - 2 * grid.margin_px
    return Cut(stripe_px=least, bands=tuple(grid.columns(max(width_px, grid.margin_px, grid.step_px))))


def _asked_for(grid: Grid, way: ExecutionContext, tile: int) -> Cut:
    if tile == 0 or tile >= max(grid.height, grid.width):
        return Cut()
    if grid.halo_px is not None:
        return Cut(tile)
    if way.steps() is None:
        raise UsageError(f"--tile {tile}: {why_whole(way)}; leave it out")
    return Cut(stripe_px=tile, bands=(grid.whole().columns,))


def _fitting_side_px(grid: Grid, way: ExecutionContext, halo_px: int) -> int:
    wanted = grid.largest_side_px(way.memory.preferred_bytes() / way.bytes_per_px())
    possible = grid.largest_side_px(way.memory.free_bytes() / way.bytes_per_px()) or max(grid.height, grid.width)
    return max(wanted, min(_USEFUL_HALOS * halo_px, possible))


def no_memory(canvas: TileIO, grid: Grid, failed: Tile, way: ExecutionContext) -> ImageError:
    """The failure of a picture, with what would work if anything does."""
    height, width = canvas.pixels.shape[:2]
    what = f"not enough memory for {width}×{height} px"
    if grid.halo_px is None:
        return ImageError(f"{what}: {why_whole(way)}; make the picture smaller or try --device cpu")
    fitting_px = _side_that_would_fit_px(grid, failed, way)
    if fitting_px is None:
        return ImageError(f"{what}, not even in the smallest tiles; try --device cpu")
    how = "at once" if way.tile == 0 else f"in tiles of {way.tile} px"
    return ImageError(f"{what} {how}; --tile {fitting_px} would fit")


def _side_that_would_fit_px(grid: Grid, failed: Tile, way: ExecutionContext) -> int | None:
    """The side of tiles that the free memory holds; None where even the smallest see too much.

    An allocator may have less than it says: tiles that see half of what failed are better than such as see a bit less.
    """
    if not grid.smaller(failed):
        return None
    free_px = way.memory.free_bytes() / way.bytes_per_px()
    for promising_px in (failed.seen_px / 2, failed.seen_px - 1):
        seen_px = min(free_px, promising_px)
        side_px = min(grid.largest_side_px(seen_px), failed.side_px // 2)
        if grid.fits(side_px, seen_px):
            return side_px
    return None


def why_whole(way: ExecutionContext) -> str:
    """Why a network's pictures are not cut."""
    if way.model.network.training:
        return "this network keeps dropout and batch statistics, which belong to the whole picture"
    if way.tta:
        return "the mean over turns of this network is taken of whole pictures"
    return "every pixel of this network's result depends on the whole picture, so it is not computed in tiles"


Network = Callable[[Tensor], Tensor]


def self_ensemble(network: Network) -> Network:
    """A network whose result is the mean of its results over flips and turns, each turned back.

    Shapes: [N, C, H, W] → [N, C', scale·H, scale·W]. The order is fixed, so the sum is always the same.
    """

    def averaged(image: Tensor) -> Tensor:
        total: Tensor | None = None
        for way in range(8):
            made = _back(network(_there(image, way)), way)
            total = made.clone() if total is None else total.add_(made)
        assert total is not None
        return total.div_(8)

    return averaged


def _there(image: Tensor, way: int) -> Tensor:
    flipped = image.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if way & bit])
    return flipped.transpose(-1, -2) if way & 4 else flipped


def _back(made: Tensor, way: int) -> Tensor:
    turned = made.transpose(-1, -2) if way & 4 else made
    return turned.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if way & bit])
