"""Sample sheets: the same validation pictures every time, one row each."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from gantools.images import ranges, writer
from gantools.images.grid import grid
from gantools.images.picture import Picture, Pixels
from gantools.training.validation import Validation

PICTURES = 6


class Previews:
    """Writes ``samples/NNNNNN.png``: what the recipe shows of a few fixed pictures (input | output | truth)."""

    def __init__(self, validation: Validation, folder: Path) -> None:
        self.validation, self.folder = validation, folder

    def write(self, step: int) -> Path | None:
        """Draw the sheet of this step; None when there are no validation pictures."""
        count = min(PICTURES, len(self.validation.data))
        if not count:
            return None
        with self.validation.at_rest():
            rows = [self.validation.apply(self.validation.recipe.preview, index) for index in range(count)]
        sheet = grid([[_tile(column) for column in row.values()] for row in rows], list(rows[0]))
        path = self.folder / f"{step:06d}.png"
        writer.write(Picture(sheet), path)
        return path


def _tile(column: Tensor) -> Pixels:
    return ranges.from_tensor(column[0].float())
