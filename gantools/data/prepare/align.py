"""A photo of a face becomes the upright square that FFHQ has: by eyes and mouth, and beyond the photo's edge made up.

Points are (x, y) in pixels; whole numbers are the middles of pixels, as detectors have them. Method and numbers: Karras
et al. 2019, arXiv 1812.04948, appendix A, and the script of their data set, NVlabs/ffhq-dataset. *Differs*: a photo is
cropped before it is shrunk, which takes less memory, and its points move by the ratio that it really shrinks by.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL.Image import Resampling, Transform

from gantools.errors import ImageError
from gantools.images.image import Pixels

Points: TypeAlias = npt.NDArray[np.float64]
Pad: TypeAlias = Literal["blur", "none"]

TRANSFORMED_PX = 4096
"""Side at which FFHQ takes a face out of its photo, to shrink it afterwards."""

OVERSAMPLING = 4
LARGEST_CROP = 4.0
"""Sides of a photo that a crop may have: beyond that its points belong to another photo."""


def four_points(points: npt.NDArray[Any]) -> Points:
    """Middles of the eyes and corners of the mouth, each in the order of the image from left to right on a face.

    Shapes: [5, 2] (eye, eye, nose, corner, corner) or [68, 2] (as dlib has them) → [4, 2].
    """
    if len(points) == 5:
        return np.asarray(points[[0, 1, 3, 4]], np.float64)
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[48], points[54]]).astype(np.float64)


def corners(points: Points) -> Points:
    """The square that is cut out: top left, bottom left, bottom right and top right as the face has them.

    Shapes: [4, 2] → [4, 2]. Raises ImageError for points that no face has.
    """
    eye_left, eye_right, mouth_left, mouth_right = points
    eyes, eye_to_eye = (eye_left + eye_right) / 2, eye_right - eye_left
    eyes_to_mouth = (mouth_left + mouth_right) / 2 - eyes
    across = _turned(eyes_to_mouth)
    if not eye_to_eye @ across > 0:
        raise ImageError("these are no points of a face: one eye is on the other's side, or all are one point")
    half = eye_to_eye + across
    half *= max(2.0 * math.hypot(*eye_to_eye), 1.8 * math.hypot(*eyes_to_mouth)) / math.hypot(*half)
    down, centre = -_turned(half), eyes + 0.1 * eyes_to_mouth
    return np.stack([centre - half - down, centre - half + down, centre + half + down, centre + half - down])


def _turned(vector: Points) -> Points:
    """The vector turned by a quarter against the clock, as one sees it in an image."""
    return np.array([vector[1], -vector[0]])


def side_px(square: Points) -> float:
    """Side of a square that ``corners`` found."""
    return float(math.dist(square[0], square[3]))


def aligned(photo: Pixels, square: Points, size_px: int, pad: Pad = "blur") -> Pixels:
    """Cut ``square`` out of a photo. ``pad``: what lies beyond the photo is mirrored and blurred, or black.

    Shapes: uint8 [H, W, 3] and [4, 2] → uint8 [size_px, size_px, 3]. Raises ImageError for a square elsewhere.
    """
    height, width = photo.shape[:2]
    x, y = square.mean(0)
    if not (0 <= x < width and 0 <= y < height and side_px(square) <= LARGEST_CROP * max(height, width)):
        raise ImageError(f"the points of the face do not belong to this image of {width}×{height}: it would be a crop "
                         f"of {side_px(square):.0f} px around ({x:.0f}, {y:.0f})")  # fmt: skip
    part, inside = _shrunk(*_cropped(photo, square + 0.5), size_px)
    if pad == "blur":
        part, inside = _padded(part, inside)
    large_px = max(size_px, min(OVERSAMPLING * size_px, TRANSFORMED_PX))
    large = PillowImage.fromarray(part).transform(
        (large_px, large_px), Transform.QUAD, tuple(inside.flatten()), Resampling.BILINEAR
    )
    return np.asarray(large.resize((size_px, size_px), Resampling.LANCZOS))


def centred(photo: Pixels, size_px: int) -> Pixels:
    """The largest square in the middle of an image, resized. Shapes: uint8 [H, W, 3] → [size_px, size_px, 3]."""
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(PillowImage.fromarray(photo).resize((size_px, size_px), Resampling.LANCZOS, box))


def _border(square: Points) -> int:
    """Width of what is kept around a square."""
    return max(round(0.1 * side_px(square)), 3)


def _cropped(photo: Pixels, square: Points) -> tuple[Pixels, Points]:
    """The part of a photo around a square, and the square in it. From here on whole numbers are edges of pixels."""
    border, (height, width) = _border(square), photo.shape[:2]
    left, top = (max(0, int(low) - border) for low in np.floor(square.min(0)))
    right, bottom = (int(high) + border for high in np.ceil(square.max(0)))
    return photo[top : min(bottom, height), left : min(right, width)], square - np.array([left, top])


def _shrunk(part: Pixels, square: Points, size_px: int) -> tuple[Pixels, Points]:
    """A large part is shrunk by a whole number, to two to four times the result's size."""
    factor = int(side_px(square) / size_px / 2)
    if factor <= 1:
        return part, square
    height, width = part.shape[:2]
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = PillowImage.fromarray(part).resize(size, Resampling.LANCZOS)
    return np.asarray(small), square * np.array([size[0] / width, size[1] / height])


def _padded(part: Pixels, square: Points) -> tuple[Pixels, Points]:
    """Mirror a part at its edges where the square comes near, blur the seam, and fade to the median colour."""
    border, (height, width) = _border(square), part.shape[:2]
    low, high = np.floor(square.min(0)).astype(int), np.ceil(square.max(0)).astype(int)
    missing = np.array([*(border - low), *(high - (width, height) + border)])
    if missing.max() <= border - 4:
        return part, square
    left, top, right, bottom = np.maximum(missing, max(round(0.3 * side_px(square)), 1))
    wide = np.pad(part, ((top, bottom), (left, right), (0, 0)), "reflect")
    rows, columns = (np.arange(length, dtype=np.float32) for length in wide.shape[:2])
    # 0 at the edge of the photo, 1 at that of what was added, below 0 inside
    across, down = (
        1 - np.minimum(columns / left, columns[::-1] / right),
        1 - np.minimum(rows / top, rows[::-1] / bottom),
    )
    beyond = np.maximum(across, down[:, None])
    blur, fade = np.clip(3 * beyond + 1, 0, 1), np.clip(beyond, 0, 1)
    for channel in range(3):
        plane = wide[..., channel].astype(np.float32)
        plane += (cv2.GaussianBlur(plane, (0, 0), 0.02 * side_px(square)) - plane) * blur
        plane += (np.median(plane) - plane) * fade
        wide[..., channel] = np.rint(plane).clip(0, 255)
    return wide, square + np.array([left, top])
