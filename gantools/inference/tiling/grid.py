"""How an image is cut into tiles that overlap by the network's halo. No torch.

Everything about overlap is here: :attr:`Grid.halo_px` is what tiles are read with, and what their size is chosen by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A stretch of one axis in px: ``start`` to ``stop`` is computed from ``first`` to ``last``, the halo included."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tile:
    """A part of an image, in input pixels."""

    rows: Span
    columns: Span

    @property
    def side_px(self) -> int:
        """The longer side without halo."""
        return max(self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)

    @property
    def input_px(self) -> int:
        """How many pixels the network is given, halo included."""
        return (self.rows.last - self.rows.first) * (self.columns.last - self.columns.first)


@dataclass(frozen=True)
class Grid:
    """A padded image that is cut at multiples of ``step_px``.

    Tiles have no halo at the borders of the image: there the network pads as it does for the whole image, so that a
    tile's result equals that of the whole. ``network_halo_px`` is what the network declares (``models.contract``);
    None: the image cannot be cut.
    """

    height: int
    width: int
    step_px: int
    network_halo_px: int | None

    @property
    def halo_px(self) -> int:
        """How far tiles overlap: the network's halo in whole steps, so that a tile's input starts on the grid."""
        return -(-(self.network_halo_px or 0) // self.step_px) * self.step_px

    @property
    def can_tile(self) -> bool:
        """Whether tiles give the result of the whole image."""
        return self.network_halo_px is not None

    def whole(self) -> Tile:
        """The image in one piece."""
        return Tile(Span(0, self.height, 0, self.height), Span(0, self.width, 0, self.width))

    def tiles(self, side_px: int) -> list[Tile]:
        """Tiles of equal size, no side longer than ``side_px`` or one step; 0: the image in one piece."""
        if side_px == 0 or not self.can_tile:
            return [self.whole()]
        columns = self.columns(side_px)
        return [Tile(rows, span) for rows in self._spans(0, self.height, self.height, side_px) for span in columns]

    def columns(self, side_px: int) -> list[Span]:
        """Bands from top to bottom, no wider than ``side_px`` or one step."""
        return list(self._spans(0, self.width, self.width, side_px))

    def halves(self, tile: Tile) -> list[Tile]:
        """A tile in parts of half its longer side; none where it cannot be cut further."""
        if not self.can_tile or tile.side_px <= self.step_px:
            return []
        side_px = self._in_steps(tile.side_px // 2)
        rows = self._spans(tile.rows.start, tile.rows.stop, self.height, side_px)
        columns = list(self._spans(tile.columns.start, tile.columns.stop, self.width, side_px))
        return [Tile(span, other) for span in rows for other in columns]

    def work(self, tiles: Sequence[Tile]) -> float:
        """Pixels that the network computes for the tiles, per pixel of the image."""
        return sum(tile.input_px for tile in tiles) / (self.height * self.width)

    def largest_side_px(self, input_px: float) -> int:
        """The longest side of tiles of at most ``input_px`` pixels, at least one step; 0: the whole image."""
        if not self.can_tile or self.height * self.width <= input_px:
            return 0
        low, high = 1, -(-max(self.height, self.width) // self.step_px)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._input_px(middle * self.step_px) <= input_px else (low, middle - 1)
        return low * self.step_px

    def fits(self, side_px: int, input_px: float) -> bool:
        """Whether tiles of this side have at most ``input_px`` pixels."""
        return self._input_px(self._in_steps(side_px)) <= input_px

    def _input_px(self, side_px: int) -> int:
        side_px += 2 * self.halo_px
        return min(side_px, self.height) * min(side_px, self.width)

    def _in_steps(self, side_px: int) -> int:
        return max(1, side_px // self.step_px) * self.step_px

    def _spans(self, start: int, stop: int, length: int, side_px: int) -> Iterator[Span]:
        count = math.ceil((stop - start) / self._in_steps(side_px))
        even = math.ceil((stop - start) / count / self.step_px) * self.step_px
        for left in range(start, stop, even):
            right = min(left + even, stop)
            yield Span(left, right, max(0, left - self.halo_px), min(length, right + self.halo_px))
