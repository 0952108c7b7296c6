"""How a picture is cut: parts that are made, each with the context that the network needs to make it. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A stretch of one axis: ``start`` to ``stop`` is made from what lies between ``first`` and ``last``."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in input pixels."""

    rows: Span
    columns: Span

    @property
    def side_px(self) -> int:
        """The longer side of what is made."""
        return max(self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)

    @property
    def seen_px(self) -> int:
        """How many pixels the network sees."""
        return (self.rows.last - self.rows.first) * (self.columns.last - self.columns.first)


@dataclass(frozen=True)
class Grid:
    """A padded picture that is cut at multiples of ``step_px``; at its own borders tiles have no context.

    There the network pads as it does for the whole picture, so that a tile's result is that of the whole.
    ``halo_px`` None: the picture cannot be cut.
    """

    height: int
    width: int
    step_px: int
    halo_px: int | None

    @property
    def margin_px(self) -> int:
        """The context, whole steps of it, so that what the network sees starts on its grid."""
        return -(-(self.halo_px or 0) // self.step_px) * self.step_px

    def whole(self) -> Tile:
        """The picture in one piece."""
        return Tile(Span(0, self.height, 0, self.height), Span(0, self.width, 0, self.width))

    def tiles(self, side_px: int) -> list[Tile]:
        """Tiles of about the same size, no side longer than ``side_px`` or one step; 0: the picture in one piece."""
        if side_px == 0 or self.halo_px is None:
            return [self.whole()]
        columns = self.columns(side_px)
        return [Tile(rows, span) for rows in self._spans(0, self.height, self.height, side_px) for span in columns]

    def columns(self, side_px: int) -> list[Span]:
        """Bands from top to bottom, no wider than ``side_px`` or one step."""
        return list(self._spans(0, self.width, self.width, side_px))

    def work(self, tiles: Sequence[Tile]) -> float:
        """Pixels that the network sees of the tiles, per pixel of the picture."""
        return sum(tile.seen_px for tile in tiles) / (self.height * self.width)

    def smaller(self, tile: Tile) -> list[Tile]:
        """A tile in parts of half its longer side; no parts where it is one step."""
        side_px = self._steps(tile.side_px // 2)
        if self.halo_px is None or tile.side_px <= self.step_px:
            return []
        rows = self._spans(tile.rows.start, tile.rows.stop, self.height, side_px)
        columns = list(self._spans(tile.columns.start, tile.columns.stop, self.width, side_px))
        return [Tile(span, other) for span in rows for other in columns]

    def largest_side_px(self, seen_px: float) -> int:
        """The longest side of tiles that see at most ``seen_px`` pixels, at least one step; 0: the whole picture."""
        if self.halo_px is None or self.height * self.width <= seen_px:
            return 0
        low, high = 1, -(-max(self.height, self.width) // self.step_px)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._seen_px(middle * self.step_px) <= seen_px else (low, middle - 1)
        return low * self.step_px

    def fits(self, side_px: int, seen_px: float) -> bool:
        """Whether tiles of this side see at most ``seen_px`` pixels."""
        return self._seen_px(self._steps(side_px)) <= seen_px

    def _seen_px(self, side_px: int) -> int:
        side_px += 2 * self.margin_px
        return min(side_px, self.height) * min(side_px, self.width)

    def _steps(self, side_px: int) -> int:
        return max(1, side_px // self.step_px) * self.step_px

    def _spans(self, start: int, stop: int, length: int, side_px: int) -> Iterator[Span]:
        count = math.ceil((stop - start) / self._steps(side_px))
        even = math.ceil((stop - start) / count / self.step_px) * self.step_px
        for left in range(start, stop, even):
            right = min(left + even, stop)
            yield Span(left, right, max(0, left - self.margin_px), min(length, right + self.margin_px))
