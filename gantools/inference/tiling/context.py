"""What an image is computed with, and whether it goes through the network whole, in tiles or in row passes."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gantools.checkpoint.weights import DROPOUT_SEED
from gantools.errors import ImageError, UsageError
from gantools.inference.kernels.dense import in_small_parts
from gantools.inference.memory import Memory, bytes_per_px
from gantools.inference.model import Model
from gantools.inference.tiling.global_norms import RowNetwork, row_network
from gantools.inference.tiling.grid import Grid, Span, Tile
from gantools.inference.tiling.tile_io import TileIO
from gantools.models.generators.rrdb import RRDBNet

WASTEFUL_WORK = 1.15
"""Where the halos of tiles add more work than this, row passes are computed instead, which need none."""

LEAST_ROWS = 32
"""Passes over fewer rows cost more than they save; the image is cut into bands of columns instead."""

_LEAST_HALOS = 4
"""Tiles smaller than this many halos would mostly compute what others compute too."""

_ROW_PASS_BYTES = 2
"""Memory of a row pass per pixel, by that of a tile: the rows between passes are kept."""

_known_bytes: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, float]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class ExecutionContext:
    """A model, the arithmetic (None: float32) and the memory; ``tile`` and ``tta`` are those of the settings."""

    model: Model
    dtype: torch.dtype | None
    tile: int | None
    tta: bool
    memory: Memory

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return self.model.device

    @torch.inference_mode()
    def run(self, image: Tensor) -> Tensor:
        """Run the network. Shapes: [N, C, h, w] → [N, C', scale·h, scale·w], h and w as it asks for."""
        if not self.tta:
            return self._run_once(image)
        # The mean over the eight flips and rotations, each turned back; always summed in the same order.
        total: Tensor | None = None
        for variant in range(8):
            axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if variant & bit]
            turned = image.flip(axes).transpose(-1, -2) if variant & 4 else image.flip(axes)
            output = self._run_once(turned)
            output = (output.transpose(-1, -2) if variant & 4 else output).flip(axes)
            total = output if total is None else total.add_(output)
        assert total is not None
        return total.div_(8)

    def _run_once(self, image: Tensor) -> Tensor:
        """Networks that keep dropout draw the same numbers for every image, whatever was computed before."""
        devices, training = [image.device] if image.device.type == "cuda" else [], self.model.network.training
        with torch.random.fork_rng(devices, enabled=training):
            if training:
                torch.manual_seed(DROPOUT_SEED)
            return self.model.variants(image, self.dtype)

    def row_network(self) -> RowNetwork | None:
        """The network for row passes; None where it has to be run on whole images or on tiles."""
        if self.model.assumed_bytes_per_px is not None:
            return None  # another program computes it
        return None if self.tta else row_network(self.model, self.dtype)

    def activation_bytes(self, px: int) -> int:
        """Memory of the network's activations for so many input pixels; 0 for so few that it does not matter."""
        return 0 if px <= self.memory.unchecked_px else int(px * self.activation_bytes_per_px())

    def activation_bytes_per_px(self) -> float:
        """Memory of the network's activations per input pixel; measured at first use."""
        known = _known_bytes.setdefault(self.model.network, {})
        if (assumed := self.model.assumed_bytes_per_px) is not None:
            return assumed
        if self.dtype not in known:
            network = self.model.generator
            side_px = -(-max(16, network.minimum_size_px) // network.size_multiple) * network.size_multiple
            variant = self.model.variants.variant(self.dtype)
            channels = self.model.options.in_channels
            with in_small_parts(variant):
                known[self.dtype] = bytes_per_px(lambda image: variant(image).float(), channels, side_px, self.device)
        return known[self.dtype]


@dataclass(frozen=True)
class Tiling:
    """How an image is cut: into tiles of ``tile_px``, or bands of columns in passes of ``rows_px`` rows; else whole."""

    tile_px: int = 0
    rows_px: int = 0
    bands: tuple[Span, ...] = ()


def choose_tiling(grid: Grid, context: ExecutionContext) -> Tiling:
    """Whole where it fits the memory, else in tiles, else in row passes. Raises UsageError for an impossible --tile."""
    tile = context.tile
    if tile is not None:
        if tile == 0 or tile >= max(grid.height, grid.width):
            return Tiling()
        if grid.can_tile:
            return Tiling(tile)
        if context.row_network() is None:
            raise UsageError(f"--tile {tile}: {why_whole(context)}; leave it out")
        return Tiling(rows_px=tile, bands=(grid.whole().columns,))
    if context.activation_bytes(grid.height * grid.width) <= _whole_bytes(context):
        return Tiling()
    if not grid.can_tile:
        return choose_row_passes(grid, context)
    px = context.memory.preferred_bytes() / context.activation_bytes_per_px()
    possible_px = context.memory.free_bytes() / context.activation_bytes_per_px()
    largest_px = grid.largest_side_px(possible_px) or max(grid.height, grid.width)
    tile_px = max(grid.largest_side_px(px), min(_LEAST_HALOS * grid.halo_px, largest_px))
    work = grid.work(grid.tiles(tile_px))
    if work > WASTEFUL_WORK:
        passes, rows = choose_row_passes(grid, context), grid.whole().rows
        if passes.bands and grid.work([Tile(rows, band) for band in passes.bands]) < work:
            return passes
    return Tiling(tile_px)


def _whole_bytes(context: ExecutionContext) -> int:
    """What a whole image may take; more where parts of it take half as long again (``kernels.dense``)."""
    preferred = context.memory.preferred_bytes()
    quicker = context.device.type == "cpu" and isinstance(context.model.network, RRDBNet)
    return max(preferred, context.memory.free_bytes() // 4) if quicker else preferred


def choose_row_passes(grid: Grid, context: ExecutionContext) -> Tiling:
    """As many rows at a time as the memory allows, in bands where those would be too few; whole if there is no way."""
    if context.row_network() is None:
        return Tiling()
    px = context.memory.preferred_bytes() / (_ROW_PASS_BYTES * context.activation_bytes_per_px())
    least = max(LEAST_ROWS, 4 * grid.step_px)
    if not grid.can_tile or px / grid.width >= least:
        return Tiling(rows_px=max(int(px / grid.width), grid.step_px), bands=(grid.whole().columns,))
    width_px, whole = int(px / least) - 2 * grid.halo_px, grid.whole()
    bands = tuple(grid.columns(max(width_px, grid.halo_px, grid.step_px)))
    if grid.work([Tile(whole.rows, band) for band in bands]) > WASTEFUL_WORK and _rows_fit(grid.width, least, context):
        bands = (whole.columns,)
    return Tiling(rows_px=least, bands=bands)


def _rows_fit(width_px: int, rows_px: int, context: ExecutionContext) -> bool:
    """Whether so many rows of the whole width fit the memory, with those that the steps keep between passes."""
    network = context.row_network()
    assert network is not None
    steps = network.steps
    seen = ((steps[given], step.halo) for step in steps for given in step.inputs[:1])
    kept = sum(given.channels * given.ratio * (halo.before + halo.after + 1) for given, halo in seen)
    taken = width_px * (4 * float(kept) + _ROW_PASS_BYTES * rows_px * context.activation_bytes_per_px())
    return taken <= context.memory.free_bytes()


def out_of_memory(io: TileIO, failed: Tile, context: ExecutionContext) -> ImageError:
    """The error for an image that does not fit, with the --tile that would fit if there is one."""
    height, width = io.pixels.shape[:2]
    what = f"not enough memory for {width}×{height} px"
    if not io.grid.can_tile:
        return ImageError(f"{what}: {why_whole(context)}; make the image smaller or try --device cpu")
    fitting_px = _fitting_side_px(io.grid, failed, context)
    if fitting_px is None:
        return ImageError(f"{what}, not even in the smallest tiles; try --device cpu")
    how = "at once" if context.tile == 0 else f"in tiles of {context.tile} px"
    return ImageError(f"{what} {how}; --tile {fitting_px} would fit")


def _fitting_side_px(grid: Grid, failed: Tile, context: ExecutionContext) -> int | None:
    """The side of tiles that fit the free memory; None where even the smallest do not.

    An allocator may have less than it says: tiles of half of what failed are better than some that are a bit smaller.
    """
    if not grid.halves(failed):
        return None
    free_px = context.memory.free_bytes() / context.activation_bytes_per_px()
    for promising_px in (failed.input_px / 2, failed.input_px - 1):
        input_px = min(free_px, promising_px)
        side_px = min(grid.largest_side_px(input_px), failed.side_px // 2)
        if grid.fits(side_px, input_px):
            return side_px
    return None


def why_whole(context: ExecutionContext) -> str:
    """Why a network's images are not cut."""
    if context.model.network.training:
        return "this network keeps dropout and batch statistics, which belong to the whole image"
    if context.tta:
        return "averaging over flips and rotations (--tta) takes whole images with this network"
    return "every output pixel of this network depends on the whole image, so it is not computed in tiles"
