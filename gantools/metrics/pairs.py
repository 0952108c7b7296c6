"""What every comparison of two images checks and cuts first."""

from __future__ import annotations

import numpy as np

from gantools.errors import ImageError
from gantools.images.image import Pixels


def cut_borders(a: Pixels, b: Pixels, border_px: int, smallest_px: int = 1) -> tuple[Pixels, Pixels]:
    """Check that two images can be compared and cut ``border_px`` off every side of both.

    Shapes: uint8 [H, W, 3], equal. Raises ImageError when sizes differ or less than ``smallest_px`` a side remains.
    """
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"metrics compare uint8 images, not {a.dtype} with {b.dtype}")
    if a.shape != b.shape:
        raise ImageError(f"images of {_size(a)} and {_size(b)} cannot be compared; give both the same size")
    height, width = a.shape[:2]
    if min(height, width) < 2 * border_px + smallest_px:
        raise ImageError(f"an image of {_size(a)} is too small to be measured with a border of {border_px} px")
    inner = np.s_[border_px : height - border_px, border_px : width - border_px]
    return a[inner], b[inner]


def _size(picture: Pixels) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"
