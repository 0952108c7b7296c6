"""Photo → outline drawing with dabs of colour, the input of edges → shoes."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.data import transforms
from gantools.data.options.datasets import EdgeOptions, Fit
from gantools.images.image import Pixels

Places: TypeAlias = npt.NDArray[np.intp]


def outline(photo: Pixels, options: EdgeOptions) -> Pixels:
    """Black edges on white: gray, bilateral filter, Canny, inverted.

    Shapes: (H, W, 3) → (H, W, 3).
    """
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    smooth = cv2.bilateralFilter(
        gray, options.bilateral_px, options.bilateral_sigma_color, options.bilateral_sigma_space
    )
    edges = cv2.Canny(smooth, options.canny_low, options.canny_high)
    return np.asarray(cv2.cvtColor(cv2.bitwise_not(edges), cv2.COLOR_GRAY2RGB), np.uint8)


def outlined_pair(photo: Pixels, side_px: int, fit: Fit, options: EdgeOptions) -> tuple[Pixels, Pixels]:
    """A photo's outline and the photo, both as squares of ``side_px``."""
    small = transforms.square(photo, side_px, fit)
    if options.edges_at == "resized":
        return outline(small, options), small
    return transforms.square(outline(photo, options), side_px, fit), small


def colour_hints(drawing: Pixels, target: Pixels, rng: np.random.Generator, options: EdgeOptions) -> Pixels:
    """A copy of ``drawing`` with squares of the target's mean colour at random places of the target that are not white.

    Equal to painting square after square, later ones over earlier ones; squares are cut off at the border.
    Shapes: (H, W, 3), (H, W, 3) → (H, W, 3).
    """
    height_px, width_px = target.shape[:2]
    channel_sum = cv2.transform(target.astype(np.float32), np.ones((1, 3), np.float32))  # of bytes: exact in float32
    coloured = np.flatnonzero(channel_sum < np.float32(np.ceil((options.white_threshold + 3) * 127.5)))
    hints = options.max_hints if options.hints == "fixed" else rng.integers(options.min_hints, options.max_hints + 1)
    centres = coloured[rng.choice(len(coloured), min(len(coloured), int(hints)), replace=False)]
    # Pixel numbers [pixels, hints] of the squares around the centres, and which of them lie in the image.
    reach = np.arange(1 - options.hint_radius_px, options.hint_radius_px)[:, None]
    rows, columns = np.divmod(centres, width_px)
    y, x = rows + np.repeat(reach, len(reach), axis=0), columns + np.tile(reach, (len(reach), 1))
    places, inside = y * width_px + x, (y >= 0) & (y < height_px) & (x >= 0) & (x < width_px)
    inner = target.reshape(-1, 3)[np.where(inside, places, 0)] * inside[..., None].astype(np.int32)
    colours = np.rint(inner.sum(axis=0) / inside.sum(axis=0)[:, None]).astype(np.uint8)  # the mean of each square
    # One pixel more than the image has takes what falls outside. numpy assigns in order, so where squares overlap the
    # last one stays, as with one loop turn per square.
    painted = np.empty((height_px * width_px + 1, 3), np.uint8)
    painted[:-1] = drawing.reshape(-1, 3)
    painted[np.where(inside, places, -1).T] = colours[:, None]
    return painted[:-1].reshape(drawing.shape)
