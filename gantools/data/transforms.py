"""Sizes, crops and positions of uint8 HWC images, the same for all images of a sample."""

from __future__ import annotations

import cv2
import numpy as np

from gantools.data.options.datasets import Fit
from gantools.images.image import Pixels

WHITE = (255, 255, 255)


def square(image: Pixels, side_px: int, fit: Fit) -> Pixels:
    """Make ``image`` a square of ``side_px``: stretched, its middle, or with a white border.

    Differs from the source: shrinking averages areas instead of picking pixels, so that thin lines do not break up.
    """
    if fit == "crop":
        image = centre(image, min(image.shape[:2]), min(image.shape[:2]))
    elif fit == "pad":
        height, width = image.shape[:2]
        down, across = max(0, width - height), max(0, height - width)
        edges = (down // 2, down - down // 2, across // 2, across - across // 2)
        image = np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=WHITE), np.uint8)
    if image.shape[:2] == (side_px, side_px):
        return image
    method = cv2.INTER_AREA if min(image.shape[:2]) >= side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=method), np.uint8)


def fitted(image: Pixels, size: tuple[int, int], fit: Fit, pad_value: int = 255) -> Pixels:
    """Bring ``image`` to a height and width: stretched, its middle in that shape, or padded to it."""
    height, width = image.shape[:2]
    factors = size[0] / height, size[1] / width
    inner = size
    if fit == "crop":
        image = centre(
            image,
            *(min(side, round(wanted / max(factors))) for side, wanted in zip((height, width), size, strict=True)),
        )
    elif fit == "pad":
        inner = min(size[0], round(height * min(factors))), min(size[1], round(width * min(factors)))
    if image.shape[:2] != inner:
        method = cv2.INTER_AREA if image.shape[0] * image.shape[1] >= inner[0] * inner[1] else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, inner[::-1], interpolation=method), np.uint8)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    edges = (top, size[0] - inner[0] - top, left, size[1] - inner[1] - left)
    value = (pad_value,) * 3
    return np.asarray(cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=value), np.uint8)


def short_side(image: Pixels, side_px: int) -> Pixels:
    """``image`` in its proportions, its shorter side ``side_px`` long."""
    height, width = image.shape[:2]
    if min(height, width) == side_px:
        return image
    factor = side_px / min(height, width)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = (max(side_px, round(width * factor)), max(side_px, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def centre(image: Pixels, height_px: int, width_px: int) -> Pixels:
    """The middle of ``image``."""
    top, left = (image.shape[0] - height_px) // 2, (image.shape[1] - width_px) // 2
    return image[top : top + height_px, left : left + width_px]


def at_least(image: Pixels, side_px: int) -> Pixels:
    """``image``, mirrored at its right and lower edge where it is smaller than ``side_px``."""
    bottom, right = max(0, side_px - image.shape[0]), max(0, side_px - image.shape[1])
    if not bottom and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REFLECT_101), np.uint8)


def random_crop(images: tuple[Pixels, ...], side_px: int, rng: np.random.Generator) -> tuple[Pixels, ...]:
    """The same random square of every image."""
    height, width = images[0].shape[:2]
    top, left = int(rng.integers(height - side_px + 1)), int(rng.integers(width - side_px + 1))
    return tuple(image[top : top + side_px, left : left + side_px] for image in images)


def random_window(
    photo: Pixels, side_px: int, margin_px: int, rng: np.random.Generator, step_px: int = 1
) -> tuple[Pixels, slice, slice]:
    """A random square with up to ``margin_px`` of the photo around it, and the rows and columns of the square in it.

    It lies at multiples of ``step_px``.
    """
    top, left = (int(rng.integers((side - side_px) // step_px + 1)) * step_px for side in photo.shape[:2])
    above, before = max(0, top - margin_px), max(0, left - margin_px)
    window = photo[above : top + side_px + margin_px, before : left + side_px + margin_px]
    return window, slice(top - above, top - above + side_px), slice(left - before, left - before + side_px)


def random_position(
    images: tuple[Pixels, ...], rng: np.random.Generator, *, flip: bool, rotate: bool
) -> tuple[Pixels, ...]:
    """Each image mirrored in half of the cases, upside down too and turned by 90 degrees where ``rotate`` is set."""
    mirror, upend, turn = rng.random(3) < 0.5
    if flip and mirror:
        images = tuple(image[:, ::-1] for image in images)
    if rotate and upend:
        images = tuple(image[::-1] for image in images)
    if rotate and turn:
        images = tuple(image.swapaxes(0, 1) for image in images)
    return images
