"""Large photo → small photo, by the bicubic down-scaling that super-resolution is measured with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gantools.data import transforms
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.ops import resize

# Bicubic down-scaling reads two small pixels beyond its own; a margin of four keeps a crop free of border effects.
MARGIN_LOW_PX = 4


def whole_pair(photo: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """The whole photo, its middle cut to a multiple of ``scale``, and its small version.

    Shapes: (H, W, 3) → low (H // scale, W // scale, 3), high (H // scale * scale, …, 3).
    """
    height, width = (side // scale * scale for side in photo.shape[:2])
    high = transforms.centre(photo, height, width)
    return resize.resize_bicubic(high, scale=1 / scale), high


def shrunk(photo: Pixels, scale: int) -> Pixels:
    """The small version alone. Raises ImageError for a photo that has no whole small pixel."""
    if min(photo.shape[:2]) < scale:
        raise ImageError(f"is {photo.shape[1]}x{photo.shape[0]}, too small to be shrunk {scale} times")
    return whole_pair(photo, scale)[0]


def crop_pair(
    photo: Pixels,
    scale: int,
    crop_px: int,
    rng: np.random.Generator,
    shrink: Callable[[Pixels], Pixels] | None = None,
) -> tuple[Pixels, Pixels]:
    """A random crop and its small version: exactly that part of the small version of the whole photo.

    The photo is mirrored at its edge where it is smaller than the crop. ``shrink`` makes small versions in another way.
    Shapes: (H, W, 3) → low (crop_px // scale, crop_px // scale, 3), high (crop_px, crop_px, 3).
    """
    photo = transforms.at_least(photo, crop_px)
    height, width = (side // scale * scale for side in photo.shape[:2])
    whole = photo[:height, :width]
    window, rows, columns = transforms.random_window(whole, crop_px, MARGIN_LOW_PX * scale, rng, step_px=scale)
    low = shrink(window) if shrink else resize.resize_bicubic(window, scale=1 / scale)
    small = (slice(part.start // scale, part.stop // scale) for part in (rows, columns))
    return low[tuple(small)], window[rows, columns]


def finer(photo: Pixels, factors: Sequence[float], side_px: int, margin_px: int, rng: np.random.Generator) -> Pixels:
    """The photo, shrunk by one of the ``factors`` that leave its shorter side at least ``side_px``: sharper edges.

    Of a photo that is shrunk only a random part of about ``side_px`` with ``margin_px`` more is returned.
    """
    fitting = [factor for factor in factors if min(photo.shape[:2]) * factor >= side_px]
    factor = float(rng.choice(fitting or [1.0]))
    return photo if factor == 1 else shrunk_region(photo, factor, side_px + margin_px, rng)


def shrunk_region(photo: Pixels, factor: float, side_px: int, rng: np.random.Generator) -> Pixels:
    """A random part of the photo, shrunk by ``factor`` to about ``side_px``."""
    height, width = (min(side, int(np.ceil(side_px / factor))) for side in photo.shape[:2])
    top, left = int(rng.integers(photo.shape[0] - height + 1)), int(rng.integers(photo.shape[1] - width + 1))
    return resize.resize_bicubic(photo[top : top + height, left : left + width], scale=factor)
