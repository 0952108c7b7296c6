"""How colourful one image looks, for restorations that turn gray into colour."""

from __future__ import annotations

import numpy as np

from gantools.images.image import Pixels


def colorfulness(picture: Pixels) -> float:
    """Colourfulness of one image: 0 for gray, about 45 for an average and above 80 for a vivid photo.

    Shapes: uint8 [H, W, 3]. Paper: Hasler & Süsstrunk, 2003.
    """
    red, green, blue = np.moveaxis(picture.astype(np.float64), -1, 0)
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    offset = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * offset)
