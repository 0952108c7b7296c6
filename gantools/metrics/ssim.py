"""Structural similarity (Wang et al., 2004): 11×11 Gaussian window, σ 1.5, valid region, float64."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gantools.images.image import Pixels
from gantools.images.ops.color import luma
from gantools.metrics.pixels import cut_borders

_WINDOW_PX = 11
_SIGMA_PX = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SMALLEST_PX = _WINDOW_PX * 2 ** (len(_SCALE_WEIGHTS) - 1)


def ssim_y(a: Pixels, b: Pixels, border_px: int = 4) -> float:
    """SSIM of the brightness (Y, 16 to 235), 4 px border cut: the protocol of super-resolution papers."""
    a, b = cut_borders(a, b, border_px, _WINDOW_PX)
    return _similarity(luma(a), luma(b))


def ssim_rgb(a: Pixels, b: Pixels, border_px: int = 0) -> float:
    """SSIM of each of the three channels, averaged."""
    a, b = cut_borders(a, b, border_px, _WINDOW_PX)
    return _similarity(a.astype(np.float64), b.astype(np.float64))


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """Structure on five scales, brightness on the coarsest; images of 176 px a side or more.

    The three channels are averaged on each scale. Paper: Wang, Simoncelli & Bovik, 2003.
    """
    a, b = cut_borders(a, b, 0, _SMALLEST_PX)
    x, y = a.astype(np.float64), b.astype(np.float64)
    similarity = 1.0
    for weight in _SCALE_WEIGHTS[:-1]:
        similarity *= max(0.0, float(np.mean(_terms(x, y)[0]))) ** weight
        x, y = _halved(x), _halved(y)
    return float(similarity * max(0.0, _similarity(x, y)) ** _SCALE_WEIGHTS[-1])


def _similarity(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    structure, brightness = _terms(a, b)
    return float(np.mean(brightness * structure))


def _halved(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means of 2×2 samples; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in values.shape[:2])
    even = values[:height, :width]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)


def _terms(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Structure (with contrast) and brightness of every window."""
    mean_a, mean_b = _windowed(a), _windowed(b)
    variances = _windowed(a * a) - mean_a**2 + _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    structure = (2 * covariance + _C2) / (variances + _C2)
    brightness = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return structure, brightness


def _windowed(values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Gaussian means at the positions whose whole window lies inside the image."""
    kernel = cv2.getGaussianKernel(_WINDOW_PX, _SIGMA_PX)
    edge = _WINDOW_PX // 2
    return np.asarray(cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel))[edge:-edge, edge:-edge]
