"""The degradations of the source, and others: low resolution, numbers, JPEG, gray, noise, missing parts."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from gantools.data.options.degradations import (
    JpegOptions,
    LowResolutionOptions,
    MissingOptions,
    NoiseOptions,
    TextOptions,
)
from gantools.images.image import Pixels
from gantools.images.ops import color

WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_DIGIT_PX = 22.0  # height of that font's digits at scale 1
_STROKE_PX = 16  # height of digits from which strokes are two pixels wide, then three, …


class Chance(NamedTuple):
    """What degradations are drawn from, and ``size``, the height and width of the degraded image.

    ``badness``, 0 to 1, is for text and compression: one number per image where a number is written.
    """

    rng: np.random.Generator
    badness: float
    size: tuple[int, int] = (0, 0)

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, by ``badness``."""
        return low + int(self.badness * (high - low + 1))


def low_resolution(photo: Pixels, options: LowResolutionOptions, chance: Chance) -> Pixels:  # noqa: ARG001
    """The photo at ``short_side_px``; smaller ones stay. By Pillow, because cv2's bilinear shrinking skips pixels."""
    short_px = min(photo.shape[:2])
    if short_px <= options.short_side_px:
        return photo
    height, width = (max(1, round(side * options.short_side_px / short_px)) for side in photo.shape[:2])
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def text(photo: Pixels, options: TextOptions, chance: Chance) -> Pixels:
    """The photo with a number in white, whose upper left corner lies in the upper left quadrant."""
    written = photo.copy()
    number = str(chance.between(*options.numbers))
    scale, stroke_px = options.height_px / _DIGIT_PX, 1 + options.height_px // _STROKE_PX
    for _ in range(int(chance.rng.integers(*options.count, endpoint=True))):
        left, top = (int(chance.rng.integers(side // 2 + 1)) for side in photo.shape[1::-1])
        place = (left, top + options.height_px)
        cv2.putText(written, number, place, _FONT, scale, WHITE, stroke_px, cv2.LINE_AA)
    return written


def jpeg(photo: Pixels, options: JpegOptions, chance: Chance) -> Pixels:
    """The photo as JPEG leaves it."""
    return encoded(photo, ".jpg", cv2.IMWRITE_JPEG_QUALITY, chance.between(*options.quality))


def encoded(photo: Pixels, suffix: str, setting: int, quality: int) -> Pixels:
    """The photo, compressed and decompressed."""
    _, stored = cv2.imencode(suffix, cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [setting, quality])
    decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it has just written"
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def gray(photo: Pixels) -> Pixels:
    """The photo's brightness (ITU-R BT.601) in all three channels."""
    return color.gray_to_rgb(color.gray(photo))


def noise(photo: Pixels, options: NoiseOptions, chance: Chance) -> Pixels:
    """The photo with gaussian noise of a random strength."""
    sigma = np.float32(chance.rng.uniform(*options.sigma))
    gray_noise = options.gray_share > 0 and chance.rng.random() < options.gray_share
    shape = (*photo.shape[:2], 1) if gray_noise else photo.shape
    return noisy(photo, sigma * chance.rng.standard_normal(shape, np.float32))


def noisy(photo: Pixels, added: npt.NDArray[np.float32]) -> Pixels:
    """The photo with noise in steps of 8 bits added: [H, W, 3], or [H, W, 1] for the same in all channels."""
    return np.asarray((photo + added + np.float32(0.5)).clip(0, 255), np.uint8)


def missing(photo: Pixels, options: MissingOptions, chance: Chance) -> Pixels:
    """The photo with random rectangles painted over."""
    painted, rng = photo.copy(), chance.rng
    height, width = photo.shape[:2]
    for _ in range(int(rng.integers(*options.rectangles, endpoint=True))):
        sides = np.ceil(rng.uniform(*options.side_share, 2) * min(height, width)).astype(int)
        top, left = int(rng.integers(height - sides[0] + 1)), int(rng.integers(width - sides[1] + 1))
        painted[top : top + sides[0], left : left + sides[1]] = options.color
    return painted
