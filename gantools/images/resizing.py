"""Images at another size and back: areas averaged when shrinking, bicubic when enlarging."""

from __future__ import annotations

import cv2
import numpy as np

from gantools.images.picture import Pixels

MOST_OBLONG = 32
"""Images are not enlarged to sides of more than this times the wanted short side: strips stay within reason."""

_BAND_ROWS = 256


def size_at(height: int, width: int, short_side_px: int) -> tuple[int, int]:
    """Height and width of an image whose short side is brought to ``short_side_px``, in its proportions."""
    factor = short_side_px / min(height, width)
    if factor > 1:
        factor = max(1.0, min(factor, MOST_OBLONG * short_side_px / max(height, width)))
    return max(1, round(height * factor)), max(1, round(width * factor))


def resized(pixels: Pixels, size: tuple[int, int], *, darkest: bool = False) -> Pixels:
    """An image of ``size`` (height, width). Shapes: uint8 or uint16 [H, W, 3] → [h, w, 3] of the same dtype.

    ``darkest`` shrinks to the darkest of the pixels that become one instead of their mean: a line stays a line.
    """
    if pixels.shape[:2] == size:
        return pixels
    shrinks = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    if darkest and shrinks and (side_px := round(min(pixels.shape[:2]) / min(size))) > 1:
        pixels = np.asarray(cv2.erode(pixels, np.ones((side_px, side_px), np.uint8)))
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=method))


def with_luminance(colours: Pixels, image: Pixels) -> Pixels:
    """``image`` in the colours of another: its luminance (Rec. 601) and their differences from their own.

    As DeOldify (Antic 2019) combines them. Shapes: [H, W, 3], [H, W, 3] → [H, W, 3] of the same dtype; what lies
    outside of its range is clipped.
    """
    made = np.empty_like(image)
    for row in range(0, len(image), _BAND_ROWS):
        band = slice(row, row + _BAND_ROWS)
        shifted = colours[band].astype(np.float32) + (_luminance(image[band]) - _luminance(colours[band]))
        made[band] = np.rint(shifted.clip(0, np.iinfo(image.dtype).max))
    return made


def without_colours(pixels: Pixels) -> Pixels:
    """The luminance (Rec. 601) in all three channels. Shapes: [H, W, 3] → [H, W, 3] of the same dtype."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def _luminance(pixels: Pixels) -> Pixels:
    """Shapes: [H, W, 3] → float32 [H, W, 1]."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
