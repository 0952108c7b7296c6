"""Metrics computed from pixels: PSNR, mean differences, colour, and the same over missing pixels only."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.ops.color import luma
from gantools.images.ops.masks import Mask

MOST_DECIBELS = 100.0
"""The PSNR of equal images, and the highest there is: a mean with one of them stays a number."""


def psnr_y(a: Pixels, b: Pixels, border_px: int = 4) -> float:
    """PSNR of the brightness (Y, 16 to 235, peak 255), 4 px border cut: the protocol of super-resolution papers."""
    a, b = cut_borders(a, b, border_px)
    return _decibels(luma(a) - luma(b))


def psnr_rgb(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """PSNR over all three channels together; about 1.8 dB below ``psnr_y`` on photos."""
    a, b = cut_borders(a, b, border_px)
    return _decibels(a.astype(np.float64) - b)


def l1_percent(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """Mean absolute difference of the samples scaled to [0, 1], times 100."""
    a, b = cut_borders(a, b, border_px)
    return float(np.mean(np.abs(a.astype(np.float64) - b)) / 255 * 100)


def l2_percent(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """Mean squared difference of the samples scaled to [0, 1], times 100."""
    a, b = cut_borders(a, b, border_px)
    return float(np.mean(np.square((a.astype(np.float64) - b) / 255)) * 100)


def hole_psnr(a: Pixels, b: Pixels, hole: Mask) -> float:
    """Peak signal-to-noise ratio in decibels over the missing pixels; 100 where they are equal.

    Shapes: uint8 [H, W, 3] twice, bool [H, W]. Known pixels never count: they are equal and would only flatter.
    """
    return _decibels(_differences(a, b, hole))


def hole_l1_percent(a: Pixels, b: Pixels, hole: Mask) -> float:
    """Mean absolute difference over the missing pixels, of samples scaled to [0, 1], times 100."""
    return float(np.mean(np.abs(_differences(a, b, hole))) / 255 * 100)


def hole_l2_percent(a: Pixels, b: Pixels, hole: Mask) -> float:
    """Mean squared difference over the missing pixels, of samples scaled to [0, 1], times 100."""
    return float(np.mean(np.square(_differences(a, b, hole) / 255)) * 100)


def ab_l1(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """Mean absolute difference in the a and b of CIELAB (sRGB, D65): 0 for equal colours, saturated ones are 30 to 100.

    Paper: none; the error colorization is scored by since Zhang et al., 2016, arXiv:1603.08511.
    """
    a, b = cut_borders(a, b, border_px)
    return float(np.abs(_ab(a) - _ab(b)).mean())


def colorfulness(image: Pixels) -> float:
    """Colourfulness of one image: 0 for gray, about 45 for an average and above 80 for a vivid photo.

    Shapes: uint8 [H, W, 3]. Paper: Hasler & Süsstrunk, 2003.
    """
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    offset = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * offset)


def cut_borders(a: Pixels, b: Pixels, border_px: int, smallest_px: int = 1) -> tuple[Pixels, Pixels]:
    """Check that two images can be compared and cut ``border_px`` off every side of both.

    Shapes: uint8 [H, W, 3], equal. Raises ImageError when sizes differ or less than ``smallest_px`` a side remains.
    """
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"metrics compare uint8 images, not {a.dtype} with {b.dtype}")
    if a.shape != b.shape:
        raise ImageError(f"images of {_size(a)} and {_size(b)} cannot be compared; give both the same size")
    height, width = a.shape[:2]
    if min(height, width) < 2 * border_px + smallest_px:
        raise ImageError(f"an image of {_size(a)} is too small to be measured with a border of {border_px} px")
    inner = np.s_[border_px : height - border_px, border_px : width - border_px]
    return a[inner], b[inner]


def _decibels(difference: npt.NDArray[Any]) -> float:
    error = float(np.mean(np.square(difference)))
    return min(MOST_DECIBELS, 10 * math.log10(255**2 / error)) if error else MOST_DECIBELS


def _differences(a: Pixels, b: Pixels, hole: Mask) -> npt.NDArray[np.float64]:
    a, b = cut_borders(a, b, 0)
    if not hole.any():
        raise ValueError("no pixel is missing, so there is nothing to measure")
    return a[hole].astype(np.float64) - b[hole]


def _ab(image: Pixels) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 1:], np.float32)


def _size(image: Pixels) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"
