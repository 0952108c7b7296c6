"""Sample sheets: the same validation images every time, one row each."""

from __future__ import annotations

import time
from pathlib import Path

from torch import Tensor

from gantools.images import ranges
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.images.ops.grid import grid
from gantools.training.validation import Validation

SHOWN_IMAGES = 6
FIRST_SECONDS = 20.0
"""When the first sheet of a training is due, if its first ``preview_every_steps`` take longer."""
LARGEST_SHARE = 0.05
"""The share of the time that the sheets before those may take."""


class Previews:
    """Writes ``samples/NNNNNN.png``: what the recipe shows of a few fixed images (input | output | ground truth).

    Sheets are due every ``every_steps``; before the first of those also after some seconds, then after twice as long
    and so on, so that there is something to look at. They change nothing of the training, so that the clock may.
    """

    def __init__(self, validation: Validation, folder: Path, every_steps: int) -> None:
        self.validation, self.folder, self.every_steps = validation, folder, every_steps
        self._began, self._next_seconds = time.monotonic(), FIRST_SECONDS

    def are_due(self, step: int) -> bool:
        """Whether a sheet is due at the edge after ``step`` steps; each rank by its own clock, as only one draws."""
        return step % self.every_steps == 0 or (step < self.every_steps and self._seconds() >= self._next_seconds)

    def has(self, step: int) -> bool:
        """Whether the sheet of this step is there."""
        return self._path(step).exists()

    def write(self, step: int) -> Path | None:
        """Draw the sheet of this step; None when there are no validation images."""
        before = self._seconds()
        path = self._write(step)
        after = self._seconds()
        self._next_seconds = max(2 * before, after + (after - before) / LARGEST_SHARE)
        return path

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:06d}.png"

    def _write(self, step: int) -> Path | None:
        count = min(SHOWN_IMAGES, len(self.validation.data))
        if not count:
            return None
        with self.validation.at_rest():
            rows = [self.validation.apply(self.validation.recipe.preview, index) for index in range(count)]
        sheet = grid([[_tile(column) for column in row.values()] for row in rows], list(rows[0]))
        path = self._path(step)
        writer.write(Image(sheet), path)
        return path


def _tile(column: Tensor) -> Pixels:
    return ranges.from_tensor(column[0].float())
