"""Whole, in tiles or in stripes: what a picture's way through a network is to be, by the memory and the work."""

from __future__ import annotations

from dataclasses import dataclass

from gantools.errors import ImageError, UsageError
from gantools.inference.canvas import Canvas
from gantools.inference.tiles import Grid, Span, Tile
from gantools.inference.way import Way

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


def choose(grid: Grid, way: Way) -> Cut:
    """How a picture is cut. Raises UsageError where it was asked for and cannot be."""
    if way.tile is not None:
        return _asked_for(grid, way, way.tile)
    if way.bytes_of(grid.height * grid.width) <= way.memory.comfortable_bytes():
        return Cut()
    if grid.halo_px is None:
        return stripes(grid, way)
    side_px = _fitting_side_px(grid, way, grid.halo_px)
    work = grid.work(grid.tiles(side_px))
    other = stripes(grid, way) if work > WASTEFUL_WORK else Cut()
    rows = grid.whole().rows
    return other if other.bands and grid.work([Tile(rows, band) for band in other.bands]) < work else Cut(side_px)


def stripes(grid: Grid, way: Way) -> Cut:
    """Stripes as high as is comfortable; where they would be too low, of bands of the picture."""
    if way.steps() is None:
        return Cut()
    columns = way.memory.comfortable_bytes() / (_STRIPES_PER_TILE * way.bytes_per_px())
    least = max(LEAST_ROWS, 4 * grid.step_px)
    if grid.halo_px is None or columns / grid.width >= least:
        return Cut(stripe_px=max(int(columns / grid.width), grid.step_px), bands=(grid.whole().columns,))
    width_px = int(columns / least) - 2 * grid.margin_px
    return Cut(stripe_px=least, bands=tuple(grid.columns(max(width_px, grid.margin_px, grid.step_px))))


def _asked_for(grid: Grid, way: Way, tile: int) -> Cut:
    if tile == 0 or tile >= max(grid.height, grid.width):
        return Cut()
    if grid.halo_px is not None:
        return Cut(tile)
    if way.steps() is None:
        raise UsageError(f"--tile {tile}: {why_whole(way)}; leave it out")
    return Cut(stripe_px=tile, bands=(grid.whole().columns,))


def _fitting_side_px(grid: Grid, way: Way, halo_px: int) -> int:
    wanted = grid.largest_side_px(way.memory.comfortable_bytes() / way.bytes_per_px())
    possible = grid.largest_side_px(way.memory.free_bytes() / way.bytes_per_px()) or max(grid.height, grid.width)
    return max(wanted, min(_USEFUL_HALOS * halo_px, possible))


def no_memory(canvas: Canvas, grid: Grid, failed: Tile, way: Way) -> ImageError:
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


def _side_that_would_fit_px(grid: Grid, failed: Tile, way: Way) -> int | None:
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


def why_whole(way: Way) -> str:
    """Why a network's pictures are not cut."""
    if way.model.network.training:
        return "this network keeps dropout and batch statistics, which belong to the whole picture"
    if way.tta:
        return "the mean over turns of this network is taken of whole pictures"
    return "every pixel of this network's result depends on the whole picture, so it is not computed in tiles"
