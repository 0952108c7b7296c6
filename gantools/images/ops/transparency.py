"""Colours of pixels that nobody sees: what a network that looks at neighbours must not find there."""

from __future__ import annotations

import cv2
import numpy as np

from gantools.images.image import Image, Pixels

BAND_ROWS, _BESIDE_ROWS = 256, 128
"""Rows that are filled at once, and how far beyond them a visible pixel is looked for: some 40 bytes a pixel."""


def spread(image: Image) -> Pixels:
    """The colours, with that of the nearest visible pixel where alpha is 0. Shapes: [H, W, 3].

    Rows that are far from everything visible get the mean of what is. Of an image without such pixels, or without any
    other, its own colours and no copy.
    """
    alpha = image.alpha
    if alpha is None or alpha.all() or not alpha.any():
        return image.pixels
    filled = image.pixels.copy()
    for top in range(0, image.height, BAND_ROWS):
        first, last = max(0, top - _BESIDE_ROWS), top + BAND_ROWS + _BESIDE_ROWS
        band = slice(top, top + BAND_ROWS)
        near, hidden = _nearest(alpha[first:last]), alpha[band] == 0
        if near is None:
            filled[band] = cv2.mean(image.pixels, (alpha != 0).astype(np.uint8))[:3]
        else:
            inside = near[top - first :][: len(hidden)]
            filled[band][hidden] = image.pixels[first:last].reshape(-1, 3)[inside[hidden]]
    return filled


def restore(pixels: Pixels, given: Image) -> None:
    """Give pixels whose alpha is 0 the colours that they had, in place. Shapes: [H, W, 3], as ``given``."""
    if given.alpha is not None:
        for top in range(0, given.height, BAND_ROWS):
            band = slice(top, top + BAND_ROWS)
            np.copyto(pixels[band], given.pixels[band], where=(given.alpha[band] == 0)[..., None])


def _nearest(alpha: Pixels) -> Pixels | None:
    """The place of the nearest visible pixel, counted row by row; None where there is none. Shapes: [H, W] → [H, W]."""
    hidden = (alpha == 0).astype(np.uint8)
    if hidden.all():
        return None
    _, labels = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(int(labels.max()) + 1, np.int32)
    visible = np.flatnonzero(hidden == 0)
    places[labels.reshape(-1)[visible]] = visible
    return np.asarray(places[labels])
