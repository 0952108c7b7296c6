"""Masks: boolean arrays [H, W], True where pixels are missing; filling what is missing without a network."""

from __future__ import annotations

import warnings
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.images.image import Image, Pixels

Mask: TypeAlias = npt.NDArray[np.bool_]

MEAN_RGB = (117, 104, 123)
"""What missing pixels are set to before the network sees them: the mean colour of ImageNet, of 255 (Pathak 2016)."""

INPAINTING_RADIUS_PX = 3

Start: TypeAlias = Literal["mean", "telea", "ns"]
"""What stands in missing pixels when a network sees an image: the mean colour, or OpenCV's inpainting."""


def mask_of(image: Image) -> Mask:
    """The mask of a mask image: white (brighter than half) and not transparent is missing."""
    half = np.iinfo(image.pixels.dtype).max / 2
    missing = np.asarray(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)) > half
    return np.asarray(missing if image.alpha is None else missing & (image.alpha > half))


def warn_if_mostly_missing(mask: Mask, label: str, *, transparency: bool = False) -> None:
    """Warn where more than half of an image is missing: a mask is easily given the wrong way round."""
    share = float(mask.mean())
    what, rule = ("transparency", "Opaque is known") if transparency else ("mask", "White is missing, black is known")
    if share > 0.5:
        warnings.warn(f"{label}: the {what} leaves out {share:.0%} of the image; is it inverted? {rule}", stacklevel=3)


def central_square(height: int, width: int, side_px: int) -> tuple[slice, slice]:
    """Rows and columns of a square in the middle."""
    top, left = (height - side_px) // 2, (width - side_px) // 2
    return slice(top, top + side_px), slice(left, left + side_px)


def mean_filled(pixels: Pixels, mask: Mask) -> Pixels:
    """A copy whose missing pixels have the mean colour. Shapes: uint8 or uint16 [H, W, 3]."""
    filled = pixels.copy()
    filled[mask] = np.array(MEAN_RGB, pixels.dtype) * pixels.dtype.type(np.iinfo(pixels.dtype).max // 255)
    return filled


def telea(pixels: Pixels, mask: Mask) -> Pixels:
    """Missing pixels filled without learning, by marching inwards from the edge. Shapes: uint8 or uint16 [H, W, 3].

    Paper: Telea 2004, as in OpenCV. What to beat.
    """
    return _inpainted(pixels, mask, cv2.INPAINT_TELEA)


def navier_stokes(pixels: Pixels, mask: Mask) -> Pixels:
    """Missing pixels filled by continuing lines of equal brightness. Shapes: as ``telea``.

    Paper: Bertalmio, Bertozzi and Sapiro 2001, as in OpenCV.
    """
    return _inpainted(pixels, mask, cv2.INPAINT_NS)


def started(pixels: Pixels, mask: Mask, fill: Start) -> Pixels:
    """What a network sees of an image, whatever its missing pixels hold: see ``Start``. Shapes: as ``telea``."""
    return {"mean": mean_filled, "telea": telea, "ns": navier_stokes}[fill](pixels, mask)


def _inpainted(pixels: Pixels, mask: Mask, flag: int) -> Pixels:
    """OpenCV takes three channels of 8 bits, but a single one of 16."""
    missing = mask.astype(np.uint8)
    if pixels.dtype == np.uint8:
        return np.asarray(cv2.inpaint(np.ascontiguousarray(pixels), missing, INPAINTING_RADIUS_PX, flag))
    channels = [np.ascontiguousarray(pixels[..., channel]) for channel in range(pixels.shape[2])]
    return np.stack([cv2.inpaint(each, missing, INPAINTING_RADIUS_PX, flag) for each in channels], axis=2)
