"""Gray and brightness. No torch."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gantools.images.image import Pixels

_BAND_ROWS = 256


def luma(rgb: Pixels) -> npt.NDArray[np.float64]:
    """Return Y of ITU-R BT.601 in studio range, the channel of the ``_y`` metrics.

    Shapes: uint8 [H, W, 3] → float64 [H, W]. Range: 16 (black) to 235 (white), not rounded.
    """
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.asarray(rgb.astype(np.float64) @ weights + 16.0)


def gray(rgb: Pixels) -> Pixels:
    """One channel as the eye weights three (ITU-R BT.601), exact for equal ones. Shapes: [H, W, 3] → [H, W]."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


def gray_to_rgb(gray: Pixels) -> Pixels:
    """One channel three times. Shapes: [H, W] → [H, W, 3]."""
    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))


def as_rgb(pixels: Pixels) -> Pixels:
    """Three channels of one or three. Shapes: [H, W, 1 or 3] → [H, W, 3]."""
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def with_luminance(colours: Pixels, image: Pixels) -> Pixels:
    """``image`` in the colours of another: its luminance (BT.601) and their differences from their own.

    As DeOldify (Antic 2019) combines them. Shapes: [H, W, 3], [H, W, 3] → [H, W, 3] of the same dtype; what lies
    outside of its range is clipped.
    """
    made = np.empty_like(image)
    for row in range(0, len(image), _BAND_ROWS):
        band = slice(row, row + _BAND_ROWS)
        difference = gray(image[band]).astype(np.float32) - gray(colours[band]).astype(np.float32)
        shifted = colours[band].astype(np.float32) + difference[..., None]
        made[band] = np.rint(shifted.clip(0, np.iinfo(image.dtype).max))
    return made
