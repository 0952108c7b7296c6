"""How far an image's statistics are from those of good photos, without the truth (NIQE, Mittal et al., 2013)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.ops.color import luma
from gantools.images.ops.resize import resize_bicubic

Array: TypeAlias = npt.NDArray[np.float64]

PATCH_PX = 96
SHARP_SHARE = 0.75
"""Patches of the good photos count that are at least this sharp, as a share of the sharpest one of their photo."""
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = np.arange(0.2, 10, 0.001)
_MODEL = Path(__file__).with_name("niqe_kodak.npz")


def niqe_kodak(image: Pixels) -> float:
    """NIQE with the 24 Kodak photos as the good ones: lower is more like them. Does not compare with published NIQE.

    Distance of two Gaussians of 36 features a patch of 96 px, those of the image and of the photos. The features are of
    the locally normalised brightness at full and half size: shape and width of its generalised Gaussian, and the same
    of products of neighbours in four directions. As with any NIQE, more sharpness than a photo's can look good to it:
    read it beside a distance from the truth.
    Paper: Mittal et al., 2013, "Making a completely blind image quality analyzer". Differs from it: the good photos
    (``scripts/fit_niqe``), each lying and standing, and brightness from 16 to 235, not rounded.
    Shapes: uint8 [H, W, 3]. Raises ImageError where two whole patches do not fit.
    """
    found, _ = features(image)
    if len(found) < 2:
        need = f"{2 * PATCH_PX}×{PATCH_PX}"
        raise ImageError(f"niqe_kodak: an image without {need} px is too small; leave the metric out")
    mean, covariance = _model()
    offset = found.mean(0) - mean
    pooled = (covariance + np.cov(found, rowvar=False)) / 2
    return math.sqrt(max(0.0, float(offset @ np.linalg.pinv(pooled) @ offset)))


def fit(photos: Iterable[Pixels]) -> tuple[Array, Array]:
    """Mean and covariance of the features of the sharp patches of good photos. Shapes: [36], [36, 36].

    Each photo counts lying and standing: Kodak's are softer along one side, which a good photo need not be.
    """
    parts = []
    for photo in photos:
        for turned in (photo, np.ascontiguousarray(photo.swapaxes(0, 1))):
            found, sharpness = features(turned)
            parts.append(found[sharpness > SHARP_SHARE * sharpness.max()])
    stacked = np.concatenate(parts)
    return stacked.mean(0), np.asarray(np.cov(stacked, rowvar=False))


def features(image: Pixels) -> tuple[Array, Array]:
    """The features of an image's whole patches, from its upper left corner, and how sharp each is.

    Shapes: uint8 [H, W, 3] → [N, 36], [N].
    """
    rows, columns = (side // PATCH_PX for side in image.shape[:2])
    values, found, sharpness = luma(image)[: rows * PATCH_PX, : columns * PATCH_PX], [], np.zeros(0)
    for side_px in (PATCH_PX, PATCH_PX // 2):
        mean = cv2.GaussianBlur(values, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)
        square = cv2.GaussianBlur(values * values, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)
        spread = np.sqrt(np.abs(square - mean * mean))
        patches = _cut((values - mean) / (spread + 1), side_px)
        found += _of_patches(patches)
        sharpness = sharpness if len(sharpness) else _cut(spread, side_px).mean((1, 2))
        values = resize_bicubic(values[..., None], scale=0.5)[..., 0]
    return np.stack(found, axis=1), sharpness


def _cut(values: Array, side_px: int) -> Array:
    """Shapes: [R · side, C · side] → [R · C, side, side]."""
    rows, columns = (side // side_px for side in values.shape)
    blocks = values.reshape(rows, side_px, columns, side_px).swapaxes(1, 2)
    return blocks.reshape(-1, side_px, side_px)


def _of_patches(patches: Array) -> list[Array]:
    """The 18 features of patches at one size. Shapes: [N, side, side] → [N] each."""
    shape, left, right = asymmetric(patches)
    found = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = asymmetric(patches * np.roll(patches, shift, (1, 2)))
        mean = (right - left) * np.array([math.gamma(2 / s) / math.gamma(1 / s) for s in shape])
        found += [shape, mean, left, right]
    return found


def asymmetric(patches: Array) -> tuple[Array, Array, Array]:
    """Shape, left and right width of each patch's asymmetric generalised Gaussian, by its moments (Lasmar 2009)."""
    flat, tiny = patches.reshape(len(patches), -1), 1e-12
    left, right = (
        np.sqrt(np.square(flat * side).sum(1) / np.maximum(side.sum(1), 1)) + tiny for side in (flat < 0, flat > 0)
    )
    ratio = left / right
    moments = np.square(np.abs(flat).mean(1)) / (np.square(flat).mean(1) + tiny)
    wanted = moments * (ratio**3 + 1) * (ratio + 1) / np.square(ratio**2 + 1)
    shape = _SHAPES[np.abs(_moments()[None] - wanted[:, None]).argmin(1)]
    factor = np.sqrt([math.gamma(1 / s) / math.gamma(3 / s) for s in shape])
    return shape, left * factor, right * factor


@cache
def _moments() -> Array:
    """E|x|² / E x² of a generalised Gaussian of each of the shapes."""
    return np.array([math.gamma(2 / s) ** 2 / (math.gamma(1 / s) * math.gamma(3 / s)) for s in _SHAPES])


@cache
def _model() -> tuple[Array, Array]:
    with np.load(_MODEL) as stored:
        return stored["mean"].astype(np.float64), stored["covariance"].astype(np.float64)
