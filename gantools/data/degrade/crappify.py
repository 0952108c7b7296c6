"""Good photo → bad photo: degradations done one after the other. What is left out here, no model learns to undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from gantools.data.options.degradations import (
    Degradation,
    GrayOptions,
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
_ENLARGEMENTS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class Chance(NamedTuple):
    """What degradations are drawn from. ``badness``, 0 to 1, is one number per image, for text and JPEG."""

    rng: np.random.Generator
    badness: float


def crappify(photo: Pixels, degradations: Sequence[Degradation], rng: np.random.Generator) -> Pixels:
    """A bad version of ``photo``, of the same size.

    Text and JPEG share one draw, so that with equal ranges the number that is written is the quality, as in the source.
    Shapes: (H, W, 3) → (H, W, 3).
    Differs from the source, whose small images become large where they are loaded: here it is the end of the list.
    """
    chance = Chance(rng, float(rng.random()))
    bad, enlargement = photo, cv2.INTER_LINEAR
    for options in degradations:
        if rng.random() < options.share:
            bad = _FUNCTIONS[options.name](bad, options, chance)
        if isinstance(options, LowResolutionOptions):
            enlargement = _ENLARGEMENTS[options.enlarge]
    if bad.shape != photo.shape:
        bad = np.asarray(cv2.resize(bad, photo.shape[1::-1], interpolation=enlargement), np.uint8)
    return bad


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
    left, top = (int(chance.rng.integers(side // 2 + 1)) for side in photo.shape[1::-1])
    scale, stroke_px = options.height_px / _DIGIT_PX, 1 + options.height_px // _STROKE_PX
    place = (left, top + options.height_px)
    cv2.putText(written, str(_between(*options.numbers, chance)), place, _FONT, scale, WHITE, stroke_px, cv2.LINE_AA)
    return written


def jpeg(photo: Pixels, options: JpegOptions, chance: Chance) -> Pixels:
    """The photo as JPEG leaves it."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, _between(*options.quality, chance)]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), settings)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it has just written"
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def gray(photo: Pixels) -> Pixels:
    """The photo's brightness (ITU-R BT.601) in all three channels."""
    return color.gray_to_rgb(color.gray(photo))


def noise(photo: Pixels, options: NoiseOptions, chance: Chance) -> Pixels:
    """The photo with gaussian noise of a random strength."""
    sigma = np.float32(chance.rng.uniform(*options.sigma))
    values = photo + sigma * chance.rng.standard_normal(photo.shape, np.float32)
    return np.asarray((values + np.float32(0.5)).clip(0, 255), np.uint8)


def missing(photo: Pixels, options: MissingOptions, chance: Chance) -> Pixels:
    """The photo with random rectangles painted over."""
    painted, rng = photo.copy(), chance.rng
    height, width = photo.shape[:2]
    for _ in range(int(rng.integers(options.rectangles[0], options.rectangles[1] + 1))):
        sides = np.ceil(rng.uniform(*options.side_share, 2) * min(height, width)).astype(int)
        top, left = int(rng.integers(height - sides[0] + 1)), int(rng.integers(width - sides[1] + 1))
        painted[top : top + sides[0], left : left + sides[1]] = options.color
    return painted


def _between(low: int, high: int, chance: Chance) -> int:
    return low + int(chance.badness * (high - low + 1))


_FUNCTIONS: Mapping[str, Callable[[Pixels, Any, Chance], Pixels]] = {
    LowResolutionOptions().name: low_resolution,
    TextOptions().name: text,
    JpegOptions().name: jpeg,
    GrayOptions().name: lambda photo, _options, _chance: gray(photo),
    NoiseOptions().name: noise,
    MissingOptions().name: missing,
}
