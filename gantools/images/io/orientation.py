"""EXIF orientation: how the stored rows and columns must be turned to stand upright."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gantools.images.image import Pixels

TAG = 0x0112

_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.rot90(pixels, 2), 0, 1),
    8: np.rot90,
}


def upright(pixels: Pixels, orientation: object) -> Pixels:
    """Turn stored samples [H, W, ...] upright; 1 and values that EXIF does not define change nothing."""
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def swaps_sides(orientation: object) -> bool:
    """Whether width and height change places."""
    return orientation in (5, 6, 7, 8)
