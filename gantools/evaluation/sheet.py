"""The first measured pictures beside each other: candidates and truth, their middles."""

from __future__ import annotations

from dataclasses import dataclass, field

from gantools.data import transforms
from gantools.errors import DataError
from gantools.evaluation.example import Example
from gantools.images.image import Pixels
from gantools.images.ops.grid import grid

SIDE_PX = 160
"""Side of the middles on a sheet."""

ROWS = 6


@dataclass
class Sheet:
    """Keeps the middles of the first examples, and nothing of the others."""

    rows: list[list[Pixels]] = field(default_factory=list)
    titles: tuple[str, ...] = ()

    def add(self, example: Example) -> None:
        """Take an example's pictures, while there is room."""
        if len(self.rows) < ROWS:
            self.titles = (*example.candidates, "truth")
            self.rows.append([_middle(pixels) for pixels in (*example.candidates.values(), example.truth)])

    def drawn(self) -> Pixels:
        """The sheet. Raises DataError when no picture could be measured."""
        if not self.rows:
            raise DataError("--sheet: no picture could be measured, so there is nothing to show")
        return grid(self.rows, self.titles)


def _middle(pixels: Pixels) -> Pixels:
    height, width = (min(side, SIDE_PX) for side in pixels.shape[:2])
    return transforms.centre(pixels, height, width)
