"""Sample sheets: images side by side under column titles."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from gantools.images.image import Pixels

GAP_PX = 4
LABEL_PX = 18
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.4
_WHITE = 255
_READABLE_PX = 700
"""Titles of wider sheets grow, for those are looked at shrunk."""


def grid(rows: Sequence[Sequence[Pixels]], labels: Sequence[str] | None = None) -> Pixels:
    """Lay images out on white, one list per row, with a title over each column.

    Shapes: any uint8 [h, w, 3] → uint8 [H, W, 3]. Within a row smaller images are padded; columns stay aligned.
    """
    columns = max(len(row) for row in rows)
    widths = [max(row[column].shape[1] for row in rows if column < len(row)) for column in range(columns)]
    bands = [] if labels is None else [_titles(labels, widths)]
    bands += [_row(row, widths) for row in rows]
    return _padded(np.concatenate(bands), GAP_PX, GAP_PX)


def _row(tiles: Sequence[Pixels], widths: Sequence[int]) -> Pixels:
    height = max(tile.shape[0] for tile in tiles)
    blank = np.full((height, 1, 3), _WHITE, np.uint8)
    cells = [*tiles, *[blank] * (len(widths) - len(tiles))]
    sized = [_cell(cell, height, width) for cell, width in zip(cells, widths, strict=True)]
    return np.concatenate(sized, axis=1)


def _cell(tile: Pixels, height: int, width: int) -> Pixels:
    """One tile at the top left of its cell, with the gap above and to the left."""
    framed = _padded(tile, height - tile.shape[0], width - tile.shape[1])
    return np.pad(framed, ((GAP_PX, 0), (GAP_PX, 0), (0, 0)), constant_values=_WHITE)


def _padded(tile: Pixels, below: int, right: int) -> Pixels:
    return np.pad(tile, ((0, below), (0, right), (0, 0)), constant_values=_WHITE)


def _titles(labels: Sequence[str], widths: Sequence[int]) -> Pixels:
    """The titles, larger on wide sheets; each stays within its column."""
    lengths = [cv2.getTextSize(label, _FONT, _FONT_SCALE, 1)[0][0] for label in labels]
    room = [width / length for width, length in zip(widths, lengths, strict=True) if length]
    times = max(1.0, min([sum(widths) / _READABLE_PX, *room]))
    height, base, thick = round(times * LABEL_PX), round(times * (LABEL_PX - 6)), round(times)
    cells = [np.full((height, width + GAP_PX, 3), _WHITE, np.uint8) for width in widths]
    for cell, label in zip(cells, labels, strict=True):
        cv2.putText(cell, label, (GAP_PX, base), _FONT, times * _FONT_SCALE, (0, 0, 0), thick, cv2.LINE_AA)
    return np.concatenate(cells, axis=1)
